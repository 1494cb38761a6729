/** Pure encoders of answers and notifications into memory that the caller owns. */
import type { Stat } from '../../fs/index.js';
import { NOTIFY, PROTOCOL_MAJOR, SIZE } from './constants.js';

const TWO_TO_32 = 4_294_967_296;
const BODY = SIZE.outHeader;

export function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_TO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_TO_32), true);
}

/** @param length of the whole answer, header included
 *  @param error 0, or the errno as a negative number, or the code of a notification */
export function encodeHeader(view: DataView, length: number, error: number, unique: number): void {
  view.setUint32(0, length, true);
  view.setInt32(4, error, true);
  writeUint64(view, 8, unique);
}

/** Seconds and nanoseconds of a time; before 1970 the seconds are negative, the nanoseconds never. */
function encodeTime(view: DataView, at: number, nanosecondsAt: number, time: bigint): void {
  let seconds = Number(time / 1_000_000_000n);
  let rest = Number(time % 1_000_000_000n);
  if (rest < 0) {
    seconds -= 1;
    rest += 1_000_000_000;
  }
  view.setUint32(at, seconds >>> 0, true);
  view.setInt32(at + 4, Math.floor(seconds / TWO_TO_32), true);
  view.setUint32(nanosecondsAt, rest, true);
}

function copyTime(
  view: DataView,
  at: number,
  nanosecondsAt: number,
  from: number,
  fromNanoseconds: number,
): void {
  view.setUint32(at, view.getUint32(from, true), true);
  view.setInt32(at + 4, view.getInt32(from + 4, true), true);
  view.setUint32(nanosecondsAt, view.getUint32(fromNanoseconds, true), true);
}

/** struct fuse_attr, 88 bytes. */
export function encodeAttributes(view: DataView, at: number, stat: Stat): void {
  writeUint64(view, at, stat.ino);
  writeUint64(view, at + 8, stat.size);
  writeUint64(view, at + 16, stat.blocks);
  // The three times are mostly one; divisions of big integers are what costs here.
  encodeTime(view, at + 32, at + 52, stat.mtime);
  if (stat.atime === stat.mtime) copyTime(view, at + 24, at + 48, at + 32, at + 52);
  else encodeTime(view, at + 24, at + 48, stat.atime);
  if (stat.ctime === stat.mtime) copyTime(view, at + 40, at + 56, at + 32, at + 52);
  else encodeTime(view, at + 40, at + 56, stat.ctime);
  view.setUint32(at + 60, stat.mode, true);
  view.setUint32(at + 64, stat.nlink, true);
  view.setUint32(at + 68, stat.uid, true);
  view.setUint32(at + 72, stat.gid, true);
  view.setUint32(at + 76, stat.rdev, true);
  view.setUint32(at + 80, 4096, true);
  view.setUint32(at + 84, 0, true);
}

/** How long the kernel may answer from its caches, in milliseconds. */
export interface Timeouts {
  entryMs: number;
  attributesMs: number;
  /** For names that do not exist. */
  negativeMs: number;
}

function encodeTimeout(view: DataView, secondsAt: number, nanosecondsAt: number, milliseconds: number): void {
  writeUint64(view, secondsAt, Math.floor(milliseconds / 1000));
  view.setUint32(nanosecondsAt, (milliseconds % 1000) * 1_000_000, true);
}

/** The kernel is to remember nothing. */
export const NO_TIMEOUTS: Timeouts = { entryMs: 0, attributesMs: 0, negativeMs: 0 };

/** struct fuse_entry_out, 128 bytes. */
export function encodeEntry(view: DataView, at: number, node: number, stat: Stat, wanted: Timeouts): void {
  const timeouts = stat.fleeting ? NO_TIMEOUTS : wanted;
  writeUint64(view, at, node);
  // Nodes are never used twice within a mount, so one generation does.
  writeUint64(view, at + 8, 0);
  encodeTimeout(view, at + 16, at + 32, timeouts.entryMs);
  encodeTimeout(view, at + 24, at + 36, timeouts.attributesMs);
  encodeAttributes(view, at + 40, stat);
}

