import type { Dentry } from '../resolver/tables.js';
import { type InodeId, KINDS } from '../schema.js';
import type { ShortIds } from './short-ids.js';

/**
 * What the index keeps of one name in one folder: the inodes seated there (in byte order; the dead and the
 * hidden too) and what is visible under the name. Shared: never changed in place.
 */
export interface NameRecord {
  readonly seats: readonly InodeId[];
  readonly dentry?: Dentry;
}

export const EMPTY_NAME: NameRecord = { seats: [] };

export function isEmptyName(record: NameRecord): boolean {
  return record.seats.length === 0 && record.dentry === undefined;
}

const SEATED_HERE = 0x80;
const BY_LINK = 0x40;

/**
 * One byte, then the inodes apart by NUL. The byte is 0 when nothing is visible, else the kind's number, with
 * flags: the visible inode is the only one seated here (as almost always), or a hard link makes the name. The
 * inodes: the visible one, the hard link if there is one, then those seated here.
 */
export function encodeName({ seats, dentry }: NameRecord, ids: ShortIds): Buffer {
  if (dentry === undefined) return bytesOf(0, seats, ids);
  const kind = KINDS.indexOf(dentry.kind) + 1;
  if (dentry.by !== undefined) return bytesOf(kind | BY_LINK, [dentry.inode, dentry.by, ...seats], ids);
  if (seats.length === 1 && seats[0] === dentry.inode) return bytesOf(kind | SEATED_HERE, seats, ids);
  return bytesOf(kind, [dentry.inode, ...seats], ids);
}

export function decodeName(bytes: Uint8Array, ids: ShortIds): NameRecord {
  const first = bytes[0] ?? 0;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', 1);
  const kind = KINDS[(first & ~(SEATED_HERE | BY_LINK)) - 1] as Dentry['kind'];
  if (first & SEATED_HERE) {
    const inode = ids.restore(text);
    return { seats: [inode], dentry: { inode, kind } };
  }
  const inodes = text === '' ? [] : text.split('\0').map((short) => ids.restore(short));
  if (first === 0) return { seats: inodes };
  const [inode = '', by = ''] = inodes;
  if (first & BY_LINK) return { seats: inodes.slice(2), dentry: { inode, kind, by } };
  return { seats: inodes.slice(1), dentry: { inode, kind } };
}

function bytesOf(first: number, inodes: readonly InodeId[], ids: ShortIds): Buffer {
  const text = inodes.map((inode) => ids.shorten(inode)).join('\0');
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  bytes[0] = first;
  bytes.write(text, 1);
  return bytes;
}
