import type { InodeId, Kind, OpId, Registers } from '../schema.js';

export interface Seat {
  parent: InodeId;
  name: string;
}

/** The losing value of a concurrent edit, shown as a virtual file beside the winner. */
export interface Shadow extends Seat {
  /** {@link conflictInode} of the inode and the losing version. */
  inode: InodeId;
}

/** What the resolver knows and decided about one inode: a plain value. */
export interface Row {
  /** As the document has them. The root and `lost+found` may have none (all four empty). */
  registers: Registers;
  /** The location chosen for it (three-way merge, cycles undone, name made safe), whether or not it is alive.
   *  Undefined for the root only. */
  seat: Seat | undefined;
  /** Neither deleted nor, as a hard link, without target; a folder also lives while a child of it does. */
  alive: boolean;
  /** Where its own name is visible: the parent is a primary folder, the name is the one shown. Undefined: not
   *  visible by itself (dead, merged into another, or the root). */
  shown: Seat | undefined;
  /** A folder merged with others of its name, or a file equal to another of its name: that other (primary). */
  mergedInto: InodeId | undefined;
  /** On a primary: the other folders (or equal files) shown as this one. Empty for most. */
  members: readonly InodeId[];
  /** Losing values of `d` that are shown beside this inode's name. Empty for most. */
  shadows: readonly Shadow[];
  /** Visible subfolders, for st_nlink. */
  subfolders: number;
  /** Living hard link inodes that name this one. */
  links: number;
  /** Dentries that name this inode: st_nlink of a file. 0: not visible. */
  names: number;
  /** This machine's own times, nanoseconds; a folder's mtime moves when an entry does. Decide nothing. */
  ctime: bigint;
  /** Of a folder. A file's is in its registers. */
  mtime: bigint;
}

export interface Dentry {
  /** A hard link's dentry has the inode it names. May be virtual: `<inode>~<operation id>` ({@link Shadow}). */
  inode: InodeId;
  kind: Exclude<Kind, 'link'>;
  /** The inode whose location makes this name, where that is another: the hard link. */
  by?: InodeId;
}

/**
 * The resolver's input and output: typed tables over the database (in the worker), over the database and the
 * operations not yet in it (on the main thread), or in memory (in tests). All ranges are in byte order of UTF-8.
 * Reads see the writes before them; ranges are consumed before the next write. Rows handed in or out are
 * never changed afterwards by either side (so a table may keep them as they are).
 */
export interface Tables {
  row(inode: InodeId): Row | undefined;
  putRow(inode: InodeId, row: Row): void;
  removeRow(inode: InodeId): void;
  /** Living inodes by their seat: all under a parent, or all with one name there. Those merged into others and
   *  those shown under a conflict name are among them; the dead are not. */
  seated(parent: InodeId, name?: string): Iterable<{ name: string; inode: InodeId }>;
  putSeat(seat: Seat, inode: InodeId): void;
  removeSeat(seat: Seat, inode: InodeId): void;
  /** Small sets of inodes under a key of the resolver's own, such as `refs:<inode>`: links to an inode, and who
   *  waits for it. The key may contain any character but NUL. Most inodes have none. */
  marked(mark: string): Iterable<InodeId>;
  putMark(mark: string, inode: InodeId): void;
  removeMark(mark: string, inode: InodeId): void;
  /** The visible tree. */
  dentry(parent: InodeId, name: string): Dentry | undefined;
  /** Entries after a name (exclusive), at most `limit`. */
  dentries(
    parent: InodeId,
    after: string | undefined,
    limit: number,
  ): Iterable<{ name: string; dentry: Dentry }>;
  putDentry(parent: InodeId, name: string, dentry: Dentry): void;
  removeDentry(parent: InodeId, name: string): void;
}

/** One inode whose registers are now these; undefined: the document has no such inode. */
export interface Change {
  inode: InodeId;
  registers: Registers | undefined;
}

/** When operations of this machine changed an inode, by its wall clock, nanoseconds. */
export interface LocalTimes {
  last: bigint;
  /** When it came, moved or went; absent where these did none of it. */
  placed?: bigint;
}

export interface Context {
  /** This machine's wall clock, nanoseconds: becomes ctime and the folders' mtime; decides nothing. */
  time: bigint;
  /** Override `time` for an inode that local operations changed. */
  timesOf?(inode: InodeId): LocalTimes | undefined;
  /** Told of every inode that changed. */
  observe?(inode: InodeId, before: Row | undefined, now: Row): void;
}

/** What a resolution did to the visible tree. */
export interface Effects {
  /** Inodes whose attributes or content changed, came or went; virtual ones too. */
  inodes: InodeId[];
  /** Entries that came, went, or now name another inode. */
  names: Seat[];
  counts: Counts;
}

/** Differences, to be added to the totals. */
export interface Counts {
  /** Visible inodes that are not folders, each once, losing values among them. */
  files: number;
  /** Visible folders without the root and `lost+found`; a merged folder is one. */
  directories: number;
  /** Sizes of `files`. */
  bytes: number;
  /** Entries shown under a conflict name. */
  conflicts: number;
  /** Inodes in the document that do not fit the schema (no valid data register). */
  ignored: number;
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
