import { compareOpIds, type Data, type InodeId, type OpId, type Versioned } from '../schema.js';
import { conflictNames, looksLikeConflict } from './conflict-names.js';
import { linksOf, setMerged, unshow } from './life.js';
import { contentKey, isFolder, locationId, losersOf, targetOf } from './registers.js';
import {
  conflictInode,
  type Dentry,
  parseConflictInode,
  type Row,
  type Seat,
  type Shadow,
} from './tables.js';
import type { Workspace } from './workspace.js';

/** An inode that wants a name, with the row that holds its data: the linked one's, if it is a hard link. */
interface Claimant {
  inode: InodeId;
  row: Row;
  location: OpId;
  source: InodeId;
  sourceRow: Row;
}

/** What one claimant gets. */
interface Placement {
  claimant: InodeId;
  shown?: { seat: Seat; dentry: Dentry };
  mergedInto?: InodeId;
  shadows: { shadow: Shadow; dentry: Dentry }[];
}

/** Equal contents under one name; shown once. `version` names it in its conflict name. */
interface Share {
  claimant: Claimant;
  version: OpId;
  data: Data;
  /** The losing value, if no claimant's winner is equal to it. */
  loser?: { inode: InodeId; version: OpId };
}

/** Lays out all dirty names; what that moves makes further names dirty, deeper in the tree. */
export function layOutNames(space: Workspace): void {
  for (const [key, { parent, name }] of space.dirty) {
    space.dirty.delete(key);
    layOut(space, space.row(parent)?.mergedInto ?? parent, name);
  }
}

function layOut(space: Workspace, folder: InodeId, name: string): void {
  const claimants = claimantsOf(space, folder, name);
  if (claimants.length === 0) {
    freeName(space, folder, name);
    return;
  }
  const only = claimants[0]!;
  if (claimants.length === 1 && only.row.registers.d.length === 1 && only.row === only.sourceRow) {
    const shown = { seat: { parent: folder, name }, dentry: dentryOf(only) };
    apply(space, [{ claimant: only.inode, shown, shadows: [] }]);
  } else apply(space, placeAll(space, folder, name, claimants));
}

function claimantsOf(space: Workspace, folder: InodeId, name: string): Claimant[] {
  const claimants: Claimant[] = [];
  const members = space.row(folder)?.members ?? [];
  for (let i = -1; i < members.length; i++) {
    const inodes: InodeId[] = [];
    for (const { inode } of space.tables.seated(i < 0 ? folder : members[i]!, name)) inodes.push(inode);
    for (const inode of inodes) {
      const row = space.row(inode)!;
      const source = targetOf(inode, row.registers) ?? inode;
      const sourceRow = source === inode ? row : space.row(source)!;
      claimants.push({ inode, row, location: locationId(inode, row.registers), source, sourceRow });
    }
  }
  if (claimants.length > 1) claimants.sort(compareClaimants);
  return claimants;
}

/** The lowest location id was there first. */
function compareClaimants(a: Claimant, b: Claimant): number {
  const ids = compareOpIds(a.location, b.location);
  return ids !== 0 ? ids : a.inode < b.inode ? -1 : 1;
}

function placeAll(space: Workspace, parent: InodeId, name: string, claimants: Claimant[]): Placement[] {
  const placements = new Map<InodeId, Placement>();
  for (const { inode } of claimants) placements.set(inode, { claimant: inode, shadows: [] });
  const folders = claimants.filter(({ inode, row }) => isFolder(inode, row));
  const [primary, ...merged] = folders;
  if (primary !== undefined) {
    placements.get(primary.inode)!.shown = { seat: { parent, name }, dentry: dentryOf(primary) };
    for (const { inode } of merged) placements.get(inode)!.mergedInto = primary.inode;
  }
  const names = new NamePicker(space, parent, name, primary === undefined);
  for (const share of sharesOf(space, claimants, placements)) {
    const { claimant, loser, data } = share;
    const seat = { parent, name: names.pick(share) };
    const placement = placements.get(claimant.inode)!;
    if (loser === undefined) placement.shown = { seat, dentry: dentryOf(claimant) };
    else {
      const inode = conflictInode(loser.inode, loser.version);
      const kind = data.kind as Dentry['kind'];
      placement.shadows.push({ shadow: { inode, ...seat }, dentry: { inode, kind, by: claimant.inode } });
    }
  }
  return [...placements.values()];
}

/** Files by content: winners first, in the order of their locations, then losers, in the order of their versions.
 *  Claimants whose content another has already become its members. */
function sharesOf(space: Workspace, claimants: Claimant[], placements: Map<InodeId, Placement>): Share[] {
  const shares = new Map<string, Share>();
  for (const claimant of claimants) {
    if (isFolder(claimant.inode, claimant.row)) continue;
    const data = claimant.sourceRow.registers.d.at(-1)!.value;
    const key = contentKey(data);
    const first = shares.get(key);
    if (first !== undefined) placements.get(claimant.inode)!.mergedInto = first.claimant.inode;
    else shares.set(key, { claimant, version: claimant.location, data });
  }
  const losers = claimants.flatMap((claimant) => shownLosers(space, claimant));
  losers.sort((a, b) => compareOpIds(a.version, b.version));
  for (const share of losers) {
    const key = contentKey(share.data);
    if (!shares.has(key)) shares.set(key, share);
  }
  return [...shares.values()];
}

