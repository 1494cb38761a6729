import { type InodeId, LOST_FOUND, ROOT } from '../schema.js';
import { blankRow, isFolder, losersOf } from './registers.js';
import {
  type Context,
  type Counts,
  conflictInode,
  type Dentry,
  type Effects,
  type Row,
  type Seat,
  type Tables,
} from './tables.js';

interface Slot {
  before: Row | undefined;
  now: Row;
  /** `now` is a copy of our own. */
  edited: boolean;
  gone: boolean;
}

/** One resolution under way: the rows it has changed so far, what is still to be looked at, what became visible. */
export class Workspace {
  readonly tables: Tables;
  readonly context: Context;
  /** Inodes whose life may have changed. */
  readonly doubtful = new Set<InodeId>();
  /** Inodes whose seat may have changed. */
  readonly unsettled = new Set<InodeId>();
  /** Inodes that became folders. */
  readonly newFolders = new Set<InodeId>();
  /** Some inode is a folder no more. */
  lostFolder = false;
  /** Names in folders that are to be laid out again. */
  readonly dirty = new Map<string, Seat>();
  private readonly slots = new Map<InodeId, Slot>();
  /** Inodes that the tables do not have: asked only once. */
  private readonly absent = new Set<InodeId>();
  private readonly names = new Map<string, Seat>();
  private readonly virtual = new Set<InodeId>();
  private readonly folderTimes = new Map<InodeId, { mtime: bigint; setAt: bigint }>();
  /** When a folder's entries changed last in this batch. */
  private readonly entryTimes = new Map<InodeId, bigint>();

  constructor(tables: Tables, context: Context) {
    this.tables = tables;
    this.context = context;
  }

  /** The row as it stands; not to be changed. */
  row(inode: InodeId): Row | undefined {
    return this.slot(inode)?.now;
  }

  /** The row to be changed; a blank one where there was none. */
  edit(inode: InodeId): Row {
    let slot = this.slot(inode);
    if (slot === undefined) {
      slot = { before: undefined, now: blankRow(inode), edited: true, gone: false };
      this.slots.set(inode, slot);
    } else if (!slot.edited) {
      slot.now = { ...slot.now };
      slot.edited = true;
    }
    return slot.now;
  }

  /** The document does not have it any more: its row goes at the end. */
  drop(inode: InodeId): void {
    this.edit(inode);
    this.slots.get(inode)!.gone = true;
  }

  private slot(inode: InodeId): Slot | undefined {
    const known = this.slots.get(inode);
    if (known !== undefined) return known;
    if (this.absent.has(inode)) return undefined;
    const before = this.tables.row(inode);
    if (before === undefined && inode !== ROOT && inode !== LOST_FOUND) {
      this.absent.add(inode);
      return undefined;
    }
    const slot = { before, now: before ?? blankRow(inode), edited: false, gone: false };
    this.slots.set(inode, slot);
    return slot;
  }

  timeFor(inode: InodeId): bigint {
    return this.context.timesOf?.(inode)?.last ?? this.context.time;
  }

  /** A time set by hand holds over what changed in the folder in the same batch, but for what is known to have
   *  changed later. */
  setFolderTime(folder: InodeId, mtime: bigint): void {
    this.folderTimes.set(folder, { mtime, setAt: this.timeFor(folder) });
  }

  /** A name in a folder, and in the folder that shows it now: they may part before it is laid out. */
  soil(seat: Seat): void {
    const { parent, name } = seat;
    this.dirty.set(`${parent}\0${name}`, seat);
    const primary = this.row(parent)?.mergedInto;
    if (primary !== undefined) this.dirty.set(`${primary}\0${name}`, { parent: primary, name });
  }

  /** Makes a name visible. `cause`: the inode whose change did it. */
  putName(seat: Seat, dentry: Dentry, cause: InodeId): void {
    this.tables.putDentry(seat.parent, seat.name, dentry);
    this.countName(seat, dentry, cause, 1);
  }

  removeName(seat: Seat, cause: InodeId): void {
    const dentry = this.tables.dentry(seat.parent, seat.name);
    if (dentry === undefined) return;
    this.tables.removeDentry(seat.parent, seat.name);
    this.countName(seat, dentry, cause, -1);
  }

  private countName(seat: Seat, dentry: Dentry, cause: InodeId, by: 1 | -1): void {
    const time = this.context.timesOf?.(cause)?.placed ?? this.timeFor(cause);
    const folder = this.edit(seat.parent);
    if (time >= (this.entryTimes.get(seat.parent) ?? time)) {
      this.entryTimes.set(seat.parent, time);
      folder.mtime = time;
      folder.ctime = time;
    }
    if (dentry.kind === 'directory') folder.subfolders += by;
    this.names.set(`${seat.parent}\0${seat.name}`, seat);
    if (dentry.inode.includes('~')) this.virtual.add(dentry.inode);
    else {
      const row = this.edit(dentry.inode);
      row.names += by;
      if (dentry.kind !== 'directory') row.ctime = time;
    }
  }

  /** Writes what changed and says what of it shows. */
  finish(): Effects {
    const inodes: InodeId[] = [];
    const counts: Counts = { files: 0, directories: 0, bytes: 0, conflicts: 0, ignored: 0 };
    for (const [folder, { mtime, setAt }] of this.folderTimes) {
      if (setAt >= (this.entryTimes.get(folder) ?? setAt)) this.edit(folder).mtime = mtime;
    }
    for (const [inode, slot] of this.slots) {
      if (!slot.edited) continue;
      const { before, now } = slot;
      const gone = slot.gone || (inode === LOST_FOUND && !now.alive);
      if (gone) this.tables.removeRow(inode);
      else this.tables.putRow(inode, now);
      if (isVisible(inode, before) || isVisible(inode, now)) inodes.push(inode);
      // A losing value has its inode's attributes.
      for (const { id } of losersOf(now.registers)) this.virtual.add(conflictInode(inode, id));
      if (before !== undefined) count(counts, inode, before, -1);
      this.context.observe?.(inode, before, now);
      if (!gone) count(counts, inode, now, 1);
    }
    inodes.push(...this.virtual);
    return { inodes, names: [...this.names.values()], counts };
  }
}

function isVisible(inode: InodeId, row: Row | undefined): boolean {
  return inode === ROOT || (row !== undefined && row.names > 0);
}

function count(counts: Counts, inode: InodeId, row: Row, by: 1 | -1): void {
  if (row.shown !== undefined && row.shown.name !== row.seat?.name) counts.conflicts += by;
  counts.conflicts += by * row.shadows.length;
  if (inode === ROOT || inode === LOST_FOUND) return;
  const data = row.registers.d.at(-1)?.value;
  if (data === undefined) counts.ignored += by;
  else if (row.names === 0) return;
  else if (isFolder(inode, row)) counts.directories += by;
  else {
    counts.files += by;
    if (data.size > 0) counts.bytes += by * data.size;
  }
}
