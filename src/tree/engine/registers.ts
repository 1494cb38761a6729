import { encodeCbor } from '../../base/cbor.js';
import { LIMITS } from '../../base/index.js';
import {
  type Attributes,
  type Data,
  type InodeId,
  KINDS,
  type Location,
  type OpId,
  type RegisterName,
  type Registers,
  ROOT,
  type Tombstone,
} from '../schema.js';
import { parseInode } from './allocator.js';
import { decodeFlat, type FlatValue } from './flat-cbor.js';

/**
 * The codec of the registers: positional CBOR arrays that begin with their version. Decoding is total: a value
 * that does not fit is undefined, whoever wrote it. See docs/formats.md.
 */
const VERSION = 1;
const CONTENT_HASH = /^[a-z][0-9a-f]{64}$/;
const CONTENT = /^([A-Za-z0-9][\w.:-]{0,127})?$/;
const OP_ID = /^([1-9][0-9]{0,15})@([0-9a-f]{2,128})$/;
const INT64_MAX = 2n ** 63n - 1n;

/** @returns undefined for what does not fit the schema */
export function decodeRegister<Name extends RegisterName>(
  register: Name,
  bytes: Uint8Array,
): Registers[Name][number]['value'] | undefined {
  return DECODERS[register](bytes) as Registers[Name][number]['value'] | undefined;
}

export function encodeRegister<Name extends RegisterName>(
  register: Name,
  value: Registers[Name][number]['value'],
): Uint8Array {
  return (ENCODERS[register] as (value: unknown) => Uint8Array)(value);
}

export function encodeLocation({ parent, name, previous }: Location): Uint8Array {
  return encodeCbor(
    previous === undefined
      ? [VERSION, parent, name]
      : [VERSION, parent, name, previous.parent, previous.name],
  );
}

export function decodeLocation(bytes: Uint8Array): Location | undefined {
  const items = record(bytes, 3, 5);
  if (items === undefined) return undefined;
  const [, parent, name, previousParent, previousName] = items;
  if (!isInode(parent) || !isName(name)) return undefined;
  if (items.length === 3) return { parent, name };
  if (!isInode(previousParent) || !isName(previousName)) return undefined;
  return { parent, name, previous: { parent: previousParent, name: previousName } };
}

export function encodeData({ kind, size, mtime, content, mode }: Data): Uint8Array {
  return encodeCbor([VERSION, KINDS.indexOf(kind), integer(size), mtime, packContent(content), mode]);
}

export function decodeData(bytes: Uint8Array): Data | undefined {
  const items = record(bytes, 6);
  if (items === undefined) return undefined;
  const kind = typeof items[1] === 'number' ? KINDS[items[1]] : undefined;
  const [size, mtime, content, mode] = [items[2], time(items[3]), unpackContent(items[4]), items[5]];
  if (kind === undefined || typeof size !== 'number' || size < 0) return undefined;
  if (mtime === undefined || content === undefined || !isMode(mode)) return undefined;
  if (!contentFits(kind, content)) return undefined;
  return { kind, size, mtime, content, mode };
}

export function encodeAttributes({ mode, uid, gid, mtime, xattrs }: Attributes): Uint8Array {
  return encodeCbor([VERSION, mode ?? null, uid ?? null, gid ?? null, mtime ?? null, xattrs ?? null]);
}

export function decodeAttributes(bytes: Uint8Array): Attributes | undefined {
  const items = record(bytes, 6);
  if (items === undefined) return undefined;
  const [, mode, uid, gid, mtime, xattrs] = items;
  const attributes: Attributes = {};
  if (mode !== null) {
    if (!isMode(mode)) return undefined;
    attributes.mode = mode;
  }
  if (uid !== null) {
    if (!isOwner(uid)) return undefined;
    attributes.uid = uid;
  }
  if (gid !== null) {
    if (!isOwner(gid)) return undefined;
    attributes.gid = gid;
  }
  if (mtime !== null) {
    const value = time(mtime);
    if (value === undefined) return undefined;
    attributes.mtime = value;
  }
  if (xattrs !== null) {
    if (!(xattrs instanceof Map) || !xattrsFit(xattrs)) return undefined;
    attributes.xattrs = Object.fromEntries(xattrs);
  }
  return attributes;
}

