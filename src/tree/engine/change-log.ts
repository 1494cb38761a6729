import { LIMITS } from '../../base/index.js';
import { openRecordLog, type RecordLog, type RecordLogOptions } from '../../store/index.js';
import { type ChangeRecord, decodeChangeRecord, encodeChangeRecord } from './change-record.js';

const SEGMENT_BYTES = 8 * 1024 * 1024;

/**
 * The changes since the last snapshot, on disk. What cannot be appended now (the disk is full) is kept in
 * order and appended first the next time: the document already has it.
 */
export class ChangeLog {
  private readonly log: RecordLog;
  private readonly backlog: ChangeRecord[] = [];
  /** Since the last snapshot. */
  private changes = 0;
  private bytes = 0;

  private constructor(log: RecordLog) {
    this.log = log;
  }

  /** `damaged`: the log holds only what precedes the damage, and takes no further record. */
  static async open(
    folder: string,
    disk?: RecordLogOptions['disk'],
  ): Promise<{ log: ChangeLog; damaged: boolean }> {
    const options = disk === undefined ? {} : { disk };
    const { log, condition } = await openRecordLog(folder, { segmentBytes: SEGMENT_BYTES, ...options });
    return { log: new ChangeLog(log), damaged: condition.damagedAt !== undefined };
  }

  get first(): number {
    return this.log.first;
  }

  /** Number of the next record; what is in the backlog comes after it. */
  get next(): number {
    return this.log.next;
  }

  /** True when there is enough for a snapshot; `factor` times the usual amount. */
  isLong(factor = 1): boolean {
    return (
      this.bytes >= factor * LIMITS.changeLogBytesMax || this.changes >= factor * LIMITS.changeLogChangesMax
    );
  }

  *read(from: number): Generator<ChangeRecord> {
    for (const { record } of this.log.read(from)) {
      const decoded = decodeChangeRecord(record);
      this.count(decoded.changes);
      yield decoded;
    }
  }

  push(record: ChangeRecord): void {
    this.backlog.push(record);
  }

  /** Appends what was pushed. It then survives the death of the process.
   *  @throws WormholeError `full` (call again later) or `io` (the log is dead) */
  append(): void {
    for (let record = this.backlog[0]; record !== undefined; record = this.backlog[0]) {
      this.log.append(encodeChangeRecord(record));
      this.count(record.changes);
      this.backlog.shift();
    }
  }

  get isBehind(): boolean {
    return this.backlog.length > 0;
  }

  /** Resolves when everything appended survives a power cut.
   *  @throws WormholeError `io`, for good */
  sync(): Promise<void> {
    return this.log.sync();
  }

  /** A durable snapshot holds everything below `number`. */
  async dropBefore(number: number): Promise<void> {
    this.changes = 0;
    this.bytes = 0;
    await this.log.dropBefore(number);
  }

  close(): Promise<void> {
    return this.log.close();
  }

  private count(changes: readonly Uint8Array[]): void {
    this.changes += changes.length;
    for (const change of changes) this.bytes += change.length;
  }
}
