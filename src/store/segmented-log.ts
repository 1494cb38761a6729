import { closeSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { WormholeError } from '../base/index.js';
import { isFull } from './disk-full.js';
import { closeSegment, createSegment, type LogDisk, type Segment, writeFully } from './log-segment.js';
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  frameBytesAt,
  frameOverheadBytes,
  headerBytes,
} from './record-frame.js';
import type { LogCondition, RecordLog } from './record-log.js';
import { markSpacingBytes, noteMark } from './record-scan.js';

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

export const recordBytesMax = 256 * 1024 * 1024;
const readBytes = 1024 * 1024;
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
  /** Why nothing can be appended any more. */
  private refusal: WormholeError | undefined;
  private closed = false;

  constructor(state: LogState) {
    this.folder = state.folder;
    this.tag = state.tag;
    this.disk = state.disk;
    this.segments = state.segments;
    this.segmentBytes = state.segmentBytes;
    this.nextNumber = state.next;
    this.durable = state.durable;
    if (state.condition.damagedAt !== undefined) this.refusal = damaged(this.folder);
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
    if (record.length > recordBytesMax) {
      throw new WormholeError('too-large', `a record of a log has more than ${recordBytesMax} bytes`);
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
    while (this.durable < wanted) {
      this.check();
      // Whoever comes while a flush runs shares the next one: this one may have begun before the record.
      this.flushing ??= this.flushOnce().finally(() => {
        this.flushing = undefined;
      });
      await this.flushing;
    }
  }

  *read(from: number): Generator<{ number: number; record: Uint8Array }> {
    let number = Math.max(from, this.first);
    while (number < this.nextNumber) {
      const segment = this.segments.findLast((candidate) => candidate.first <= number);
      if (segment === undefined) return; // dropped since
      for (const frame of readSegment(segment, this.tag, number)) {
        number = frame.number + 1;
        yield { number: frame.number, record: frame.record };
      }
    }
  }

  async dropBefore(number: number): Promise<void> {
    this.check();
    if (number >= this.nextNumber && this.active.bytes > headerBytes) this.roll();
    if (this.droppable(number) === undefined) return;
    // The oldest segment that stays must be durable with its name before anything older goes: numbers never
    // come again, and its header is the one that is trusted at the next start.
    await this.flushAll();
    for (let segment = this.droppable(number); segment !== undefined; segment = this.droppable(number)) {
      this.segments.shift();
      closeSegment(segment);
      await unlink(segment.path);
      // One by one, so that a crash never leaves a hole in the row of segments.
      await this.disk.syncFolder(this.folder);
    }
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
      if (isFull(cause)) throw full(this.folder, cause);
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
      if (isFull(cause)) throw full(this.folder, cause);
      throw this.refuse(cause);
    }
  }

  private async flushAll(): Promise<void> {
    await this.flushing;
    await this.sync();
    await this.flushOnce();
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

/** The frames of a segment from a number on. Each record is a view into a buffer that is not used again. */
function* readSegment(segment: Segment, tag: Buffer, from: number): Generator<Frame> {
  const fd = openSync(segment.path, 'r');
  try {
    let offset = segment.marks.findLast((mark) => mark.number <= from)?.offset ?? headerBytes;
    let window = markSpacingBytes * 2;
    while (offset < segment.bytes) {
      let bytes = readWindow(fd, segment, offset, window);
      const length = frameBytesAt(bytes, 0);
      if (length !== undefined && length > bytes.length) bytes = readWindow(fd, segment, offset, length);
      let used = 0;
      for (let frame = decodeFrame(bytes, 0, tag); frame; frame = decodeFrame(bytes, used, tag)) {
        used += frame.bytes;
        if (frame.number >= from) yield frame;
      }
      if (used === 0) throw damaged(basename(segment.path));
      offset += used;
      window = readBytes;
    }
  } finally {
    closeSync(fd);
  }
}

function readWindow(fd: number, segment: Segment, offset: number, wanted: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(wanted, segment.bytes - offset));
  const length = readSync(fd, bytes, 0, bytes.length, offset);
  return bytes.subarray(0, length);
}

function full(folder: string, cause: unknown): WormholeError {
  return new WormholeError('full', `the disk of the log ${folder} is full: free some space`, { cause });
}

function damaged(where: string): WormholeError {
  return new WormholeError('corrupt', `the log ${where} is damaged: run wh fsck, peers still hold the data`);
}
