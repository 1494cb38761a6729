import { closeSync, openSync, readSync } from 'node:fs';
import { WormholeError } from '../base/index.js';
import type { Segment } from './log-segment.js';
import { decodeFrame, type Frame, frameBytesAt, headerBytes } from './record-frame.js';
import { markSpacingBytes } from './record-scan.js';

const readBytes = 1024 * 1024;

/** The frames of a segment from a number on. Each record is a view into a buffer that is not used again. */
export function* readSegment(segment: Segment, tag: Buffer, from: number): Generator<Frame> {
  const fd = openSync(segment.path, 'r');
  try {
    let offset = segment.marks.findLast((mark) => mark.number <= from)?.offset ?? headerBytes;
    let window = markSpacingBytes * 2;
    while (offset < segment.bytes) {
      let bytes = readWindow(fd, segment, offset, window);
      const length = frameBytesAt(bytes, 0);
      if (length !== undefined && length > bytes.length) bytes = readWindow(fd, segment, offset, length);
      let used = 0;
      for (let frame = decodeFrame(bytes, 0, tag); frame; frame = decodeFrame(bytes, used, tag)) {
        used += frame.bytes;
        if (frame.number >= from) yield frame;
      }
      if (used === 0) throw damagedLog(segment.path);
      offset += used;
      window = readBytes;
    }
  } finally {
    closeSync(fd);
  }
}

function readWindow(fd: number, segment: Segment, offset: number, wanted: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(wanted, segment.bytes - offset));
  const length = readSync(fd, bytes, 0, bytes.length, offset);
  return bytes.subarray(0, length);
}

export function damagedLog(where: string): WormholeError {
  return new WormholeError(
    'corrupt',
    `the log ${where} is damaged: keep a copy of it, and see operations.md`,
  );
}
