import { isSha256, WormholeError } from '../base/index.js';
import type { Heads } from '../tree/index.js';

/** Bodies of the messages between two linked pods. A peer may send anything: each reader is total and strict. */

export const MESSAGES = {
  /** What the sender's tree has durably: the acknowledgement, and the hint to ask. Body: Heads. */
  heads: 'tree.heads',
  /** Fresh changes. Body: {@link Push}. */
  push: 'tree.push',
  /** A piece of one message of Automerge's sync protocol. Body: {@link Part}. */
  sync: 'tree.sync',
  /** Request, by a pod that joins, for the whole document. Body: null; answer: `{size}`, 0 for plain sync. */
  snapshot: 'tree.snapshot',
  /** Request for {@link PART_BYTES} of it. Body: the offset; answer: bytes. */
  snapshotPart: 'tree.snapshot.part',
  /** Request: answered when the tree has these heads durably. Bodies: Heads, answered by Heads. */
  await: 'tree.await',
  /** The sender holds its share of this version durably; none, when that is no longer so. Body: Heads. */
  settled: 'settled',
  /** Request: answered, with null, when the pod holds its share of this version durably. Body: Heads. */
  awaitSettled: 'settled.await',
  /** Request for the bytes of chunks. Body: ids; answer: {@link ChunkAnswer}. */
  chunks: 'chunk.get',
  /** Request: what was got of these chunks was not right; answered, with null, when they were read and compared. */
  doubt: 'chunk.doubt',
  /** Request: which of these chunks are there, durably. Body: ids; answer: a bitmap. */
  have: 'chunk.have',
  /** Request: which of these chunks the pod keeps, and will go on keeping for a while since it was asked. As above. */
  kept: 'chunk.kept',
} as const;

const HASH_BYTES = 32;
/** Heads of a document: one per pod that wrote lately. */
const HEADS_MAX = 4096;
const PUSHED_CHANGES_MAX = 8192;
/** Ids in one request about chunks. */
export const CHUNK_IDS_MAX = 4096;
/** Bytes of one piece of a sync message or of a snapshot. */
export const PART_BYTES = 512 * 1024;

export interface Push {
  changes: Uint8Array[];
  /** The sender's heads after these changes. */
  heads: Heads;
}

export interface Part {
  bytes: Uint8Array;
  last: boolean;
}

/** For each id its bytes, null where the chunk is not there, or absent where it did not fit: ask again. */
export type ChunkAnswer = (Uint8Array | null)[];

/** SHA-256 sums, one after the other. */
export function packHashes(hashes: readonly string[]): Uint8Array {
  return Buffer.from(hashes.join(''), 'hex');
}

export function parseHeads(body: unknown): Heads {
  return unpackHashes(body, HEADS_MAX);
}

export function parseChunkIds(body: unknown): string[] {
  return unpackHashes(body, CHUNK_IDS_MAX);
}

export function packPush(push: Push): unknown {
  return { changes: push.changes, heads: packHashes(push.heads) };
}

export function parsePush(body: unknown): Push {
  const { changes, heads } = (body ?? {}) as { [name: string]: unknown };
  if (!Array.isArray(changes) || changes.length > PUSHED_CHANGES_MAX) throw malformed('a push');
  if (!changes.every((change) => change instanceof Uint8Array)) throw malformed('a push');
  return { changes: changes.map((change) => Uint8Array.from(change)), heads: parseHeads(heads) };
}

export function parsePart(body: unknown): Part {
  const { bytes, last } = (body ?? {}) as { [name: string]: unknown };
  if (!(bytes instanceof Uint8Array) || typeof last !== 'boolean')
    throw malformed('a piece of a sync message');
  return { bytes, last };
}

/** @param asked how many ids were asked for */
export function parseChunkAnswer(body: unknown, asked: number): ChunkAnswer {
  const chunks = (body as { chunks?: unknown } | null)?.chunks;
  const isChunk = (chunk: unknown) => chunk === null || chunk instanceof Uint8Array;
  if (!Array.isArray(chunks) || chunks.length > asked || !chunks.every(isChunk)) throw malformed('chunks');
  return chunks as ChunkAnswer;
}

/** One bit for each id asked about, the first in the lowest bit of the first byte. */
export function packBits(bits: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => {
    if (bit) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (1 << (i & 7));
  });
  return bytes;
}

export function parseBits(body: unknown, count: number): boolean[] {
  if (!(body instanceof Uint8Array) || body.length !== Math.ceil(count / 8)) throw malformed('an answer');
  return Array.from({ length: count }, (_, i) => ((body[i >> 3] ?? 0) & (1 << (i & 7))) !== 0);
}

function unpackHashes(body: unknown, max: number): string[] {
  if (!(body instanceof Uint8Array) || body.length % HASH_BYTES !== 0) throw malformed('a list of hashes');
  if (body.length > max * HASH_BYTES) throw malformed('a list of hashes');
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('hex');
  return Array.from({ length: body.length / HASH_BYTES }, (_, i) => text.slice(i * 64, (i + 1) * 64)).filter(
    isSha256,
  );
}

function malformed(what: string): WormholeError {
  return new WormholeError('protocol', `a peer sent ${what} that cannot be read`);
}
