import type { WormholeError } from '../base/index.js';

/**
 * An append-only log of records in segment files: the journal of local operations, the log of the document's
 * changes, the log of small chunks. Each record is framed with its length and a hash of its own.
 */
export interface RecordLog {
  /** Its end. */
  readonly position: LogPosition;
  /** Number of the next record; numbers rise by one and never come again. */
  readonly next: number;
  /** Number of the oldest record that is kept. */
  readonly first: number;
  /** Bytes in all segments. */
  readonly bytes: number;
  /** Why nothing can be appended any more, until the log is opened anew: the disk failed, or it was opened damaged. */
  readonly refusal: WormholeError | undefined;
  /** Appends with one write() on this thread (about 8 µs for 4 KiB): it then survives the death of the process.
   *  @returns the record's number
   *  @throws WormholeError `full` (the log is as it was), `io` (the log takes no further record), `corrupt` (it
   *  was opened damaged) or `too-large` (256 MiB) */
  append(record: Uint8Array): number;
  /** Resolves when every record appended so far survives a power cut. Concurrent calls share one fdatasync.
   *  @throws WormholeError `io` for good once an fdatasync failed: never answered 0 afterwards (contract D7) */
  sync(): Promise<void>;
  /** The records from a number on, or from the oldest, in order, with those that come while the loop runs. A
   *  record is a view into a block of up to 1 MiB: copy what is kept for long.
   *  @throws WormholeError `corrupt` when the disk no longer gives what was written */
  read(from: number): Generator<{ number: number; record: Uint8Array }>;
  /** Lets go of segments that hold only records below `number`. */
  dropBefore(number: number): Promise<void>;
  close(): Promise<void>;
}

/** A place in one log: before its record `next`. Another log that stands where this one was has another `log`. */
export interface LogPosition {
  log: string;
  next: number;
}

/** What opening a log found. A torn tail is what a crash leaves and is cut off; damage before the tail is not. */
export interface LogCondition {
  /** Bytes cut off at the end of the last segment: torn by a crash, or not accepted. */
  tornBytes: number;
  /** Set when a record before the tail is damaged: the log holds only what precedes it, and is read-only. */
  damagedAt?: { segment: string; offset: number };
}
