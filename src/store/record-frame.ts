import { hash } from 'node:crypto';

/**
 * The bytes of a log, version 1. All numbers little-endian.
 *
 *     segment = header frame*
 *     header  = 'whlog\0\0\1' tag:8 first:6 hash:8          first: number of the segment's first record
 *     frame   = tag:8 number:6 synced:6 length:4 record hash:8
 *
 * `hash` is the start of the SHA-256 of all that precedes it in its header or frame. `tag` is random, the same
 * in all of a log: frames of another log, stored here as a record, are not taken for ours. `synced` says which
 * records were durable when the frame was written (all below it): that tells damage from a crash, see
 * record-scan.ts.
 */
const MAGIC = Buffer.from('whlog\0\0\u0001', 'latin1');
const hashBytes = 8;
export const tagBytes = 8;
export const headerBytes = 30;
export const frameHeadBytes = 24;
export const frameOverheadBytes = frameHeadBytes + hashBytes;

export interface SegmentHeader {
  tag: Buffer;
  first: number;
}

export interface Frame {
  number: number;
  /** Every record with a lower number was durable when this one was written. */
  synced: number;
  record: Buffer;
  /** Bytes of the frame, its record included. */
  bytes: number;
}

export function encodeHeader({ tag, first }: SegmentHeader): Buffer {
  const header = Buffer.alloc(headerBytes);
  MAGIC.copy(header, 0);
  tag.copy(header, 8);
  header.writeUIntLE(first, 16, 6);
  writeHash(header, 22);
  return header;
}

/** The header at the start of `bytes`, or undefined when there is none that is whole. */
export function decodeHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < headerBytes || MAGIC.compare(bytes, 0, 8) !== 0) return undefined;
  if (!hashHolds(bytes, 0, 22)) return undefined;
  return { tag: Buffer.from(bytes.subarray(8, 16)), first: bytes.readUIntLE(16, 6) };
}

/** Writes a frame to the start of `target`, which has room for it. @returns the frame's bytes */
export function encodeFrame(
  target: Buffer,
  tag: Buffer,
  number: number,
  synced: number,
  record: Uint8Array,
): number {
  tag.copy(target, 0);
  target.writeUIntLE(number, 8, 6);
  target.writeUIntLE(synced, 14, 6);
  target.writeUInt32LE(record.length, 20);
  target.set(record, frameHeadBytes);
  writeHash(target, frameHeadBytes + record.length);
  return frameOverheadBytes + record.length;
}

/** The bytes that the frame at `offset` claims to have, or undefined when not even its head is there. */
export function frameBytesAt(bytes: Buffer, offset: number): number | undefined {
  if (offset + frameHeadBytes > bytes.length) return undefined;
  return frameOverheadBytes + bytes.readUInt32LE(offset + 20);
}

/** The frame at `offset`, or undefined when it is not whole or not of this log. Its record is a view. */
export function decodeFrame(bytes: Buffer, offset: number, tag: Buffer): Frame | undefined {
  const length = frameBytesAt(bytes, offset);
  if (length === undefined || offset + length > bytes.length) return undefined;
  if (tag.compare(bytes, offset, offset + tagBytes) !== 0) return undefined;
  const hashAt = offset + length - hashBytes;
  if (!hashHolds(bytes, offset, hashAt)) return undefined;
  return {
    number: bytes.readUIntLE(offset + 8, 6),
    synced: bytes.readUIntLE(offset + 14, 6),
    record: bytes.subarray(offset + frameHeadBytes, hashAt),
    bytes: length,
  };
}

function writeHash(bytes: Buffer, end: number): void {
  bytes.write(hash('sha256', bytes.subarray(0, end), 'binary'), end, hashBytes, 'latin1');
}

function hashHolds(bytes: Buffer, start: number, end: number): boolean {
  const expected = hash('sha256', bytes.subarray(start, end), 'binary');
  return bytes.toString('latin1', end, end + hashBytes) === expected.slice(0, hashBytes);
}
