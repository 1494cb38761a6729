import { decodeFrame, decodeHeader, headerBytes, tagBytes } from './record-frame.js';

/** A place inside a segment where a record begins; kept for every {@link markSpacingBytes} or so. */
export interface Mark {
  number: number;
  offset: number;
}

export const markSpacingBytes = 64 * 1024;

/** What one segment holds, as far as it is whole. */
export interface SegmentScan {
  marks: Mark[];
  /** Number after its last whole record. */
  next: number;
  /** Bytes that are whole: the segment's own length, or where the gap begins. */
  wholeBytes: number;
  /** The highest `synced` of its frames. */
  synced: number;
  /** All bytes were used. */
  whole: boolean;
}

/**
 * Walks the frames of a segment from its start. `expected` is the number that its first record must have.
 * @returns undefined when not even the header is the one that belongs here
 */
export function scanSegment(bytes: Buffer, tag: Buffer, expected: number): SegmentScan | undefined {
  const header = decodeHeader(bytes);
  if (header === undefined || header.first !== expected || !header.tag.equals(tag)) return undefined;
  const scan: SegmentScan = { marks: [], next: expected, wholeBytes: headerBytes, synced: 0, whole: true };
  let offset = headerBytes;
  while (offset < bytes.length) {
    const frame = decodeFrame(bytes, offset, tag);
    if (frame === undefined || frame.number !== scan.next) break;
    noteMark(scan.marks, frame.number, offset);
    scan.next++;
    scan.synced = Math.max(scan.synced, frame.synced);
    offset += frame.bytes;
  }
  scan.wholeBytes = offset;
  scan.whole = offset === bytes.length;
  return scan;
}

/** Adds a mark when the last one is far enough behind. */
export function noteMark(marks: Mark[], number: number, offset: number): void {
  const last = marks.at(-1);
  if (last === undefined || offset - last.offset >= markSpacingBytes) marks.push({ number, offset });
}

/**
 * What whole frames behind a gap say was durable: the highest `synced` of those from number `gap` on. A crash
 * can leave a hole only among records that were never flushed, so when a later frame says that the record in
 * the hole was durable, the disk lost it: that is damage and not a torn tail.
 */
export function syncedBehindGap(bytes: Buffer, from: number, tag: Buffer, gap: number): number {
  let synced = 0;
  let offset = bytes.indexOf(tag, from);
  while (offset >= 0) {
    const frame = decodeFrame(bytes, offset, tag);
    if (frame !== undefined && frame.number >= gap) synced = Math.max(synced, frame.synced);
    offset = bytes.indexOf(tag, offset + (frame?.bytes ?? tagBytes));
  }
  return synced;
}