/** An entry that says: there is no such name, and for how long that holds. */
export function encodeNegativeEntry(view: DataView, at: number, timeouts: Timeouts): void {
  new Uint8Array(view.buffer, view.byteOffset + at, SIZE.entryOut).fill(0);
  encodeTimeout(view, at + 16, at + 32, timeouts.negativeMs);
}

/** struct fuse_attr_out, 104 bytes. */
export function encodeAttrOut(view: DataView, at: number, stat: Stat, timeouts: Timeouts): void {
  encodeTimeout(view, at, at + 8, stat.fleeting ? 0 : timeouts.attributesMs);
  view.setUint32(at + 12, 0, true);
  encodeAttributes(view, at + 16, stat);
}

/** struct fuse_open_out, 16 bytes. */
export function encodeOpen(view: DataView, at: number, handle: number, flags: number): void {
  writeUint64(view, at, handle);
  view.setUint32(at + 8, flags, true);
  view.setUint32(at + 12, 0, true);
}

export interface InitAnswer {
  minor: number;
  maxReadahead: number;
  flags: number;
  maxBackground: number;
  congestionThreshold: number;
  /** Bytes. */
  maxWrite: number;
  maxPages: number;
}

/** struct fuse_init_out, 64 bytes; times have a grain of 1 ns. */
export function encodeInit(view: DataView, at: number, answer: InitAnswer): void {
  new Uint8Array(view.buffer, view.byteOffset + at, SIZE.initOut).fill(0);
  view.setUint32(at, PROTOCOL_MAJOR, true);
  view.setUint32(at + 4, answer.minor, true);
  view.setUint32(at + 8, answer.maxReadahead, true);
  view.setUint32(at + 12, answer.flags, true);
  view.setUint16(at + 16, answer.maxBackground, true);
  view.setUint16(at + 18, answer.congestionThreshold, true);
  view.setUint32(at + 20, answer.maxWrite, true);
  view.setUint32(at + 24, 1, true);
  view.setUint16(at + 28, answer.maxPages, true);
}

export interface StatfsAnswer {
  blockSize: number;
  blocks: number;
  blocksFree: number;
  blocksAvailable: number;
  files: number;
  filesFree: number;
  nameMax: number;
}

/** struct fuse_statfs_out, 80 bytes. */
export function encodeStatfs(view: DataView, at: number, answer: StatfsAnswer): void {
  new Uint8Array(view.buffer, view.byteOffset + at, SIZE.statfsOut).fill(0);
  writeUint64(view, at, answer.blocks);
  writeUint64(view, at + 8, answer.blocksFree);
  writeUint64(view, at + 16, answer.blocksAvailable);
  writeUint64(view, at + 24, answer.files);
  writeUint64(view, at + 32, answer.filesFree);
  view.setUint32(at + 40, answer.blockSize, true);
  view.setUint32(at + 44, answer.nameMax, true);
  view.setUint32(at + 48, answer.blockSize, true);
}

/** The whole notification "forget the attributes (and the pages) of a node". */
export function encodeInvalidateInode(node: number, pages: boolean): Buffer {
  const bytes = Buffer.alloc(BODY + 24);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  encodeHeader(view, bytes.length, NOTIFY.invalidateInode, 0);
  writeUint64(view, BODY, node);
  // A negative offset spares the pages; a length of 0 means to the end.
  view.setBigInt64(BODY + 8, pages ? 0n : -1n, true);
  view.setBigInt64(BODY + 16, 0n, true);
  return bytes;
}

/** The whole notification "look up every name anew before you use it". */
export function encodeIncrementEpoch(): Buffer {
  const bytes = Buffer.alloc(BODY);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  encodeHeader(view, bytes.length, NOTIFY.incrementEpoch, 0);
  return bytes;
}

/** The whole notification "forget this entry of a folder". */
export function encodeInvalidateEntry(parent: number, name: string): Buffer {
  const nameBytes = Buffer.from(name);
  const bytes = Buffer.alloc(BODY + 16 + nameBytes.length + 1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  encodeHeader(view, bytes.length, NOTIFY.invalidateEntry, 0);
  writeUint64(view, BODY, parent);
  view.setUint32(BODY + 8, nameBytes.length, true);
  nameBytes.copy(bytes, BODY + 16);
  return bytes;
}
