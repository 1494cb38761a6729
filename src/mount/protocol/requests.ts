/**
 * Pure decoders of what the kernel asks. A request is a header of 40 bytes and a body whose shape the opcode
 * tells; all numbers are little-endian here (the driver refuses other machines). 64-bit values are read as plain
 * numbers: offsets, nodes and handles stay below 2^53.
 */
import { isUtf8 } from 'node:buffer';
import { LIMITS, WormholeError } from '../../base/index.js';
import { SIZE } from './constants.js';

const BODY = SIZE.inHeader;
const TWO_TO_32 = 4_294_967_296;

/** Memory that requests are read into, with both of its faces made once. */
export interface RequestBuffer {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export function makeRequestBuffer(bytes: Buffer): RequestBuffer {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

export interface RequestHeader {
  /** Bytes of the whole request. */
  length: number;
  opcode: number;
  unique: number;
  node: number;
  uid: number;
  gid: number;
  pid: number;
}

export function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_TO_32;
}

/** @throws WormholeError `protocol` when fewer bytes came than the header says */
export function decodeHeader(view: DataView, received: number): RequestHeader {
  if (received < SIZE.inHeader)
    throw new WormholeError('protocol', 'a FUSE request is shorter than its header');
  const length = view.getUint32(0, true);
  if (length !== received) throw new WormholeError('protocol', 'a FUSE request came with a wrong length');
  return {
    length,
    opcode: view.getUint32(4, true),
    unique: readUint64(view, 8),
    node: readUint64(view, 16),
    uid: view.getUint32(24, true),
    gid: view.getUint32(28, true),
    pid: view.getUint32(32, true),
  };
}

/** Where the body of a request ends, when a fixed part of `size` bytes must be there. */
function need(length: number, size: number): void {
  if (length < BODY + size) throw new WormholeError('protocol', 'a FUSE request is too short for its kind');
}

/** The offset behind the name (and its NUL) that starts at `start`. */
function endOfName(bytes: Buffer, start: number, length: number): number {
  const end = bytes.indexOf(0, start);
  if (end < 0 || end >= length) throw new WormholeError('protocol', 'a name in a FUSE request has no end');
  return end;
}

/** @throws WormholeError `bad-name` when the bytes are not UTF-8 */
function decodeText(bytes: Buffer, start: number, end: number): string {
  // Short names of ASCII are nearly all there are; this loop is faster than two calls into the runtime.
  for (let at = start; at < end; at++) {
    if (bytes[at]! < 128) continue;
    if (!isUtf8(bytes.subarray(start, end)))
      throw new WormholeError('bad-name', 'this name is not valid UTF-8');
    return bytes.toString('utf8', start, end);
  }
  return bytes.toString('latin1', start, end);
}

function decodeNameAt(bytes: Buffer, start: number, length: number): { name: string; end: number } {
  const end = endOfName(bytes, start, length);
  if (end - start > LIMITS.nameBytesMax)
    throw new WormholeError(
      'name-too-long',
      `a name has at most ${LIMITS.nameBytesMax} bytes; take a shorter one`,
    );
  return { name: decodeText(bytes, start, end), end };
}

/** The one name behind a fixed part of `skip` bytes: LOOKUP, UNLINK, RMDIR (0), MKDIR (8), CREATE (16) …
 *  @throws WormholeError `name-too-long` | `bad-name` | `protocol` */
export function decodeName(bytes: Buffer, length: number, skip: number): string {
  return decodeNameAt(bytes, BODY + skip, length).name;
}

export interface InitRequest {
  major: number;
  minor: number;
  maxReadahead: number;
  flags: number;
}

export function decodeInit(view: DataView, length: number): InitRequest {
  need(length, 16);
  return {
    major: view.getUint32(BODY, true),
    minor: view.getUint32(BODY + 4, true),
    maxReadahead: view.getUint32(BODY + 8, true),
    flags: view.getUint32(BODY + 12, true),
  };
}

/** FORGET: how many lookups the kernel gives back. */
export function decodeForget(view: DataView, length: number): number {
  need(length, 8);
  return readUint64(view, BODY);
}

export function decodeBatchForget(
  view: DataView,
  length: number,
  each: (node: number, lookups: number) => void,
): void {
  need(length, 8);
  const count = view.getUint32(BODY, true);
  need(length, 8 + count * 16);
  for (let index = 0; index < count; index++) {
    const at = BODY + 8 + index * 16;
    each(readUint64(view, at), readUint64(view, at + 8));
  }
}

/** The handle with which a body starts: READ, WRITE, RELEASE, FLUSH, FSYNC, READDIR … */
export function decodeHandle(view: DataView, length: number): number {
  need(length, 8);
  return readUint64(view, BODY);
}

export interface SetattrRequest {
  valid: number;
  handle: number;
  size: number;
  /** Nanoseconds since 1970. */
  mtime: bigint;
  mode: number;
  uid: number;
  gid: number;
}

export function decodeSetattr(view: DataView, length: number): SetattrRequest {
  need(length, 88);
  return {
    valid: view.getUint32(BODY, true),
    handle: readUint64(view, BODY + 8),
    size: readUint64(view, BODY + 16),
    mtime: view.getBigInt64(BODY + 40, true) * 1_000_000_000n + BigInt(view.getUint32(BODY + 60, true)),
    mode: view.getUint32(BODY + 68, true),
    uid: view.getUint32(BODY + 76, true),
    gid: view.getUint32(BODY + 80, true),
  };
}

/** SYMLINK: the new name, then the target. */
export function decodeSymlink(bytes: Buffer, length: number): { name: string; target: string } {
  const { name, end } = decodeNameAt(bytes, BODY, length);
  const targetEnd = endOfName(bytes, end + 1, length);
  if (targetEnd - end - 1 > LIMITS.symlinkTargetBytesMax)
    throw new WormholeError('name-too-long', 'the target of this symbolic link is too long');
  return { name, target: decodeText(bytes, end + 1, targetEnd) };
}

export interface MknodRequest {
  mode: number;
  rdev: number;
  umask: number;
  name: string;
}

export function decodeMknod({ view, bytes }: RequestBuffer, length: number): MknodRequest {
  need(length, 16);
  return {
    mode: view.getUint32(BODY, true),
    rdev: view.getUint32(BODY + 4, true),
    umask: view.getUint32(BODY + 8, true),
    name: decodeName(bytes, length, 16),
  };
}

export interface MkdirRequest {
  mode: number;
  umask: number;
  name: string;
}

export function decodeMkdir({ view, bytes }: RequestBuffer, length: number): MkdirRequest {
  need(length, 8);
  return {
    mode: view.getUint32(BODY, true),
    umask: view.getUint32(BODY + 4, true),
    name: decodeName(bytes, length, 8),
  };
}

export interface RenameRequest {
  newParent: number;
  flags: number;
  name: string;
  newName: string;
}

/** RENAME (no flags) and RENAME2. */
export function decodeRename({ view, bytes }: RequestBuffer, length: number, second: boolean): RenameRequest {
  const fixed = second ? 16 : 8;
  need(length, fixed);
  const { name, end } = decodeNameAt(bytes, BODY + fixed, length);
  return {
    newParent: readUint64(view, BODY),
    flags: second ? view.getUint32(BODY + 8, true) : 0,
    name,
    newName: decodeNameAt(bytes, end + 1, length).name,
  };
}

/** RENAME and RENAME2: the folder that it goes to. */
export function decodeNewParent(view: DataView): number {
  return readUint64(view, BODY);
}

/** LINK: the inode that gets a further name. */
export function decodeLink({ view, bytes }: RequestBuffer, length: number): { node: number; name: string } {
  need(length, 8);
  return { node: readUint64(view, BODY), name: decodeName(bytes, length, 8) };
}

export interface OpenRequest {
  /** As in open(2). */
  flags: number;
  openFlags: number;
}

export function decodeOpen(view: DataView, length: number): OpenRequest {
  need(length, 8);
  return { flags: view.getUint32(BODY, true), openFlags: view.getUint32(BODY + 4, true) };
}

export interface CreateRequest {
  /** As in open(2). */
  flags: number;
  mode: number;
  umask: number;
  openFlags: number;
  name: string;
}

export function decodeCreate({ view, bytes }: RequestBuffer, length: number): CreateRequest {
  need(length, 16);
  return {
    flags: view.getUint32(BODY, true),
    mode: view.getUint32(BODY + 4, true),
    umask: view.getUint32(BODY + 8, true),
    openFlags: view.getUint32(BODY + 12, true),
    name: decodeName(bytes, length, 16),
  };
}

export interface ReadRequest {
  handle: number;
  /** Bytes; in a folder the cookie of the entry before. */
  offset: number;
  size: number;
}

/** READ, READDIR and READDIRPLUS. */
export function decodeRead(view: DataView, length: number): ReadRequest {
  need(length, 24);
  return {
    handle: readUint64(view, BODY),
    offset: readUint64(view, BODY + 8),
    size: view.getUint32(BODY + 16, true),
  };
}

export interface WriteRequest {
  handle: number;
  offset: number;
  writeFlags: number;
  /** Of the open file now, as in open(2). */
  flags: number;
  /** A view into the request's buffer. */
  data: Buffer;
}

export function decodeWrite({ view, bytes }: RequestBuffer, length: number): WriteRequest {
  need(length, SIZE.writeIn);
  const size = view.getUint32(BODY + 16, true);
  need(length, SIZE.writeIn + size);
  return {
    handle: readUint64(view, BODY),
    offset: readUint64(view, BODY + 8),
    writeFlags: view.getUint32(BODY + 20, true),
    flags: view.getUint32(BODY + 32, true),
    data: bytes.subarray(BODY + SIZE.writeIn, BODY + SIZE.writeIn + size),
  };
}

/** FALLOCATE. */
export function decodeFallocate(
  view: DataView,
  length: number,
): { handle: number; offset: number; length: number; mode: number } {
  need(length, 32);
  return {
    handle: readUint64(view, BODY),
    offset: readUint64(view, BODY + 8),
    length: readUint64(view, BODY + 16),
    mode: view.getUint32(BODY + 24, true),
  };
}

/** LSEEK. */
export function decodeLseek(
  view: DataView,
  length: number,
): { handle: number; offset: number; whence: number } {
  need(length, 24);
  return {
    handle: readUint64(view, BODY),
    offset: readUint64(view, BODY + 8),
    whence: view.getUint32(BODY + 16, true),
  };
}

/** COPY_FILE_RANGE: handle and offset of both ends. */
export function decodeCopyFileRange(
  view: DataView,
  length: number,
): { from: { handle: number; offset: number }; to: { handle: number; offset: number }; length: number } {
  need(length, 56);
  return {
    from: { handle: readUint64(view, BODY), offset: readUint64(view, BODY + 8) },
    to: { handle: readUint64(view, BODY + 24), offset: readUint64(view, BODY + 32) },
    length: readUint64(view, BODY + 40),
  };
}

/** FSYNC and FSYNCDIR: the flags; the handle is {@link decodeHandle}'s. */
export function decodeFsyncFlags(view: DataView, length: number): number {
  need(length, 12);
  return view.getUint32(BODY + 8, true);
}

export interface SetxattrRequest {
  flags: number;
  name: string;
  /** A copy of its own. */
  value: Buffer;
}

export function decodeSetxattr({ view, bytes }: RequestBuffer, length: number): SetxattrRequest {
  need(length, 8);
  const size = view.getUint32(BODY, true);
  const { name, end } = decodeNameAt(bytes, BODY + 8, length);
  need(length, end + 1 + size - BODY);
  return {
    flags: view.getUint32(BODY + 4, true),
    name,
    value: Buffer.from(bytes.subarray(end + 1, end + 1 + size)),
  };
}

/** GETXATTR (with a name behind) and LISTXATTR: how many bytes the caller has room for; 0 asks for the size. */
export function decodeXattrSize(view: DataView, length: number): number {
  need(length, 8);
  return view.getUint32(BODY, true);
}

/** INTERRUPT: the request that the caller no longer waits for. */
export function decodeInterrupt(view: DataView, length: number): number {
  need(length, 8);
  return readUint64(view, BODY);
}
