import type { WormholeError } from '../base/index.js';

/**
 * The embedded database, as everyone above sees it. Keys are UTF-8 strings in byte order, values are bytes.
 * Several threads may open the same folder; each write batch is atomic and all batches have one order.
 */
export interface Table {
  /** The value, a copy of the caller's own, or undefined. */
  get(key: string): Uint8Array | undefined;
  has(key: string): boolean;
  /** Keys `>= start` and `< end` in order (`reverse`: from `start` down to, without, `end`). A loop that spans
   *  event turns, or a write of its own, sees what was committed meanwhile. */
  range(options: {
    start?: string;
    end?: string;
    limit?: number;
    reverse?: boolean;
  }): Iterable<{ key: string; value: Uint8Array }>;
  keys(options: { start?: string; end?: string; limit?: number; reverse?: boolean }): Iterable<string>;
  /** As `range`, for many entries at once: calls `visit` with each until it answers false. It may read, not write. */
  scan(options: { start?: string; end?: string }, visit: (key: string, value: Uint8Array) => boolean): void;
  /** Entries, counted by the database. */
  count(): number;
  /** The row of this key is missing, or is not what was put, as the rows beside it show: whoever opened the database hears
   *  of it. @returns `corrupt`, to be thrown */
  damaged(key: string): WormholeError;
}

/** Inside a batch: reads see the batch's own writes. */
export interface WritableTable extends Table {
  put(key: string, value: Uint8Array): void;
  remove(key: string): void;
}

export interface Batch {
  table(name: string): WritableTable;
}

export interface Database {
  /** A table for reading; it exists from the first use on. Names are fixed in the code that owns the table. */
  table(name: string): Table;
  /** Why nothing can be written any more, until it is opened anew. */
  readonly refusal: WormholeError | undefined;
  /** Runs `work` as one atomic batch on this thread and returns when it is committed: readers of every thread
   *  that begin afterwards see it, and it survives the death of the process. If `work` throws, nothing of it
   *  happened. A commit holds this thread up for an fdatasync (0.4 ms on an SSD, 10 to 30 on a hard disk) and
   *  for the batches of other threads: on the thread of the mount prefer `write`. A thread that is ended from
   *  outside (`Worker.terminate()`) in the midst of a batch keeps the others out for good: ask it to end.
   *  @throws WormholeError `full` when the disk is full; the database stays usable */
  writeNow(work: (batch: Batch) => void): void;
  /** Queues writes; they become one or several atomic batches, off this thread, in order; those of one call
   *  stay together. Resolves when they are committed as in `writeNow`. A `writeNow` may overtake what is
   *  still queued. */
  write(puts: readonly Write[]): Promise<void>;
  /** Resolves when everything committed so far survives a power cut. */
  flush(): Promise<void>;
  /** Forgets this thread's read snapshot, so that the next read sees what other threads committed. */
  refresh(): void;
  close(): Promise<void>;
}

/** One queued write; a missing value removes the key. */
export interface Write {
  table: string;
  key: string;
  value?: Uint8Array;
}