/** Losing values show beside one name only: the inode's own while it lives, else its first hard link. */
function shownLosers(space: Workspace, claimant: Claimant): Share[] {
  const { inode, row, source, sourceRow } = claimant;
  const share = (owner: InodeId, { id, value }: Versioned<Data>): Share => {
    return { claimant, version: id, data: value, loser: { inode: owner, version: id } };
  };
  const own = losersOf(row.registers).map((loser) => share(inode, loser));
  if (source === inode || sourceRow.registers.d.length < 2 || sourceRow.alive) return own;
  if (firstLink(space, source) !== inode) return own;
  return [...own, ...losersOf(sourceRow.registers).map((loser) => share(source, loser))];
}

function firstLink(space: Workspace, inode: InodeId): InodeId | undefined {
  let first: { inode: InodeId; location: OpId } | undefined;
  for (const link of linksOf(space, inode)) {
    const location = locationId(link, space.row(link)!.registers);
    const order = first === undefined ? -1 : compareOpIds(location, first.location);
    if (order < 0 || (order === 0 && link < first!.inode)) first = { inode: link, location };
  }
  return first?.inode;
}

function dentryOf({ inode, source, sourceRow }: Claimant): Dentry {
  const kind = isFolder(source, sourceRow) ? 'directory' : sourceRow.registers.d.at(-1)!.value.kind;
  const shown = { inode: source, kind: kind as Dentry['kind'] };
  return source === inode ? shown : { ...shown, by: inode };
}

/** Gives the plain name once, then conflict names that no real entry of the folder has. */
class NamePicker {
  private readonly space: Workspace;
  private readonly folder: InodeId;
  private readonly name: string;
  private plainIsFree: boolean;
  private readonly given = new Set<string>();

  constructor(space: Workspace, folder: InodeId, name: string, plainIsFree: boolean) {
    this.space = space;
    this.folder = folder;
    this.name = name;
    this.plainIsFree = plainIsFree;
  }

  pick({ claimant, version }: Share): string {
    if (this.plainIsFree) {
      this.plainIsFree = false;
      return this.name;
    }
    const names = conflictNames(this.name, version);
    for (;;) {
      const name = names.next().value;
      if (this.given.has(name)) continue;
      if (this.isReal(name)) {
        this.space.tables.putMark(avoidedMark(this.folder, name), claimant.inode);
        continue;
      }
      this.given.add(name);
      return name;
    }
  }

  private isReal(name: string): boolean {
    const { tables } = this.space;
    for (const folder of [this.folder, ...(this.space.row(this.folder)?.members ?? [])]) {
      for (const _ of tables.seated(folder, name)) return true;
    }
    return false;
  }
}

/** Who would be called so if there were no real entry of that name. */
function avoidedMark(folder: InodeId, name: string): string {
  return `avoided:${folder}/${name}`;
}

/** No real entry has the name any more: a conflict may have it. */
function freeName(space: Workspace, folder: InodeId, name: string): void {
  if (!looksLikeConflict(name)) return;
  const mark = avoidedMark(folder, name);
  for (const inode of [...space.tables.marked(mark)]) {
    space.tables.removeMark(mark, inode);
    const row = space.row(inode);
    if (row?.alive && row.seat !== undefined) space.soil(row.seat);
  }
}

/** First takes away what is no longer right, then shows what is new. */
function apply(space: Workspace, placements: Placement[]): void {
  for (const { claimant, shown, mergedInto, shadows } of placements) {
    const row = space.row(claimant)!;
    if (row.shown !== undefined && !isSame(row.shown, shown?.seat)) {
      const old = row.shown;
      space.edit(claimant).shown = undefined;
      space.removeName(old, claimant);
    }
    const stale = row.shadows.filter((old) => !shadows.some(({ shadow }) => isSameShadow(old, shadow)));
    if (stale.length > 0) {
      const own = space.edit(claimant);
      own.shadows = own.shadows.filter((old) => !stale.includes(old));
      for (const old of stale) space.removeName(old, claimant);
    }
    setMerged(space, claimant, mergedInto);
  }
  for (const { claimant, shown, shadows } of placements) {
    if (shown !== undefined && space.row(claimant)!.shown === undefined) {
      show(space, claimant, shown.seat, shown.dentry);
      space.edit(claimant).shown = shown.seat;
    }
    for (const { shadow, dentry } of shadows) {
      if (space.row(claimant)!.shadows.some((old) => isSameShadow(old, shadow))) continue;
      show(space, claimant, shadow, dentry);
      const own = space.edit(claimant);
      own.shadows = [...own.shadows, shadow].sort((a, b) => (a.inode < b.inode ? -1 : 1));
    }
  }
}

function show(space: Workspace, claimant: InodeId, { parent, name }: Seat, dentry: Dentry): void {
  const there = space.tables.dentry(parent, name);
  if (there !== undefined) evict(space, { parent, name }, there);
  space.putName({ parent, name }, dentry, claimant);
}

/** Somebody else is still shown there: it will get another name when its own is laid out. */
function evict(space: Workspace, seat: Seat, dentry: Dentry): void {
  const owner = dentry.by ?? parseConflictInode(dentry.inode)?.inode ?? dentry.inode;
  const row = space.row(owner);
  if (row !== undefined) {
    unshow(space, owner);
    if (row.seat !== undefined) space.soil(row.seat);
  }
  // An owner that does not know of it would be a flaw of ours; the name is cleared all the same.
  space.removeName(seat, owner);
}

function isSame(a: Seat, b: Seat | undefined): boolean {
  return b !== undefined && a.parent === b.parent && a.name === b.name;
}

function isSameShadow(a: Shadow, b: Shadow): boolean {
  return a.inode === b.inode && isSame(a, b);
}
