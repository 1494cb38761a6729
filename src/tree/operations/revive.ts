import type { Row } from '../resolver/tables.js';
import { type InodeId, LOST_FOUND, type RegisterWrite, ROOT } from '../schema.js';
import type { View } from './view.js';

/** A deleted inode and where it is to be. */
export interface Revived {
  inode: InodeId;
  parent: InodeId;
  name: string;
}

/**
 * Brings deleted inodes back: a location that no tombstone saw. Folders around them that are gone come back too,
 * where they were; a folder would live by its children alone, but then it would end with the last of them.
 */
export function revive(view: View, entries: readonly Revived[]): RegisterWrite[] {
  const writes = new Map<InodeId, RegisterWrite>();
  for (const entry of entries) {
    if (!isDeleted(view.tables.row(entry.inode))) continue;
    for (const write of [...deletedAround(view, entry.parent, writes), place(entry)]) {
      writes.set(write.inode, write);
    }
  }
  return [...writes.values()];
}

/** The outermost first. */
function deletedAround(
  view: View,
  folder: InodeId,
  known: ReadonlyMap<InodeId, RegisterWrite>,
): RegisterWrite[] {
  const writes: RegisterWrite[] = [];
  const seen = new Set<InodeId>();
  for (let at = folder; at !== ROOT && at !== LOST_FOUND && !known.has(at) && !seen.has(at); ) {
    seen.add(at);
    const row = view.tables.row(at);
    const seat = row?.seat ?? row?.registers.l.at(-1)?.value;
    if (!isDeleted(row) || seat === undefined) break;
    writes.unshift(place({ inode: at, ...seat }));
    at = seat.parent;
  }
  return writes;
}

function isDeleted(row: Row | undefined): row is Row {
  return row !== undefined && !row.alive && row.names === 0 && row.registers.d.length > 0;
}

function place({ inode, parent, name }: Revived): RegisterWrite {
  return { inode, l: { parent, name } };
}
