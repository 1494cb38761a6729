import {
  type Data,
  type InodeId,
  type Kind,
  LOST_FOUND,
  LOST_FOUND_NAME,
  type Location,
  type OpId,
  type Registers,
  ROOT,
  type Versioned,
} from '../schema.js';
import { safeName } from './file-names.js';
import type { Row, Seat } from './tables.js';

export const NO_REGISTERS: Registers = { l: [], d: [], a: [], x: [] };

/** Above every operation: a folder of the user's own that is called so is the primary, what is lost joins it. */
const LOST_FOUND_LOCATION_ID = `${Number.MAX_SAFE_INTEGER}@`;

/** Inodes of the document; a virtual one or anything else a strange peer thinks of is none. */
export function isInodeId(id: InodeId): boolean {
  return id !== LOST_FOUND && id.includes('/') && !id.includes('~') && !id.includes('\0');
}

/** The kind of the winning data value; undefined when there is none. */
export function kindOf(inode: InodeId, registers: Registers): Kind | undefined {
  if (inode === ROOT || inode === LOST_FOUND) return 'directory';
  return registers.d.at(-1)?.value.kind;
}

export function isFolder(inode: InodeId, row: Row): boolean {
  return kindOf(inode, row.registers) === 'directory';
}

/** The inode that a hard link names, undefined for everything else. */
export function targetOf(inode: InodeId, registers: Registers): InodeId | undefined {
  if (inode === ROOT) return undefined;
  const data = registers.d.at(-1)?.value;
  return data?.kind === 'link' ? data.content : undefined;
}

/** Whether a hard link may name it. */
export function isLinkable(inode: InodeId, row: Row): boolean {
  const kind = kindOf(inode, row.registers);
  return kind !== undefined && kind !== 'directory' && kind !== 'link';
}

/** Ranks inodes of one name: the lowest was there first. */
export function locationId(inode: InodeId, registers: Registers): OpId {
  if (inode === LOST_FOUND) return LOST_FOUND_LOCATION_ID;
  return registers.l.at(-1)?.id ?? '0@';
}

/** Equal for values that are one file to the user: same kind, bytes and length. */
export function contentKey(data: Data): string {
  return `${data.kind}\0${data.size}\0${data.content}`;
}

/** Losing data values that have something to show. */
export function losersOf(registers: Registers): readonly Versioned<Data>[] {
  if (registers.d.length < 2) return [];
  return registers.d.slice(0, -1).filter(({ value }) => value.kind !== 'directory' && value.kind !== 'link');
}

/** Whether some tombstone missed a value of the name, or (`data`) of the name or the data. */
export function isUnseen({ l, d, x }: Registers, data: boolean): boolean {
  if (x.length === 0) return l.length > 0 || (data && d.length > 0);
  const seen = new Set(x.flatMap(({ value }) => value.saw));
  const missed = ({ id }: { id: OpId }) => !seen.has(id);
  return l.some(missed) || (data && d.some(missed));
}

/** Where an inode may be seated, best first; the last is `lost+found`, which always is possible. */
export function candidatesOf(inode: InodeId, { l }: Registers): Seat[] {
  const winner = l.at(-1)?.value;
  if (winner === undefined) return [{ parent: LOST_FOUND, name: safeName(inode.replaceAll('/', '-')) }];
  const name = safeName(winner.name);
  const seats: Seat[] = [];
  if (l.length === 1) seats.push({ parent: winner.parent, name });
  else {
    seats.push(mergeLocations(l, winner));
    for (let i = l.length - 2; i >= 0; i--) seats.push(toSeat(l[i]!.value));
  }
  for (let i = l.length - 1; i >= 0; i--) {
    const previous = l[i]!.value.previous;
    if (previous !== undefined) seats.push(toSeat(previous));
  }
  seats.push({ parent: LOST_FOUND, name });
  return seats;
}

/** The winner's location; what the winner left as it was follows the latest other value that changed it. */
function mergeLocations(l: readonly Versioned<Location>[], winner: Location): Seat {
  let { parent, name } = winner;
  const before = winner.previous;
  if (before === undefined) return toSeat(winner);
  for (let i = 0; i < l.length - 1; i++) {
    const other = l[i]!.value;
    const was = other.previous;
    if (was === undefined) continue;
    if (winner.parent === before.parent && was.parent === before.parent && other.parent !== was.parent)
      parent = other.parent;
    if (winner.name === before.name && was.name === before.name && other.name !== was.name) name = other.name;
  }
  return toSeat({ parent, name });
}

function toSeat({ parent, name }: { parent: InodeId; name: string }): Seat {
  return { parent, name: safeName(name) };
}

/** A row as it is before anything was decided. The root and `lost+found` exist without registers. */
export function blankRow(inode: InodeId): Row {
  return {
    registers: NO_REGISTERS,
    seat: inode === LOST_FOUND ? { parent: ROOT, name: LOST_FOUND_NAME } : undefined,
    alive: inode === ROOT,
    shown: undefined,
    mergedInto: undefined,
    members: [],
    shadows: [],
    subfolders: 0,
    links: 0,
    names: 0,
    ctime: 0n,
    mtime: 0n,
  };
}
