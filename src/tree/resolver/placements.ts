import type { InodeId } from '../schema.js';
import { setMerged, unshow } from './life.js';
import { type Dentry, parseConflictInode, type Seat, type Shadow } from './tables.js';
import type { Workspace } from './workspace.js';

/** What one claimant gets. */
export interface Placement {
  claimant: InodeId;
  shown?: { seat: Seat; dentry: Dentry };
  mergedInto?: InodeId;
  shadows: { shadow: Shadow; dentry: Dentry }[];
}

/** First takes away what is no longer right, then shows what is new. */
export function place(space: Workspace, placements: Placement[]): void {
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
