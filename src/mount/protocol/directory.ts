/** Packs the entries of a folder into the answer to READDIR and READDIRPLUS. */
import type { Stat } from '../../fs/index.js';
import { SIZE } from './constants.js';
import { encodeEntry, type Timeouts, writeUint64 } from './replies.js';

/** Bits 12 to 15 of st_mode, which are also the types of directory entries. */
export const FILE_TYPE = {
  file: 8,
  directory: 4,
  symlink: 10,
  fifo: 1,
  socket: 12,
  character: 2,
  block: 6,
} as const;

export interface DirectoryEntry {
  name: string;
  ino: number;
  type: number;
  /** Given back by the kernel to go on behind this entry. */
  cookie: number;
}

/** Space between `start` and `end` of a buffer that entries are packed into. */
export class DirectoryPacker {
  private at: number;
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private readonly start: number;
  private readonly end: number;

  constructor(bytes: Buffer, view: DataView, start: number, end: number) {
    this.bytes = bytes;
    this.view = view;
    this.at = start;
    this.start = start;
    this.end = end;
  }

  /** Bytes packed so far. */
  get length(): number {
    return this.at - this.start;
  }

  /** @returns false when there is no room left; nothing was packed then */
  add(entry: DirectoryEntry): boolean {
    return this.pack(this.at, entry);
  }

  /** An entry with its attributes; `node` 0 says that the kernel learns none (`.` and `..`). */
  addWithStat(entry: DirectoryEntry, node: number, stat: Stat | undefined, timeouts: Timeouts): boolean {
    const at = this.at;
    if (!this.pack(at + SIZE.entryOut, entry)) return false;
    if (stat === undefined) this.bytes.fill(0, at, at + SIZE.entryOut);
    else encodeEntry(this.view, at, node, stat, timeouts);
    return true;
  }

  /** Whether an entry with attributes and this name would fit. */
  hasRoomFor(name: string): boolean {
    const length = Buffer.byteLength(name);
    return this.at + SIZE.entryOut + padded(SIZE.dirent + length) <= this.end;
  }

  private pack(at: number, { name, ino, type, cookie }: DirectoryEntry): boolean {
    const nameAt = at + SIZE.dirent;
    const room = this.end - nameAt;
    if (room <= 0) return false;
    const length = Buffer.byteLength(name);
    const next = at + padded(SIZE.dirent + length);
    if (next > this.end) return false;
    this.bytes.write(name, nameAt, length, 'utf8');
    this.bytes.fill(0, nameAt + length, next);
    writeUint64(this.view, at, ino);
    writeUint64(this.view, at + 8, cookie);
    this.view.setUint32(at + 16, length, true);
    this.view.setUint32(at + 20, type, true);
    this.at = next;
    return true;
  }
}

function padded(length: number): number {
  return (length + 7) & ~7;
}
