import { WormholeError } from '../../src/base/index.js';
import type { Batch, Database, Table, WritableTable, Write } from '../../src/store/index.js';
import { rottenRow } from '../../src/store/value-frame.js';
import type { Disk } from './disk.js';
import { onStage } from './stage.js';

const COMMIT_MS = 3;

/** Entries in the order of their keys' bytes. */
class Rows {
  private readonly values = new Map<string, Uint8Array>();
  private sorted: string[] | undefined = [];

  get(key: string): Uint8Array | undefined {
    return this.values.get(key);
  }

  set(key: string, value: Uint8Array | undefined): void {
    if (value === undefined ? this.values.delete(key) : !this.values.has(key)) this.sorted = undefined;
    if (value !== undefined) this.values.set(key, new Uint8Array(value));
  }

  get size(): number {
    return this.values.size;
  }

  keys(): string[] {
    this.sorted ??= [...this.values.keys()].sort(compareKeys);
    return this.sorted;
  }

  clear(): void {
    this.values.clear();
    this.sorted = [];
  }
}

const ASCII = /^[\0-\x7f]*$/;

function compareKeys(a: string, b: string): number {
  if (ASCII.test(a) && ASCII.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** How many keys are before another one, or not after it. */
function placeOf(keys: readonly string[], key: string, including: boolean): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = keys[middle] as string;
    const isBefore = other === key ? including : compareKeys(other, key) < 0;
    if (isBefore) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What lies on the disk: every process and thread that opens it sees the same. */
class Stored {
  readonly tables = new Map<string, Rows>();
  private readonly flushed: boolean;
  private readonly folder: string;
  private readonly disk: Disk;

  constructor(disk: Disk, folder: string, flushed: boolean) {
    this.disk = disk;
    this.folder = folder;
    this.flushed = flushed;
  }

  rows(name: string): Rows {
    let rows = this.tables.get(name);
    if (rows === undefined) {
      rows = new Rows();
      this.tables.set(name, rows);
    }
    return rows;
  }

  /** A commit is durable when anybody can see it; what is not flushed is thrown away, as its mark says. */
  powerCut(): void {
    if (!this.flushed) this.disk.databases.delete(this.folder);
  }
}

type RangeOptions = Parameters<Table['range']>[0];

class SimulatedTable implements WritableTable {
  private readonly rows: Rows;
  private readonly write: ((key: string, value: Uint8Array | undefined) => void) | undefined;

  constructor(rows: Rows, write?: (key: string, value: Uint8Array | undefined) => void) {
    this.rows = rows;
    this.write = write;
  }

  get(key: string): Uint8Array | undefined {
    const value = this.rows.get(key);
    return value === undefined ? undefined : Buffer.from(value);
  }

  has(key: string): boolean {
    return this.rows.get(key) !== undefined;
  }

  scan(options: RangeOptions, visit: (key: string, value: Uint8Array) => boolean): void {
    for (const { key, value } of this.range(options)) if (!visit(key, value)) return;
  }

  *range(options: RangeOptions): Generator<{ key: string; value: Uint8Array }> {
    for (const key of this.keys(options)) {
      const value = this.get(key);
      if (value !== undefined) yield { key, value };
    }
  }

  *keys({ start, end, limit = Number.POSITIVE_INFINITY, reverse = false }: RangeOptions): Generator<string> {
    const all = this.rows.keys();
    const step = reverse ? -1 : 1;
    // From the start on, which is part of it, to the end, which is not.
    const from = start === undefined ? (reverse ? all.length : 0) : placeOf(all, start, reverse);
    const to = end === undefined ? (reverse ? 0 : all.length) : placeOf(all, end, reverse);
    let at = reverse ? from - 1 : from;
    for (let left = limit; left > 0 && (reverse ? at >= to : at < to); left--) {
      yield all[at] as string;
      at += step;
    }
  }

  count(): number {
    return this.rows.size;
  }

  damaged(): WormholeError {
    return rottenRow();
  }

  put(key: string, value: Uint8Array): void {
    this.checked()(key, value);
  }

  remove(key: string): void {
    this.checked()(key, undefined);
  }

  private checked(): (key: string, value: Uint8Array | undefined) => void {
    if (this.write === undefined) throw new WormholeError('internal', 'a table was written outside a batch');
    return this.write;
  }
}

/** The embedded database on a simulated disk; what the product asks of LMDB, and no more. */
class SimulatedDatabase implements Database {
  private readonly stored: Stored;
  private readonly disk: Disk;
  private last: Promise<void> = Promise.resolve();
  readonly refusal = undefined;
  private closed = false;

  constructor(disk: Disk, stored: Stored) {
    this.disk = disk;
    this.stored = stored;
  }

  table(name: string): Table {
    this.check();
    return new SimulatedTable(this.stored.rows(name));
  }

  writeNow(work: (batch: Batch) => void): void {
    this.check();
    if (this.disk.refuses(1)) throw new WormholeError('full', 'the disk is full (simulated)');
    const undo: (() => void)[] = [];
    try {
      work({
        table: (name) => {
          const rows = this.stored.rows(name);
          return new SimulatedTable(rows, (key, value) => {
            const before = rows.get(key);
            undo.push(() => rows.set(key, before));
            rows.set(key, value);
          });
        },
      });
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  write(puts: readonly Write[]): Promise<void> {
    this.check();
    const { stage, actor } = onStage() as NonNullable<ReturnType<typeof onStage>>;
    const copies = puts.map((put) => ({ ...put }));
    const committed = this.last
      .catch(() => {})
      .then(
        () =>
          new Promise<void>((resolve) =>
            stage.after(actor, actor.numbers.below(1000 * COMMIT_MS) / 1000, resolve),
          ),
      )
      .then(() => {
        if (this.disk.refuses(1)) throw new WormholeError('full', 'the disk is full (simulated)');
        for (const { table, key, value } of copies) this.stored.rows(table).set(key, value);
      });
    this.last = committed;
    return committed;
  }

  async flush(): Promise<void> {
    await this.last.catch(() => {});
  }

  refresh(): void {
    this.check();
  }

  async close(): Promise<void> {
    await this.flush();
    this.closed = true;
  }

  private check(): void {
    if (this.closed) throw new WormholeError('closed', 'the database is closed');
  }
}

/** A byte of a row turns. @returns false when there is no such row */
export function rotRow(disk: Disk, folder: string, table: string, key: string): boolean {
  const rows = (disk.databases.get(folder) as Stored | undefined)?.rows(table);
  const value = rows?.get(key);
  if (rows === undefined || value === undefined || value.length === 0) return false;
  const rotten = Uint8Array.from(value);
  rotten[0] = (rotten[0] as number) ^ 0x41;
  rows.set(key, rotten);
  return true;
}

/** Opens the database in a folder of a simulated disk, or makes it. */
export function openSimulatedDatabase(disk: Disk, folder: string, options: { flushed: boolean }): Database {
  const stored =
    (disk.databases.get(folder) as Stored | undefined) ?? new Stored(disk, folder, options.flushed);
  disk.databases.set(folder, stored);
  return new SimulatedDatabase(disk, stored);
}
