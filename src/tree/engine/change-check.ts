import { inflateRawSync } from 'node:zlib';
import { LIMITS, sha256, WormholeError } from '../../base/index.js';
import { automerge, type DecodedChange, isDead } from './automerge.js';
import { Leb128Reader } from './leb128.js';

/**
 * The gate for changes that come from elsewhere: right magic, right hash, and no more inside than the limits
 * allow. Automerge itself accepts some bit flips as a different tree and unpacks run lengths of any size.
 */
const MAGIC = '856f4a83';
const TYPE_DOCUMENT = 0;
const TYPE_CHANGE = 1;
const TYPE_COMPRESSED = 2;
/** Column types of Automerge's format: the low three bits of a column's number. */
const COLUMN = { delta: 3, boolean: 4, string: 5, raw: 7 } as const;

/** What a sync message carries: changes, several of them in one piece perhaps, or whole documents, for a peer
 *  that has little. @returns the changes
 *  @throws WormholeError `protocol` when it is not one sound chunk after the other */
export function checkChunks(bytes: Uint8Array): CheckedChange[] {
  const found: CheckedChange[] = [];
  try {
    for (let at = 0; at < bytes.length; ) {
      const reader = new Leb128Reader(bytes, at + 9);
      const length = reader.unsigned();
      reader.skip(length);
      const chunk = bytes.subarray(at, reader.at);
      at = reader.at;
      if (chunk[8] === TYPE_DOCUMENT) checkDocument(chunk, length);
      else found.push(checkChange(chunk));
    }
  } catch (cause) {
    throw asProtocolError(cause);
  }
  return found;
}

/** A change that passed the gate. */
export interface CheckedChange {
  bytes: Uint8Array;
  decoded: DecodedChange;
}

/** @throws WormholeError `protocol` when this is not one whole change within the limits */
export function checkChange(change: Uint8Array): CheckedChange {
  try {
    const plain = unpack(change);
    if (largestColumn(plain) > LIMITS.changeOperationsMax) throw new RangeError('too many operations');
    const decoded = automerge.decodeChange(change);
    if (!decoded.hash.startsWith(hex(change.subarray(4, 8)))) throw new RangeError('wrong checksum');
    return { bytes: change, decoded };
  } catch (cause) {
    throw asProtocolError(cause);
  }
}

function asProtocolError(cause: unknown): unknown {
  if (isDead(cause) || cause instanceof WormholeError) return cause;
  return new WormholeError('protocol', 'a peer sent a change that is damaged or too large', { cause });
}

/** A document's checksum is that of its bytes as they are; what is inside, its heads will tell. */
function checkDocument(chunk: Uint8Array, length: number): void {
  if (hex(chunk.subarray(0, 4)) !== MAGIC || length === 0) throw new RangeError('not a document');
  if (!sha256(chunk.subarray(8)).startsWith(hex(chunk.subarray(4, 8)))) throw new RangeError('wrong hash');
}

/** The change's contents, unpacked, after its own hash was compared. */
function unpack(change: Uint8Array): Uint8Array {
  if (change.length > LIMITS.changeBytesMax || hex(change.subarray(0, 4)) !== MAGIC) {
    throw new RangeError('not a change');
  }
  const reader = new Leb128Reader(change, 9);
  const length = reader.unsigned();
  if (reader.at + length !== change.length) throw new RangeError('wrong length');
  const body = change.subarray(reader.at);
  if (change[8] === TYPE_COMPRESSED) return inflateRawSync(body, { maxOutputLength: LIMITS.changeBytesMax });
  if (change[8] !== TYPE_CHANGE) throw new RangeError('not a change');
  if (!sha256(change.subarray(8)).startsWith(hex(change.subarray(4, 8)))) throw new RangeError('wrong hash');
  return body;
}

/** The number of values in the longest column, without unpacking any. */
function largestColumn(body: Uint8Array): number {
  const reader = new Leb128Reader(body, 0);
  reader.skip(reader.unsigned() * 32);
  reader.skip(reader.unsigned());
  for (let i = 0; i < 3; i++) reader.unsigned();
  reader.skip(reader.unsigned());
  for (let actors = reader.unsigned(); actors > 0; actors--) reader.skip(reader.unsigned());
  const columns: { type: number; length: number }[] = [];
  for (let count = reader.unsigned(); count > 0; count--) {
    columns.push({ type: reader.unsigned() & 7, length: reader.unsigned() });
  }
  let largest = 0;
  for (const { type, length } of columns) {
    const column = body.subarray(reader.at, reader.at + length);
    reader.skip(length);
    if (type !== COLUMN.raw) largest = Math.max(largest, countValues(type, column));
  }
  return largest;
}

function countValues(type: number, column: Uint8Array): number {
  const reader = new Leb128Reader(column, 0);
  let total = 0;
  while (reader.at < column.length) {
    if (type === COLUMN.boolean) {
      total += reader.unsigned();
      continue;
    }
    const run = reader.signed();
    if (run === 0) total += reader.unsigned();
    else total += Math.abs(run);
    for (let values = run > 0 ? 1 : -run; values > 0; values--) {
      if (type === COLUMN.string) reader.skip(reader.unsigned());
      else reader.signed();
    }
  }
  return total;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
