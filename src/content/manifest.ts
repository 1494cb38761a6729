import { LIMITS, WormholeError } from '../base/index.js';
import type { ChunkId, ChunkRef } from './content.js';
import { MalformedList } from './malformed-list.js';

/**
 * A manifest lists a content's chunks in order: the CBOR array [version, level, entries], where entries is one
 * byte string of 38 bytes an entry: SHA-256 (zeros for a hole), then the length in bytes as 6 bytes big-endian.
 * At level 0 the entries are chunks; at level 1 they are manifests of level 0, for contents that need more
 * entries than one manifest may have. There is one encoding of each list, so equal contents have equal names.
 */
export const MANIFEST = {
  version: 1,
  entryBytes: 38,
  /** Entries of one manifest (part of the format): 2.4 MiB. */
  entriesMax: 65_536,
} as const;

export interface Manifest {
  level: 0 | 1;
  /** 38 bytes an entry, as above. */
  entries: Uint8Array;
}

const ID_BYTES = 32;
const NO_ID = Buffer.alloc(ID_BYTES);

/** @param entries at most `entriesMax` of them */
export function encodeManifest(manifest: Manifest): Buffer {
  const { level, entries } = manifest;
  const header = Buffer.alloc(8);
  header[0] = 0x83;
  header[1] = MANIFEST.version;
  header[2] = level;
  const size = writeByteStringHeader(header, 3, entries.length);
  return Buffer.concat([header.subarray(0, size), entries]);
}

/** Total on any input; `entries` is a view into `bytes`.
 *  @throws WormholeError `newer-format` | `corrupt` */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const [, version, level] = bytes;
  if (bytes[0] !== 0x83 || version === undefined || version > 0x17) throw corrupt();
  if (version > MANIFEST.version) {
    throw new WormholeError('newer-format', 'this file was written by a newer Wormhole; update this one');
  }
  if (version !== MANIFEST.version || (level !== 0 && level !== 1)) throw corrupt();
  const header = Buffer.alloc(8);
  // The header is written anew and compared, so that no second encoding of the same list is accepted.
  for (const size of [1, 2, 3, 5]) {
    const length = bytes.length - 3 - size;
    if (length < 0 || writeByteStringHeader(header, 3, length) !== 3 + size) continue;
    if (Buffer.compare(header.subarray(3, 3 + size), bytes.subarray(3, 3 + size)) !== 0) continue;
    const entries = bytes.subarray(3 + size);
    check(entries, level);
    return { level, entries };
  }
  throw corrupt();
}

/** Packs a list; holes have the id ''. */
export function packEntries(refs: readonly ChunkRef[]): Buffer {
  const packed = Buffer.alloc(refs.length * MANIFEST.entryBytes);
  refs.forEach((ref, i) => {
    if (ref.id !== '') packed.write(ref.id, i * MANIFEST.entryBytes, 'hex');
    packed.writeUIntBE(ref.length, i * MANIFEST.entryBytes + ID_BYTES, 6);
  });
  return packed;
}

/** The entry at an index of a packed list. */
export function entryAt(packed: Uint8Array, index: number): ChunkRef {
  const at = index * MANIFEST.entryBytes;
  const bytes = Buffer.from(packed.buffer, packed.byteOffset + at, MANIFEST.entryBytes);
  return { id: idOf(bytes), length: bytes.readUIntBE(ID_BYTES, 6) };
}

export function countEntries(packed: Uint8Array): number {
  return packed.length / MANIFEST.entryBytes;
}

function idOf(bytes: Buffer): ChunkId {
  const id = bytes.subarray(0, ID_BYTES);
  return id[0] === 0 && id.equals(NO_ID) ? '' : id.toString('hex');
}

function check(entries: Uint8Array, level: number): void {
  const count = entries.length / MANIFEST.entryBytes;
  if (!Number.isInteger(count) || count > MANIFEST.entriesMax) throw corrupt();
  const view = Buffer.from(entries.buffer, entries.byteOffset, entries.length);
  let total = 0;
  for (let at = 0; at < view.length; at += MANIFEST.entryBytes) {
    const length = view.readUIntBE(at + ID_BYTES, 6);
    const hole = view[at] === 0 && view.subarray(at, at + ID_BYTES).equals(NO_ID);
    if (length === 0 || (hole && level === 1)) throw corrupt();
    if (!hole && level === 0 && length > LIMITS.chunkBytesMax) throw corrupt();
    total += length;
    if (total > Number.MAX_SAFE_INTEGER) throw corrupt();
  }
}

/** @returns the index after the header */
function writeByteStringHeader(target: Buffer, at: number, length: number): number {
  if (length < 24) return target.writeUInt8(0x40 | length, at);
  if (length < 0x100) return target.writeUInt8(length, target.writeUInt8(0x58, at));
  if (length < 0x10000) return target.writeUInt16BE(length, target.writeUInt8(0x59, at));
  return target.writeUInt32BE(length, target.writeUInt8(0x5a, at));
}

function corrupt(): WormholeError {
  return new MalformedList('the list of chunks of this file is damaged; restore an older version');
}