export function encodeTombstone({ saw }: Tombstone): Uint8Array {
  const items: (number | Uint8Array)[] = [VERSION];
  for (const id of saw) {
    const [counter, actor] = id.split('@');
    items.push(integer(Number(counter)) as number, Buffer.from(actor ?? '', 'hex'));
  }
  return encodeCbor(items);
}

export function decodeTombstone(bytes: Uint8Array): Tombstone | undefined {
  const items = record(bytes, 1, Number.POSITIVE_INFINITY);
  if (items === undefined || items.length % 2 === 0) return undefined;
  const saw: OpId[] = [];
  for (let i = 1; i < items.length; i += 2) {
    const [counter, actor] = [items[i], items[i + 1]];
    if (typeof counter !== 'number' || !(actor instanceof Uint8Array)) return undefined;
    const id = `${counter}@${Buffer.from(actor).toString('hex')}`;
    if (!OP_ID.test(id)) return undefined;
    saw.push(id);
  }
  return { saw };
}

const ENCODERS = { l: encodeLocation, d: encodeData, a: encodeAttributes, x: encodeTombstone } as const;
const DECODERS = { l: decodeLocation, d: decodeData, a: decodeAttributes, x: decodeTombstone } as const;

/** True for what the kernel takes as a name of an entry. */
export function isName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    Buffer.byteLength(name, 'utf8') <= LIMITS.nameBytesMax
  );
}

/** A record of this version with `least` to `most` items, or exactly one of the two when they differ by two. */
function record(bytes: Uint8Array, least: number, most = least): FlatValue[] | undefined {
  if (bytes.length > LIMITS.registerBytesMax) return undefined;
  const items = decodeFlat(bytes);
  if (items === undefined || items[0] !== VERSION) return undefined;
  const fits = items.length === least || items.length === most || most === Number.POSITIVE_INFINITY;
  return fits && items.length >= least ? items : undefined;
}

function isInode(id: unknown): id is InodeId {
  return typeof id === 'string' && (id === ROOT || parseInode(id) !== undefined);
}

function isMode(mode: unknown): mode is number {
  return typeof mode === 'number' && mode >= 0 && mode <= 0o7777;
}

function isOwner(id: unknown): id is number {
  return typeof id === 'number' && id >= 0 && id <= 0xffff_ffff;
}

/** Nanoseconds that fit 64 bits with a sign. */
function time(value: FlatValue | undefined): bigint | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const ns = BigInt(value);
  return ns <= INT64_MAX && ns >= -INT64_MAX ? ns : undefined;
}

/** The encoder writes numbers above 32 bits as floats, but integers of any width as integers. */
function integer(value: number): number | bigint {
  return value > 0xffff_ffff ? BigInt(value) : value;
}

/** A letter and a SHA-256 take 33 bytes instead of 65. */
function packContent(content: string): string | Uint8Array {
  if (!CONTENT_HASH.test(content)) return content;
  return Buffer.concat([Buffer.from(content.slice(0, 1)), Buffer.from(content.slice(1), 'hex')]);
}

function unpackContent(content: FlatValue | undefined): string | undefined {
  if (typeof content === 'string') return content;
  if (!(content instanceof Uint8Array) || content.length !== 33) return undefined;
  return String.fromCharCode(content[0] ?? 0) + Buffer.from(content.subarray(1)).toString('hex');
}

function contentFits(kind: Data['kind'], content: string): boolean {
  if (kind === 'link') return isInode(content);
  if (kind !== 'symlink') return CONTENT.test(content);
  return (
    content !== '' &&
    !content.includes('\0') &&
    Buffer.byteLength(content, 'utf8') <= LIMITS.symlinkTargetBytesMax
  );
}

function xattrsFit(xattrs: Map<string, Uint8Array>): boolean {
  let total = 0;
  for (const [name, value] of xattrs) {
    const bytes = Buffer.byteLength(name, 'utf8');
    // `__proto__` would not become a property; the kernel gives no name without a namespace anyway.
    if (bytes === 0 || bytes > LIMITS.xattrNameBytesMax || name.includes('\0') || name === '__proto__')
      return false;
    if (value.length > LIMITS.xattrValueBytesMax) return false;
    total += bytes + value.length;
  }
  return total <= LIMITS.xattrTotalBytesMax + LIMITS.xattrNameBytesMax;
}
