import type { Dentry, Row, Seat, Tables } from '../resolver/tables.js';
import type { InodeId } from '../schema.js';
import type { IndexReader } from './database-tables.js';
import { EMPTY_NAME, type NameRecord } from './name-record.js';
import { compareUtf8 } from './order.js';

/** What a layer holds instead of what lies below. An undefined value: it is gone. */
export interface Held<Value> {
  value: Value;
  /** Number of the last operation that touched it. */
  stamp: number;
}

/** Marks are kept like the seats of a folder that cannot be: a set of inodes under a name. */
export const MARKS: InodeId = '~';

interface Folder {
  names: Map<string, Held<NameRecord>>;
  /** The names in byte order, until one is added or dropped. */
  sorted: string[] | undefined;
}

/**
 * The resolver's tables as a layer of changes over a reader. In the engine's worker the layer is one batch that
 * is then written; on the main thread it is the operations that the worker has not yet echoed.
 */
export class LayeredTables implements Tables {
  private readonly below: IndexReader;
  private readonly rows = new Map<InodeId, Held<Row | undefined>>();
  private readonly folders = new Map<InodeId, Folder>();
  /** Written into every entry that is touched from now on. */
  stamp = 0;
  /** Told of everything that is touched. */
  onRow: ((inode: InodeId) => void) | undefined;
  onName: ((parent: InodeId, name: string) => void) | undefined;

  constructor(below: IndexReader) {
    this.below = below;
  }

  row(inode: InodeId): Row | undefined {
    const held = this.rows.get(inode);
    return held === undefined ? this.below.row(inode) : held.value;
  }

  putRow(inode: InodeId, row: Row): void {
    this.rows.set(inode, { value: row, stamp: this.stamp });
    this.onRow?.(inode);
  }

  removeRow(inode: InodeId): void {
    this.rows.set(inode, { value: undefined, stamp: this.stamp });
    this.onRow?.(inode);
  }

  /** The record of a name, as the layer or what lies below has it. */
  name(parent: InodeId, name: string): NameRecord | undefined {
    const held = this.folders.get(parent)?.names.get(name);
    return held === undefined ? this.below.name(parent, name) : held.value;
  }

  *seated(parent: InodeId, name?: string): Iterable<{ name: string; inode: InodeId }> {
    if (name !== undefined) {
      for (const inode of this.name(parent, name)?.seats ?? []) yield { name, inode };
      return;
    }
    for (const { name, record } of this.scan(parent, undefined)) {
      for (const inode of record.seats) yield { name, inode };
    }
  }

  putSeat({ parent, name }: Seat, inode: InodeId): void {
    const record = this.name(parent, name) ?? EMPTY_NAME;
    if (record.seats.includes(inode)) return;
    const seats = [...record.seats, inode].sort(compareUtf8);
    this.setName(parent, name, { ...record, seats });
  }

  removeSeat({ parent, name }: Seat, inode: InodeId): void {
    const record = this.name(parent, name);
    if (!record?.seats.includes(inode)) return;
    this.setName(parent, name, { ...record, seats: record.seats.filter((other) => other !== inode) });
  }

  *marked(mark: string): Iterable<InodeId> {
    yield* this.name(MARKS, mark)?.seats ?? [];
  }

  putMark(mark: string, inode: InodeId): void {
    this.putSeat({ parent: MARKS, name: mark }, inode);
  }

  removeMark(mark: string, inode: InodeId): void {
    this.removeSeat({ parent: MARKS, name: mark }, inode);
  }

  dentry(parent: InodeId, name: string): Dentry | undefined {
    return this.name(parent, name)?.dentry;
  }

  *dentries(
    parent: InodeId,
    after: string | undefined,
    limit: number,
  ): Iterable<{ name: string; dentry: Dentry }> {
    let left = limit;
    if (left <= 0) return;
    for (const { name, record } of this.scan(parent, after)) {
      if (record.dentry === undefined) continue;
      yield { name, dentry: record.dentry };
      if (--left <= 0) return;
    }
  }

  putDentry(parent: InodeId, name: string, dentry: Dentry): void {
    const record = this.name(parent, name) ?? EMPTY_NAME;
    const { inode, kind, by } = record.dentry ?? {};
    if (inode === dentry.inode && kind === dentry.kind && by === dentry.by) return;
    this.setName(parent, name, { seats: record.seats, dentry });
  }

  removeDentry(parent: InodeId, name: string): void {
    const record = this.name(parent, name);
    if (record?.dentry !== undefined) this.setName(parent, name, { seats: record.seats });
  }

  /** Everything that the layer holds. */
  *heldRows(): Iterable<[InodeId, Row | undefined]> {
    for (const [inode, { value }] of this.rows) yield [inode, value];
  }

  *heldNames(): Iterable<[InodeId, string, NameRecord]> {
    for (const [parent, folder] of this.folders) {
      for (const [name, { value }] of folder.names) yield [parent, name, value];
    }
  }

  /** Lets go of a row unless an operation after `stamp` touched it; what lies below is then seen again. */
  dropRow(inode: InodeId, stamp: number): Held<Row | undefined> | undefined {
    const held = this.rows.get(inode);
    if (held === undefined || held.stamp > stamp) return undefined;
    this.rows.delete(inode);
    return held;
  }

  dropName(parent: InodeId, name: string, stamp: number): Held<NameRecord> | undefined {
    const folder = this.folders.get(parent);
    const held = folder?.names.get(name);
    if (folder === undefined || held === undefined || held.stamp > stamp) return undefined;
    folder.names.delete(name);
    folder.sorted = undefined;
    if (folder.names.size === 0) this.folders.delete(parent);
    return held;
  }

  /** Leaves this layer empty. @param other an empty one over the same reader */
  moveTo(other: LayeredTables): void {
    for (const [inode, held] of this.rows) other.rows.set(inode, held);
    for (const [parent, folder] of this.folders) other.folders.set(parent, folder);
    this.clear();
  }

  clear(): void {
    this.rows.clear();
    this.folders.clear();
  }

  private setName(parent: InodeId, name: string, record: NameRecord): void {
    let folder = this.folders.get(parent);
    if (folder === undefined) {
      folder = { names: new Map(), sorted: undefined };
      this.folders.set(parent, folder);
    }
    if (!folder.names.has(name)) folder.sorted = undefined;
    folder.names.set(name, { value: record, stamp: this.stamp });
    this.onName?.(parent, name);
  }

  /** A folder's names in byte order, the layer's merged with those below; names added while it runs may be
   *  missed. */
  private *scan(parent: InodeId, after: string | undefined): Iterable<{ name: string; record: NameRecord }> {
    const folder = this.folders.get(parent);
    if (folder === undefined) {
      yield* this.below.names(parent, after);
      return;
    }
    folder.sorted ??= [...folder.names.keys()].sort(compareUtf8);
    const { names, sorted } = folder;
    let at = after === undefined ? 0 : firstAfter(sorted, after);
    for (const entry of this.below.names(parent, after)) {
      for (; at < sorted.length && compareUtf8(sorted[at] as string, entry.name) < 0; at++) {
        yield held(names, sorted[at] as string);
      }
      if (sorted[at] !== entry.name) yield entry;
    }
    for (; at < sorted.length; at++) yield held(names, sorted[at] as string);
  }
}

function held(names: Map<string, Held<NameRecord>>, name: string): { name: string; record: NameRecord } {
  return { name, record: names.get(name)?.value ?? EMPTY_NAME };
}

/** The first place in a sorted list whose name is above `after`. */
function firstAfter(sorted: readonly string[], after: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareUtf8(sorted[middle] as string, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
