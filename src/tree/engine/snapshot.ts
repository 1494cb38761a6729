import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isMissing, replaceFile, WormholeError } from '../../base/index.js';
import type { Heads } from '../schema.js';
import type { HiddenMap } from './document.js';
import type { OwnGroup } from './own-writes.js';

/**
 * The whole document in one file, which the change log continues:
 *
 *     'whsnap\0\1'  header length: 4 bytes, little-endian  header: JSON  document  SHA-256 of all before
 */
export interface SnapshotHeader {
  heads: Heads;
  /** The last journaled operation in it. */
  seq: number;
  /** Folder of the change log that continues it. */
  log: string;
  /** That log's records from this number on are not in it. */
  logNext: number;
  /** What {@link OwnWrites} must remember. */
  own: { actors: string[]; groups: OwnGroup[] };
  /** Maps that the document does not name any more; absent when there are none. */
  hidden?: HiddenMap[];
}

export interface Snapshot {
  header: SnapshotHeader;
  document: Uint8Array;
}

const MAGIC = Buffer.from('whsnap\0\u0001', 'latin1');
const PREFIX_BYTES = MAGIC.length + 4;
const HASH_BYTES = 32;
/** Bytes hashed and written in one go: other work of the thread gets its turn in between. */
const STEP_BYTES = 1024 * 1024;

/** The pieces of the file, the document not copied. */
function frame({ header, document }: Snapshot): Uint8Array[] {
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const prefix = Buffer.alloc(PREFIX_BYTES);
  MAGIC.copy(prefix);
  prefix.writeUInt32LE(json.length, MAGIC.length);
  const pieces: Uint8Array[] = [prefix, json];
  for (let at = 0; at < document.length; at += STEP_BYTES)
    pieces.push(document.subarray(at, at + STEP_BYTES));
  return pieces;
}

/** The file's bytes, for sending it. */
export function encodeSnapshot(snapshot: Snapshot): Buffer {
  const pieces = frame(snapshot);
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return Buffer.concat([...pieces, hash.digest()]);
}

/** @throws WormholeError `corrupt` when the hash does not match, `newer-format` */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.length - HASH_BYTES;
  const hash = end < PREFIX_BYTES ? undefined : createHash('sha256').update(buffer.subarray(0, end)).digest();
  if (hash === undefined || !hash.equals(buffer.subarray(end))) {
    throw new WormholeError('corrupt', "the document's snapshot does not match its hash");
  }
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new WormholeError('newer-format', 'this store was written by a newer wormhole; update this one');
  }
  const start = PREFIX_BYTES + buffer.readUInt32LE(MAGIC.length);
  const header: SnapshotHeader = JSON.parse(buffer.toString('utf8', PREFIX_BYTES, start));
  return { header, document: buffer.subarray(start, end) };
}

/** Replaces the snapshot durably: the old one is there, whole, until the new one is. */
export function writeSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  return replaceFile(path, `${path}.tmp`, async (handle) => {
    const hash = createHash('sha256');
    for (const piece of frame(snapshot)) {
      hash.update(piece);
      await handle.writeFile(piece);
    }
    await handle.writeFile(hash.digest());
  });
}

/** The snapshot, or undefined when there is none.
 *  @throws WormholeError `corrupt`, `newer-format` */
export async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return decodeSnapshot(bytes);
}
