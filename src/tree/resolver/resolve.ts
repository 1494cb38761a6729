import { type InodeId, type Registers, ROOT } from '../schema.js';
import { layOutNames } from './groups.js';
import { decideLives, leaveFallen, linksOf, setAlive, soilLosers, soilNames } from './life.js';
import { isFolder, isInodeId, kindOf, NO_REGISTERS, targetOf } from './registers.js';
import { chooseSeats, fallenUnder, refsMark } from './seats.js';
import type { Change, Context, Effects, Row, Tables } from './tables.js';
import { Workspace } from './workspace.js';

/**
 * Brings the tables from the registers they know to those given: the one place where the rules of the visible
 * tree are applied. Pure, total and deterministic; the outcome depends on the registers only (but for this
 * machine's own times), not on the order in which, or the groups in which, they came. Costs O(changed × depth).
 *
 * It goes in layers, each a function of those before it: seats (three-way merged, without cycles), lives (what is
 * deleted and what is not), names (merged folders, equal files, conflict names). Where a rule could go either way,
 * it goes where nothing is lost:
 * - A hard link shows its target whether or not the target's own name was deleted. While a link lives, only a
 *   tombstone's word on `l` counts for that own name, so that later edits do not bring it back; with no link left, an
 *   edit that no tombstone saw does. Who removes the last name must bury the target too.
 * - `lost+found` is a folder like any other, with the highest of location ids: a folder of the user's own with this
 *   name keeps its inode and shows what is lost as well; a file of this name gives way while something is lost.
 * - An inode without a location is in `lost+found` under its id; one without data is only counted.
 * - A name that no file system can show is shown escaped or cut.
 */
export function resolve(tables: Tables, changes: Iterable<Change>, context: Context): Effects {
  const space = new Workspace(tables, context);
  for (const { inode, registers } of changes) admit(space, inode, registers);
  chooseSeats(space);
  decideLives(space);
  layOutNames(space);
  return space.finish();
}

/** Takes in an inode's registers and notes what may follow from them. */
function admit(space: Workspace, inode: InodeId, registers: Registers | undefined): void {
  if (!isInodeId(inode)) return;
  const old = space.row(inode);
  if (registers === undefined && old === undefined) return;
  const next = registers ?? NO_REGISTERS;
  const before = old?.registers ?? NO_REGISTERS;
  const changed = old === undefined ? ALL : differences(before, next);
  if (registers === undefined && inode !== ROOT) space.drop(inode);
  else if (changed === NOTHING) return;
  if (inode !== ROOT && !isSameKind(inode, before, next)) changeKind(space, inode, before, next);
  const row = space.edit(inode);
  row.registers = next;
  setTimes(space, inode, row, before);
  // Where the root is and that it lives cannot be changed.
  if (inode === ROOT) return;
  if (changed.l) space.unsettled.add(inode);
  if (changed.l || changed.d || changed.x) space.doubtful.add(inode);
  if (changed.l || changed.d) soil(space, inode, row);
}

function isSameKind(inode: InodeId, a: Registers, b: Registers): boolean {
  return kindOf(inode, a) === kindOf(inode, b) && targetOf(inode, a) === targetOf(inode, b);
}

interface Differences {
  l: boolean;
  d: boolean;
  a: boolean;
  x: boolean;
}
const ALL: Differences = { l: true, d: true, a: true, x: true };
const NOTHING: Differences = { l: false, d: false, a: false, x: false };

function differences(before: Registers, next: Registers): Differences {
  const l = differs(before.l, next.l);
  const d = differs(before.d, next.d);
  const a = differs(before.a, next.a);
  const x = differs(before.x, next.x);
  return l || d || a || x ? { l, d, a, x } : NOTHING;
}

/** An operation id names one value for ever. */
function differs(a: readonly { id: string }[], b: readonly { id: string }[]): boolean {
  return a.length !== b.length || a.some(({ id }, i) => id !== b[i]!.id);
}

/** What an inode is decides how it counts: it is taken out as what it was, and comes back as what it is. */
function changeKind(space: Workspace, inode: InodeId, before: Registers, next: Registers): void {
  retire(space, inode);
  reconsider(space, inode);
  const [was, is] = [kindOf(inode, before), kindOf(inode, next)];
  const [oldTarget, newTarget] = [targetOf(inode, before), targetOf(inode, next)];
  if (oldTarget !== undefined) space.tables.removeMark(refsMark(oldTarget), inode);
  if (newTarget !== undefined) space.tables.putMark(refsMark(newTarget), inode);
  if (was === is) return;
  for (const other of [...space.tables.marked(refsMark(inode))]) {
    const row = space.row(other);
    if (row === undefined || targetOf(other, row.registers) !== inode) {
      // It waited for a folder; should it still have to, it says so again.
      space.tables.removeMark(refsMark(inode), other);
    }
    reconsider(space, other);
  }
  if (is === 'directory') space.newFolders.add(inode);
  if (was === 'directory') {
    space.lostFolder = true;
    for (const parent of [inode, fallenUnder(inode)])
      for (const { inode: child } of space.tables.seated(parent)) reconsider(space, child);
  }
}

function retire(space: Workspace, inode: InodeId): void {
  const row = space.row(inode);
  if (row === undefined) return;
  const links = row.links > 0 ? linksOf(space, inode) : [];
  for (const link of links) {
    setAlive(space, link, false);
    reconsider(space, link);
  }
  if (row.alive) setAlive(space, inode, false);
  if (isFolder(inode, row)) leaveFallen(space, inode, row.seat);
}

function reconsider(space: Workspace, inode: InodeId): void {
  space.unsettled.add(inode);
  space.doubtful.add(inode);
}

/** What shows where it is seated may change, and where its hard links are. */
function soil(space: Workspace, inode: InodeId, row: Row): void {
  const target = targetOf(inode, row.registers);
  if (target === undefined) soilNames(space, inode);
  else {
    if (row.alive && row.seat !== undefined) space.soil(row.seat);
    soilLosers(space, target);
  }
}

/** A folder shows a time set by hand until one of its entries changes; a file's is in its registers. */
function setTimes(space: Workspace, inode: InodeId, row: Row, before: Registers): void {
  row.ctime = space.timeFor(inode);
  if (kindOf(inode, row.registers) !== 'directory') return;
  if (before.d.length === 0) row.mtime = row.registers.d.at(-1)?.value.mtime ?? row.mtime;
  const byHand = row.registers.a.at(-1);
  if (byHand?.value.mtime === undefined || byHand.id === before.a.at(-1)?.id) return;
  space.setFolderTime(inode, byHand.value.mtime);
}
