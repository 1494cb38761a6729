import { ftruncateSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { diskError, isFull, LIMITS, Semaphore, WormholeError } from '../base/index.js';
import { closeSegment, createSegment, type LogDisk, type Segment, writeFully } from './log-segment.js';
import { encodeFrame, frameOverheadBytes, headerBytes } from './record-frame.js';
import type { LogCondition, LogPosition, RecordLog } from './record-log.js';
import { noteMark } from './record-scan.js';
import { damagedLog, readSegment } from './segment-reader.js';

/** What opening found; see open-record-log.ts. */
export interface LogState {
  folder: string;
  tag: Buffer;
  disk: LogDisk;
  /** In order, at least one. */
  segments: Segment[];
  next: number;
  /** Every record below is durable. */
  durable: number;
  segmentBytes: number;
  condition: LogCondition;
}

/** Records up to this size are framed in a buffer that is kept. */
const frameBufferBytes = 128 * 1024;

export class SegmentedLog implements RecordLog {
  private readonly folder: string;
  private readonly tag: Buffer;
  private readonly disk: LogDisk;
  private readonly segments: Segment[];
  private readonly segmentBytes: number;
  private readonly buffer = Buffer.allocUnsafeSlow(frameBufferBytes);
  private nextNumber: number;
  private durable: number;
  /** A segment was made whose name is not durable yet. */
  private folderDirty = false;
  private flushing: Promise<void> | undefined;
  private readonly dropping = new Semaphore(1);
  refusal: WormholeError | undefined;
  private closed = false;

  constructor(state: LogState) {
    this.folder = state.folder;
    this.tag = state.tag;
    this.disk = state.disk;
    this.segments = state.segments;
    this.segmentBytes = state.segmentBytes;
    this.nextNumber = state.next;
    this.durable = state.durable;
    if (state.condition.damagedAt !== undefined) this.refusal = damagedLog(this.folder);
  }

  get position(): LogPosition {
    return { log: this.tag.toString('hex'), next: this.nextNumber };
  }

  get next(): number {
    return this.nextNumber;
  }

  get first(): number {
    return this.segments[0]?.first ?? this.nextNumber;
  }

  get bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  append(record: Uint8Array): number {
    this.check();
    if (record.length > LIMITS.recordBytesMax) {
      throw new WormholeError('too-large', `a record of a log has more than ${LIMITS.recordBytesMax} bytes`);
    }
    const length = frameOverheadBytes + record.length;
    let segment = this.active;
    if (segment.bytes > headerBytes && segment.bytes + length > this.segmentBytes) segment = this.roll();
    const frame = length <= frameBufferBytes ? this.buffer : Buffer.allocUnsafe(length);
    encodeFrame(frame, this.tag, this.nextNumber, this.durable, record);
    this.write(segment, frame, length);
    noteMark(segment.marks, this.nextNumber, segment.bytes);
    segment.bytes += length;
    return this.nextNumber++;
  }

  async sync(): Promise<void> {
    const wanted = this.nextNumber;
    while (this.durable < wanted) await this.flush();
  }

  *read(from: number): Generator<{ number: number; record: Uint8Array }> {
    for (let number = from; ; ) {
      number = Math.max(number, this.first); // more may have been dropped since
      const segment = this.segments.findLast((candidate) => candidate.first <= number);
      if (segment === undefined || number >= this.nextNumber) return;
      for (const frame of readSegment(segment, this.tag, number)) {
        number = frame.number + 1;
        yield { number: frame.number, record: frame.record };
      }
    }
  }

  dropBefore(number: number): Promise<void> {
    return this.dropping.run(() => this.drop(number));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    try {
      if (this.refusal === undefined) await this.sync();
    } finally {
      this.closed = true;
      await this.flushing?.catch(() => {});
      for (const segment of this.segments) closeSegment(segment);
    }
  }

  private get active(): Segment {
    return this.segments[this.segments.length - 1] as Segment;
  }

  /** The oldest segment, when it holds only records below `number` and is not the last one. */
  private droppable(number: number): Segment | undefined {
    const [oldest, second] = this.segments;
    return second !== undefined && second.first <= number ? oldest : undefined;
  }

  private check(): void {
    if (this.closed) throw new WormholeError('closed', `the log ${this.folder} is closed`);
    if (this.refusal !== undefined) throw this.refusal;
  }

  private roll(): Segment {
    try {
      const segment = createSegment(this.disk, this.folder, this.tag, this.nextNumber);
      this.segments.push(segment);
      this.folderDirty = true;
      return segment;
    } catch (cause) {
      if (isFull(cause)) throw diskError(`the log ${this.folder}`, cause);
      throw this.refuse(cause);
    }
  }

  private write(segment: Segment, frame: Buffer, length: number): void {
    const fd = segment.fd as number;
    try {
      segment.dirty = true;
      writeFully(this.disk, fd, frame, length, segment.bytes);
    } catch (cause) {
      try {
        ftruncateSync(fd, segment.bytes);
      } catch (second) {
        throw this.refuse(second);
      }
      if (isFull(cause)) throw diskError(`the log ${this.folder}`, cause);
      throw this.refuse(cause);
    }
  }

  private async drop(number: number): Promise<void> {
    this.check();
    if (number >= this.nextNumber && this.active.bytes > headerBytes) this.roll();
    if (this.droppable(number) === undefined) return;
    // The oldest segment that stays must be durable with its name before anything older goes: numbers never
    // come again, and its header is the one that is trusted at the next start.
    do await this.flush();
    while (this.folderDirty || this.segments.some((segment) => segment.dirty));
    for (let segment = this.droppable(number); segment !== undefined; segment = this.droppable(number)) {
      closeSegment(segment);
      this.segments.shift();
      try {
        await unlink(segment.path);
      } catch (error) {
        this.segments.unshift(segment);
        throw error;
      }
      // One by one, so that a crash never leaves a hole in the row of segments.
      await this.disk.syncFolder(this.folder);
    }
  }

  /** The one flush that runs. Whoever needs a later one comes again: this one may have begun before the record. */
  private flush(): Promise<void> {
    this.check();
    this.flushing ??= this.flushOnce().finally(() => {
      this.flushing = undefined;
    });
    return this.flushing;
  }

  private async flushOnce(): Promise<void> {
    const upTo = this.nextNumber;
    try {
      for (const segment of this.segments.filter((candidate) => candidate.dirty)) {
        segment.dirty = false;
        await this.disk.sync(segment.fd as number);
        if (segment !== this.active && !segment.dirty) closeSegment(segment);
      }
      if (this.folderDirty) {
        this.folderDirty = false;
        await this.disk.syncFolder(this.folder);
      }
    } catch (cause) {
      // The kernel has dropped the dirty pages and would answer 0 next time: nothing here counts any more.
      throw this.refuse(cause);
    }
    this.durable = Math.max(this.durable, upTo);
  }

  private refuse(cause: unknown): WormholeError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the log ${this.folder} could not be written (${reason}): check the disk, then restart`;
    this.refusal ??= new WormholeError('io', message, { cause });
    return this.refusal;
  }
}
