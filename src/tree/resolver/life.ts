import { type InodeId, LOST_FOUND, ROOT } from '../schema.js';
import { isFolder, isLinkable, isUnseen, targetOf } from './registers.js';
import { fallenUnder, refsMark, seatOf } from './seats.js';
import type { Row, Seat } from './tables.js';
import type { Workspace } from './workspace.js';

/** Decides for all doubtful inodes whether they live, and on upwards: a folder lives while a child of it does. */
export function decideLives(space: Workspace): void {
  for (const inode of space.doubtful) {
    // Taken out first: what it causes may make it doubtful again.
    space.doubtful.delete(inode);
    const row = space.row(inode);
    if (row === undefined) continue;
    const alive = isAlive(space, inode, row);
    if (alive !== row.alive) setAlive(space, inode, alive);
    else if (!alive && isFolder(inode, row)) fall(space, inode, row);
  }
}

function isAlive(space: Workspace, inode: InodeId, row: Row): boolean {
  if (inode === ROOT) return true;
  if (inode === LOST_FOUND) return hasChild(space, inode);
  const { registers } = row;
  if (registers.d.length === 0) return false;
  if (isFolder(inode, row)) return isUnseen(registers, true) || hasChild(space, inode);
  const target = targetOf(inode, registers);
  if (target !== undefined) {
    const linked = space.row(target);
    return linked !== undefined && isLinkable(target, linked) && isUnseen(registers, true);
  }
  // With another name alive, only this name's own removal counts; with none, an unseen edit brings it back.
  return isUnseen(registers, row.links === 0);
}

function hasChild(space: Workspace, folder: InodeId): boolean {
  for (const _ of space.tables.seated(folder)) return true;
  return false;
}

/** Also used to take an inode out before its kind changes: it is then judged anew. */
export function setAlive(space: Workspace, inode: InodeId, alive: boolean): void {
  const row = space.edit(inode);
  row.alive = alive;
  if (alive) rise(space, inode, row);
  else sink(space, inode, row);
  const seat = row.seat;
  if (seat !== undefined) {
    space.doubtful.add(seat.parent);
    space.soil(seat);
  }
  const target = targetOf(inode, row.registers);
  if (target === undefined) soilLosers(space, inode);
  else {
    space.edit(target).links += alive ? 1 : -1;
    space.doubtful.add(target);
    soilLosers(space, target);
  }
}

function rise(space: Workspace, inode: InodeId, row: Row): void {
  if (isFolder(inode, row)) {
    leaveFallen(space, inode, row.seat);
  } else if (!space.unsettled.has(inode)) {
    // Where a dead file sits is not kept up to date.
    row.seat = seatOf(space, inode);
  }
  if (row.seat !== undefined) space.tables.putSeat(row.seat, inode);
}

function sink(space: Workspace, inode: InodeId, row: Row): void {
  if (row.seat !== undefined) space.tables.removeSeat(row.seat, inode);
  unshow(space, inode);
  setMerged(space, inode, undefined);
  if (isFolder(inode, row)) fall(space, inode, row);
}

function fall(space: Workspace, inode: InodeId, row: Row): void {
  if (row.seat !== undefined && inode !== LOST_FOUND) space.tables.putSeat(fallenSeat(row.seat), inode);
}

export function leaveFallen(space: Workspace, inode: InodeId, seat: Seat | undefined): void {
  if (seat !== undefined) space.tables.removeSeat(fallenSeat(seat), inode);
}

function fallenSeat({ parent, name }: Seat): Seat {
  return { parent: fallenUnder(parent), name };
}

/** All places where a file's values may show: its own name and those of its hard links. */
export function soilNames(space: Workspace, inode: InodeId): void {
  const row = space.row(inode);
  if (row === undefined) return;
  if (row.alive && row.seat !== undefined) space.soil(row.seat);
  if (row.links === 0) return;
  for (const link of linksOf(space, inode)) {
    const seat = space.row(link)?.seat;
    if (seat !== undefined) space.soil(seat);
  }
}

/** Losing values show beside one of the names only: which one may change. */
export function soilLosers(space: Workspace, inode: InodeId): void {
  const row = space.row(inode);
  if (row !== undefined && row.links > 0 && row.registers.d.length > 1) soilNames(space, inode);
}

/** Living hard links that name the inode. */
export function linksOf(space: Workspace, inode: InodeId): InodeId[] {
  const links: InodeId[] = [];
  for (const other of space.tables.marked(refsMark(inode))) {
    const row = space.row(other);
    if (row?.alive && targetOf(other, row.registers) === inode) links.push(other);
  }
  return links;
}

/** Takes away the names that an inode makes visible. */
export function unshow(space: Workspace, inode: InodeId): void {
  const row = space.row(inode)!;
  if (row.shown === undefined && row.shadows.length === 0) return;
  const own = space.edit(inode);
  if (own.shown !== undefined) space.removeName(own.shown, inode);
  for (const shadow of own.shadows) space.removeName(shadow, inode);
  own.shown = undefined;
  own.shadows = [];
}

/** Makes an inode a member of a primary, or of none. What a folder holds then shows elsewhere. */
export function setMerged(space: Workspace, inode: InodeId, into: InodeId | undefined): void {
  const old = space.row(inode)!.mergedInto;
  if (old === into) return;
  space.edit(inode).mergedInto = into;
  if (old !== undefined && space.row(old) !== undefined) {
    const primary = space.edit(old);
    primary.members = primary.members.filter((member) => member !== inode);
  }
  if (into !== undefined) {
    const primary = space.edit(into);
    primary.members = [...primary.members, inode].sort();
  }
  if (!isFolder(inode, space.row(inode)!)) return;
  for (const { name } of space.tables.seated(inode)) {
    space.soil({ parent: old ?? inode, name });
    space.soil({ parent: into ?? inode, name });
  }
}
