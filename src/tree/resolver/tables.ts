import type { InodeId, Kind, OpId, Registers } from '../schema.js';

export interface Seat {
  parent: InodeId;
  name: string;
}

/** What the resolver knows and decided about one inode. */
export interface Row {
  registers: Registers;
  /** The location chosen for it (three-way merge, cycles undone), whether or not it is alive. */
  seat?: Seat;
  /** Where it is visible: the parent is a primary folder, the name is the one shown. Absent: not visible. */
  shown?: Seat;
  /** A folder merged with others of its name: the primary shows the union. */
  mergedInto?: InodeId;
  /** On a primary: the other folders (or equal files) shown as this one. */
  members?: InodeId[];
  /** Hard link inodes that name this one and are alive. */
  links?: InodeId[];
  /** Visible subfolders, for st_nlink. */
  subfolders: number;
  /** This machine's own times, nanoseconds; a folder's mtime moves when an entry does. Decide nothing. */
  ctime: bigint;
  mtime: bigint;
}

export interface Dentry {
  /** May be a virtual one: `<inode>~<operation id>`, the losing value of a concurrent edit. */
  inode: InodeId;
  kind: Exclude<Kind, 'link'>;
}

/**
 * The resolver's input and output: typed tables over the database (in the worker), over the database and the
 * operations not yet in it (on the main thread), or in memory (in tests). All ranges are in byte order of UTF-8.
 */
export interface Tables {
  row(inode: InodeId): Row | undefined;
  putRow(inode: InodeId, row: Row): void;
  removeRow(inode: InodeId): void;
  /** Inodes by their seat: all under a parent, or all with one name there. Includes the dead and the hidden. */
  seated(parent: InodeId, name?: string): Iterable<{ name: string; inode: InodeId }>;
  putSeat(seat: Seat, inode: InodeId): void;
  removeSeat(seat: Seat, inode: InodeId): void;
  /** The visible tree. */
  dentry(parent: InodeId, name: string): Dentry | undefined;
  dentries(
    parent: InodeId,
    after: string | undefined,
    limit: number,
  ): Iterable<{ name: string; dentry: Dentry }>;
  putDentry(parent: InodeId, name: string, dentry: Dentry): void;
  removeDentry(parent: InodeId, name: string): void;
}

/** The virtual inode that shows a losing value. */
export function conflictInode(inode: InodeId, version: OpId): InodeId {
  return `${inode}~${version}`;
}

/** The inode and version of a virtual inode, or undefined for a real one. */
export function parseConflictInode(id: InodeId): { inode: InodeId; version: OpId } | undefined {
  const at = id.indexOf('~');
  return at < 0 ? undefined : { inode: id.slice(0, at), version: id.slice(at + 1) };
}
