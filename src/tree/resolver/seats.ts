import { compareOpIds, type InodeId, LOST_FOUND, ROOT } from '../schema.js';
import { candidatesOf, isFolder, locationId } from './registers.js';
import type { Seat } from './tables.js';
import type { Workspace } from './workspace.js';

/** Folders that do not sit at their best place because that would make a cycle. */
const DEMOTED = 'demoted';

/** Who is to be looked at again when the inode comes into being, or becomes another kind. */
export function refsMark(inode: InodeId): string {
  return `refs:${inode}`;
}

/** The dead subfolders of a folder: not in its seats, yet part of the paths of what may come alive below them. */
export function fallenUnder(parent: InodeId): InodeId {
  return `${parent}~fallen`;
}

/**
 * Gives every unsettled inode its seat: the best of its candidates whose parent is a folder, with cycles undone.
 * Seats depend on locations and kinds only, never on who is alive.
 *
 * In each cycle the folder with the highest location id that has another place outside the cycle takes it; if
 * none has, the highest goes to `lost+found`. Cycles are disjoint, and undoing one does not touch the others, so
 * the outcome does not depend on the order in which they are found. It starts from the best places each time:
 * hence the demoted are tried again whenever a folder that others may sit in has moved.
 */
export function chooseSeats(space: Workspace): void {
  if (space.unsettled.size === 0 && !space.lostFolder) return;
  const plan = new Plan(space);
  for (const inode of space.unsettled) plan.settle(inode);
  plan.undoCycles();
  for (const [inode, seat] of plan.seats) moveTo(space, inode, seat);
}

/** The best seat of an inode that cannot be part of a cycle; if it has to wait for a better one, that is noted. */
export function seatOf(space: Workspace, inode: InodeId): Seat {
  const plan = new Plan(space);
  plan.settle(inode);
  return plan.seats.get(inode)!;
}

class Plan {
  readonly seats = new Map<InodeId, Seat>();
  private readonly space: Workspace;
  /** For each folder moved on by a cycle: which of its candidates it has. */
  private readonly chosen = new Map<InodeId, number>();
  /** Unsettled folders, and the parents that they name. */
  private readonly folders: InodeId[] = [];
  private readonly wanted = new Set<InodeId>();

  constructor(space: Workspace) {
    this.space = space;
  }

  settle(inode: InodeId): void {
    const row = this.space.row(inode);
    if (row === undefined || inode === ROOT || inode === LOST_FOUND) return;
    const candidates = candidatesOf(inode, row.registers);
    this.awaitParents(inode, candidates);
    this.seats.set(inode, candidates[this.usableAfter(candidates, -1)]!);
    if (!isFolder(inode, row)) return;
    this.folders.push(inode);
    for (const { parent } of candidates) this.wanted.add(parent);
  }

  /** Should one of the parents come into being, the inode is looked at again. */
  private awaitParents(inode: InodeId, candidates: Seat[]): void {
    for (const seat of candidates)
      if (!this.isUsable(seat)) this.space.tables.putMark(refsMark(seat.parent), inode);
  }

  undoCycles(): void {
    const { space } = this;
    const suspects = this.folders.filter((inode) => !space.newFolders.has(inode) || this.wanted.has(inode));
    if (suspects.length === 0 && !space.lostFolder) return;
    const demoted = [...space.tables.marked(DEMOTED)];
    const moved = suspects.filter(
      (inode) => this.seats.get(inode)!.parent !== space.row(inode)!.seat?.parent,
    );
    if (demoted.length === 0 && moved.length === 0) return;
    for (const inode of demoted) {
      const row = space.row(inode);
      if (row !== undefined && isFolder(inode, row)) this.settle(inode);
    }
    this.walk([...suspects, ...demoted]);
    for (const inode of demoted) if (!this.chosen.has(inode)) space.tables.removeMark(DEMOTED, inode);
    for (const inode of this.chosen.keys()) space.tables.putMark(DEMOTED, inode);
  }

  /** Walks up from each; whenever that ends in a cycle, one folder of it moves on. */
  private walk(starts: InodeId[]): void {
    const rooted = new Set<InodeId>([ROOT, LOST_FOUND]);
    for (const start of starts) {
      for (;;) {
        const path: InodeId[] = [];
        const at = new Map<InodeId, number>();
        let inode = start;
        while (!rooted.has(inode) && !at.has(inode)) {
          at.set(inode, path.length);
          path.push(inode);
          inode = this.parentOf(inode);
        }
        const from = at.get(inode);
        if (from === undefined) {
          for (const seen of path) rooted.add(seen);
          break;
        }
        this.breakUp(path.slice(from));
      }
    }
  }

  private parentOf(inode: InodeId): InodeId {
    return (this.seats.get(inode) ?? this.space.row(inode)?.seat)?.parent ?? ROOT;
  }

  private breakUp(cycle: InodeId[]): void {
    const members = new Set(cycle);
    for (const inode of cycle) this.awaitParents(inode, this.candidates(inode));
    const byRank = [...cycle].sort((a, b) => this.compareRank(b, a));
    for (const inode of byRank) {
      const candidates = this.candidates(inode);
      const current = this.chosen.get(inode) ?? this.usableAfter(candidates, -1);
      const next = this.usableAfter(candidates, current, members);
      if (next === candidates.length - 1) continue;
      this.choose(inode, candidates, next);
      return;
    }
    const highest = byRank[0]!;
    const candidates = this.candidates(highest);
    this.choose(highest, candidates, candidates.length - 1);
  }

  private choose(inode: InodeId, candidates: Seat[], index: number): void {
    this.chosen.set(inode, index);
    this.seats.set(inode, candidates[index]!);
  }

  private compareRank(a: InodeId, b: InodeId): number {
    const ids = compareOpIds(this.locationId(a), this.locationId(b));
    return ids !== 0 ? ids : a < b ? -1 : 1;
  }

  private locationId(inode: InodeId): string {
    return locationId(inode, this.space.row(inode)!.registers);
  }

  private candidates(inode: InodeId): Seat[] {
    return candidatesOf(inode, this.space.row(inode)!.registers);
  }

  /** The next candidate after one whose parent is a folder and none of `except`; the last always is. */
  private usableAfter(candidates: Seat[], index: number, except?: ReadonlySet<InodeId>): number {
    let next = index + 1;
    while (next < candidates.length - 1) {
      const seat = candidates[next]!;
      if (this.isUsable(seat) && !except?.has(seat.parent)) break;
      next++;
    }
    return Math.min(next, candidates.length - 1);
  }

  private isUsable({ parent }: Seat): boolean {
    if (parent === ROOT || parent === LOST_FOUND) return true;
    const row = this.space.row(parent);
    return row !== undefined && isFolder(parent, row);
  }
}

/** Life and visibility move along; what they become is decided afterwards. */
function moveTo(space: Workspace, inode: InodeId, seat: Seat): void {
  const old = space.row(inode)!.seat;
  if (old?.parent === seat.parent && old.name === seat.name) return;
  const row = space.edit(inode);
  row.seat = seat;
  if (row.alive) {
    if (old !== undefined) {
      space.tables.removeSeat(old, inode);
      space.doubtful.add(old.parent);
      space.soil(old);
    }
    space.tables.putSeat(seat, inode);
    space.doubtful.add(seat.parent);
    space.soil(seat);
  } else {
    space.doubtful.add(inode);
    if (old !== undefined)
      space.tables.removeSeat({ parent: fallenUnder(old.parent), name: old.name }, inode);
  }
}
