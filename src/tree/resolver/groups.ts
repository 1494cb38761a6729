import { compareOpIds, type Data, type InodeId, type OpId, type Versioned } from '../schema.js';
import { linksOf } from './life.js';
import { freeName, NamePicker } from './name-picker.js';
import { type Placement, place } from './placements.js';
import { contentKey, isFolder, kindOf, locationId, losersOf, targetOf } from './registers.js';
import { conflictInode, type Dentry, type Row } from './tables.js';
import type { Workspace } from './workspace.js';

/** An inode that wants a name, with the row that holds its data: the linked one's, if it is a hard link. */
interface Claimant {
  inode: InodeId;
  row: Row;
  location: OpId;
  source: InodeId;
  sourceRow: Row;
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
    place(space, [{ claimant: only.inode, shown, shadows: [] }]);
  } else place(space, placeAll(space, folder, name, claimants));
}

function claimantsOf(space: Workspace, folder: InodeId, name: string): Claimant[] {
  const claimants: Claimant[] = [];
  const members = space.row(folder)?.members ?? [];
  for (let i = -1; i < members.length; i++) {
    const inodes: InodeId[] = [];
    for (const { inode } of space.tables.seated(i < 0 ? folder : members[i]!, name)) inodes.push(inode);
    for (const inode of inodes) {
      const claimant = claimantOf(space, inode);
      if (claimant !== undefined) claimants.push(claimant);
    }
  }
  if (claimants.length > 1) claimants.sort(compareClaimants);
  return claimants;
}

/** Undefined for what has nothing to show: no such inode is seated, unless the tables are in between two states. */
function claimantOf(space: Workspace, inode: InodeId): Claimant | undefined {
  const row = space.row(inode);
  if (row === undefined) return undefined;
  const source = targetOf(inode, row.registers) ?? inode;
  const sourceRow = source === inode ? row : space.row(source);
  if (sourceRow === undefined || kindOf(source, sourceRow.registers) === undefined) return undefined;
  return { inode, row, location: locationId(inode, row.registers), source, sourceRow };
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
    const seat = { parent, name: names.pick(claimant.inode, share.version) };
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
