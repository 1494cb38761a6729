import assert from 'node:assert/strict';
import type { Dentry, Row, Seat, Tables } from '../../../src/tree/resolver/tables.js';
import type { InodeId } from '../../../src/tree/schema.js';

/** The resolver's tables in memory. They hold it to its promises: no write while a range is read, no name that a
 *  kernel would not take. */
export class MemoryTables implements Tables {
  readonly rows = new Map<InodeId, Row>();
  readonly folders = new Map<InodeId, Map<string, Dentry>>();
  readonly seats = new Map<InodeId, Map<string, Set<InodeId>>>();
  readonly marks = new Map<string, Set<InodeId>>();
  private writes = 0;

  row(inode: InodeId): Row | undefined {
    return this.rows.get(inode);
  }

  putRow(inode: InodeId, row: Row): void {
    this.rows.set(inode, row);
  }

  removeRow(inode: InodeId): void {
    this.rows.delete(inode);
  }

  seated(parent: InodeId, name?: string): Iterable<{ name: string; inode: InodeId }> {
    return this.range(this.seatsOf(parent, name));
  }

  private *seatsOf(parent: InodeId, name?: string): Iterable<{ name: string; inode: InodeId }> {
    const names = this.seats.get(parent);
    if (names === undefined) return;
    if (name === undefined) {
      for (const [at, inodes] of names) for (const inode of inodes) yield { name: at, inode };
    } else for (const inode of names.get(name) ?? []) yield { name, inode };
  }

  putSeat({ parent, name }: Seat, inode: InodeId): void {
    this.writes++;
    checkName(name);
    const names = this.seats.get(parent) ?? new Map<string, Set<InodeId>>();
    this.seats.set(parent, names);
    const inodes = names.get(name);
    if (inodes === undefined) names.set(name, new Set([inode]));
    else inodes.add(inode);
  }

  removeSeat({ parent, name }: Seat, inode: InodeId): void {
    this.writes++;
    const names = this.seats.get(parent);
    const inodes = names?.get(name);
    if (names === undefined || inodes === undefined || !inodes.delete(inode)) return;
    if (inodes.size === 0) names.delete(name);
    if (names.size === 0) this.seats.delete(parent);
  }

  marked(mark: string): Iterable<InodeId> {
    return this.range(this.marks.get(mark) ?? []);
  }

  putMark(mark: string, inode: InodeId): void {
    this.writes++;
    const inodes = this.marks.get(mark);
    if (inodes === undefined) this.marks.set(mark, new Set([inode]));
    else inodes.add(inode);
  }

  removeMark(mark: string, inode: InodeId): void {
    this.writes++;
    const inodes = this.marks.get(mark);
    if (inodes?.delete(inode) && inodes.size === 0) this.marks.delete(mark);
  }

  dentry(parent: InodeId, name: string): Dentry | undefined {
    return this.folders.get(parent)?.get(name);
  }

  dentries(
    parent: InodeId,
    after: string | undefined,
    limit: number,
  ): Iterable<{ name: string; dentry: Dentry }> {
    const rest = [...(this.folders.get(parent) ?? [])].filter(
      ([name]) => after === undefined || compareBytes(name, after) > 0,
    );
    rest.sort(([a], [b]) => compareBytes(a, b));
    return this.range(rest.slice(0, limit).map(([name, dentry]) => ({ name, dentry })));
  }

  putDentry(parent: InodeId, name: string, dentry: Dentry): void {
    this.writes++;
    checkName(name);
    const folder = this.folders.get(parent);
    if (folder === undefined) this.folders.set(parent, new Map([[name, dentry]]));
    else folder.set(name, dentry);
  }

  removeDentry(parent: InodeId, name: string): void {
    this.writes++;
    this.folders.get(parent)?.delete(name);
  }

  private *range<T>(items: Iterable<T>): Iterable<T> {
    const writes = this.writes;
    for (const item of items) {
      yield item;
      assert.equal(this.writes, writes, 'the tables were written while a range of them was read');
    }
  }
}

/** Only what a kernel takes as a name may be stored or shown. */
function checkName(name: string): void {
  const fits = name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 255;
  assert.ok(fits && !/[/\0]/.test(name) && name.isWellFormed(), `not a name: ${JSON.stringify(name)}`);
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
