import { closeSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { WormholeError } from '../base/index.js';
import { encodeHeader, headerBytes } from './record-frame.js';
import type { Mark } from './record-scan.js';

/** The calls whose failure decides what a log promises; tests hand in a disk that fails. */
export interface LogDisk {
  /** One write(2); may write less than asked. @returns bytes written */
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  /** One fdatasync(2). */
  sync(fd: number): Promise<void>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
}

/** One file of a log. */
export interface Segment {
  readonly first: number;
  readonly path: string;
  readonly marks: Mark[];
  bytes: number;
  /** Open for writing; undefined once it is neither the last nor in need of a flush. */
  fd: number | undefined;
  /** Written since its last fdatasync began. */
  dirty: boolean;
}

const NAME = /^(\d{16})\.log$/;
const fileMode = 0o600;

export function segmentName(first: number): string {
  return `${String(first).padStart(16, '0')}.log`;
}

/** The number in a segment's name, or undefined for any other file. */
export function firstOfName(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Makes a segment with its header; not durable yet, neither the file nor its name.
 *  @throws the system's error, and then there is no such file */
export function createSegment(disk: LogDisk, folder: string, tag: Buffer, first: number): Segment {
  const path = join(folder, segmentName(first));
  const fd = openSync(path, 'wx+', fileMode);
  try {
    writeFully(disk, fd, encodeHeader({ tag, first }), headerBytes, 0);
  } catch (error) {
    closeSync(fd);
    unlinkSync(path);
    throw error;
  }
  return { first, path, marks: [], bytes: headerBytes, fd, dirty: true };
}

export function writeFully(disk: LogDisk, fd: number, bytes: Uint8Array, length: number, at: number): void {
  let done = 0;
  while (done < length) {
    const written = disk.write(fd, bytes, done, length - done, at + done);
    if (written === 0) throw new WormholeError('io', 'the disk took no more bytes and gave no reason');
    done += written;
  }
}

export function closeSegment(segment: Segment): void {
  if (segment.fd === undefined) return;
  closeSync(segment.fd);
  segment.fd = undefined;
}
