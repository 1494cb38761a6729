import type { RangeOptions as LmdbRangeOptions, Database as LmdbStore } from 'lmdb';
import type { WormholeError } from '../base/index.js';
import type { WritableTable } from './database.js';
import { databaseError } from './database-error.js';
import { checkKey, FIRST_KEY } from './lmdb-key.js';
import { frameValue, rottenRow, unframeValue } from './value-frame.js';

export type Store = LmdbStore<Uint8Array, string>;

export interface RangeOptions {
  start?: string;
  end?: string;
  limit?: number;
  reverse?: boolean;
}

/** A range is read in blocks, so that a loop that is left half-way, or writes as it goes, holds no cursor open. */
const blockEntriesFirst = 32;
const blockEntriesMax = 1024;

export interface TableGuard {
  /** @throws WormholeError when the database may not be read */
  check(): void;
  /** @param bytes of the value that is to be written; undefined: a row is removed
   *  @throws WormholeError when no batch is running, or the disk has no room */
  checkWrite(bytes?: number): void;
  /** Hears of every damage that is found. @param row that is not what was put; undefined: it is not the row alone */
  damaged(error: WormholeError, row?: DamagedRow): void;
}

export interface DamagedRow {
  table: string;
  key: string;
}

/** One named table on one thread. `writable` says whether a batch of this thread is running. */
export class LmdbTable implements WritableTable {
  readonly store: Store;
  private readonly name: string;
  private readonly path: string;
  private readonly guard: TableGuard;

  constructor(store: Store, name: string, path: string, guard: TableGuard) {
    this.store = store;
    this.name = name;
    this.path = path;
    this.guard = guard;
  }

  get(key: string): Uint8Array | undefined {
    checkKey(key);
    this.guard.check();
    const framed = this.run(() => this.store.get(key));
    return framed === undefined ? undefined : this.unframe(key, framed);
  }

  has(key: string): boolean {
    checkKey(key);
    this.guard.check();
    return this.run(() => this.store.doesExist(key));
  }

  range(options: RangeOptions): Generator<Entry> {
    const openEntry = ({ key, value }: Entry) => ({ key, value: this.unframe(key, value) });
    return this.blocks(options, (bounds) => this.store.getRange(bounds), keyOfEntry, openEntry);
  }

  keys(options: RangeOptions): Generator<string> {
    return this.blocks(options, (bounds) => this.store.getKeys(bounds), keyOfKey, keyOfKey);
  }

  scan(options: { start?: string; end?: string }, visit: (key: string, value: Uint8Array) => boolean): void {
    const bounds = boundsOf(options);
    if (bounds === undefined) return;
    this.guard.check();
    const entries = this.run(() => this.store.getRange(bounds as LmdbRangeOptions)[Symbol.iterator]());
    const next = () => entries.next();
    try {
      for (let entry = this.run(next); entry.done !== true; entry = this.run(next)) {
        const { key, value } = entry.value;
        if (!visit(key, this.unframe(key, value))) return;
      }
    } finally {
      entries.return?.();
    }
  }

  count(): number {
    this.guard.check();
    return this.run(() => this.store.getKeysCount({ start: FIRST_KEY }));
  }

  damaged(key: string): WormholeError {
    const error = rottenRow();
    this.guard.damaged(error, { table: this.name, key });
    return error;
  }

  put(key: string, value: Uint8Array): void {
    checkKey(key);
    this.guard.checkWrite(value.length);
    this.run(() => this.store.putSync(key, frameValue(key, value)));
  }

  remove(key: string): void {
    checkKey(key);
    this.guard.checkWrite();
    this.run(() => this.store.removeSync(key));
  }

  private *blocks<T>(
    options: RangeOptions,
    read: (bounds: LmdbRangeOptions) => Iterable<T>,
    keyOf: (entry: T) => string,
    open: (entry: T) => T,
  ): Generator<T> {
    const bounds = boundsOf(options);
    if (bounds === undefined) return;
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    let size = blockEntriesFirst;
    while (left > 0) {
      this.guard.check();
      const limit = Math.min(size, left);
      const block = this.run(() => Array.from(read({ ...bounds, limit } as LmdbRangeOptions)));
      for (const entry of block) yield open(entry);
      if (block.length < limit) return;
      left -= block.length;
      bounds.start = keyOf(block[block.length - 1] as T);
      bounds.exclusiveStart = true;
      size = Math.min(size * 4, blockEntriesMax);
    }
  }

  private unframe(key: string, framed: Uint8Array): Uint8Array {
    const value = unframeValue(key, framed);
    if (value !== undefined) return value;
    throw this.damaged(key);
  }

  private run<T>(action: () => T): T {
    try {
      return action();
    } catch (cause) {
      const error = databaseError(cause, this.path);
      if (error.code === 'corrupt') this.guard.damaged(error);
      throw error;
    }
  }
}

/** Always with all its properties: lmdb's own defaults for a missing bound leave out keys that begin with a
 *  control character. */
interface Bounds {
  start: string | undefined;
  end: string | undefined;
  reverse: boolean;
  exclusiveStart: boolean;
}

/** What lmdb is asked for, or undefined when nothing can match. An empty `start` or `end` is before every key. */
function boundsOf(options: RangeOptions): Bounds | undefined {
  const reverse = options.reverse === true;
  const { start, end } = options;
  if (start) checkKey(start);
  if (end) checkKey(end);
  if (reverse ? start === '' : end === '') return undefined;
  return {
    start: reverse ? start : start || FIRST_KEY,
    end: end === '' ? undefined : end,
    reverse,
    exclusiveStart: false,
  };
}

interface Entry {
  key: string;
  value: Uint8Array;
}

const keyOfEntry = (entry: Entry) => entry.key;
const keyOfKey = (key: string) => key;
