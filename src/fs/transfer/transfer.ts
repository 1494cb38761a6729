import type { FileHandle as PlainFile } from 'node:fs/promises';
import { Estimate, systemClock } from '../../base/index.js';
import type { InodeId } from '../../tree/index.js';
import type { FileSystem } from '../filesystem.js';

/** Bytes that are read, written and compared in one piece. */
export const BLOCK_BYTES = 1024 * 1024;
const PROGRESS_INTERVAL_MS = 1_000;
/** Paths that a report names; it counts the rest. */
const LEFT_NAMED_MAX = 100;

/** What a bulk copy into or out of the tree came to. */
export interface Transfer {
  /** Copied now. */
  files: number;
  folders: number;
  bytes: number;
  /** Files that were there already, byte for byte. */
  already: number;
  /** What was not copied, and why: nothing that is there is ever replaced. At most some are named. */
  left: { path: string; reason: string }[];
  leftCount: number;
}

/** Counts, and says now and then how far it is. */
export class TransferReport {
  readonly transfer: Transfer = { files: 0, folders: 0, bytes: 0, already: 0, left: [], leftCount: 0 };
  private readonly say: (line: string) => void;
  private readonly estimate = new Estimate(systemClock);
  private saidMs = performance.now();
  /** Entries that are not folders, as far as they were counted before. */
  private total = 0;

  constructor(say: (line: string) => void) {
    this.say = say;
  }

  expect(entries: number): void {
    this.total += entries;
  }

  copied(bytes: number): void {
    this.transfer.files++;
    this.transfer.bytes += bytes;
    this.tell();
  }

  already(): void {
    this.transfer.already++;
    this.tell();
  }

  leave(path: string, reason: string): void {
    this.transfer.leftCount++;
    if (this.transfer.left.length < LEFT_NAMED_MAX) this.transfer.left.push({ path, reason });
  }

  tell(): void {
    if (performance.now() - this.saidMs < PROGRESS_INTERVAL_MS) return;
    this.saidMs = performance.now();
    const { files, folders, bytes, already, leftCount } = this.transfer;
    const done = files + already + leftCount;
    const total = Math.max(done, this.total);
    const there = already === 0 ? '' : `, ${already} there already`;
    const left = this.estimate.left(done, total);
    this.say(`${done} of ${total} files, ${folders} folders, ${Math.round(bytes / 1e6)} MB${there}${left}`);
  }
}

/** Whether a file outside and one of the tree have the same bytes; both are read to the end. */
export async function sameBytes(plain: PlainFile, fileSystem: FileSystem, inode: InodeId): Promise<boolean> {
  const handle = await fileSystem.open(inode, READ);
  try {
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let at = 0; ; ) {
      const count = await readFully(plain, block, at);
      const bytes = await fileSystem.read(handle, at, Math.max(count, 1));
      if (Buffer.compare(bytes, block.subarray(0, count)) !== 0) return false;
      if (count === 0) return true;
      at += count;
    }
  } finally {
    await fileSystem.release(handle);
  }
}

/** Fills the block as far as the file reaches. @returns bytes */
export async function readFully(file: PlainFile, block: Buffer, position: number): Promise<number> {
  let count = 0;
  while (count < block.length) {
    const { bytesRead } = await file.read(block, count, block.length - count, position + count);
    if (bytesRead === 0) break;
    count += bytesRead;
  }
  return count;
}

export const READ = { read: true, write: false, append: false, truncate: false, sync: false } as const;
export const WRITE = { ...READ, write: true } as const;
