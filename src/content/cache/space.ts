import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { LIMITS, WormholeError } from '../../base/index.js';

export interface SpaceOptions {
  /** A folder on the disk in question. */
  folder: string;
  /** The file that holds space back. */
  reserve: string;
  /** Free bytes below which nothing new is accepted. */
  floorBytes: number;
  /** Bytes held back. */
  reserveBytes: number;
}

/** Claims are granted from what was free when the disk was last asked, up to so many bytes at once. */
const CREDIT_BYTES = 4 * 1024 * 1024;

/**
 * What may still be written. ENOSPC has to come from write() and not later (contract D1), so bytes are claimed
 * before they are accepted: those staged on disk twice, for they are stored again as chunks, and those staged in
 * memory up to the bytes of a reserve, a file that is emptied when the disk is full at the time of storing them.
 */
export class Space {
  private readonly folder: string;
  private readonly floorBytes: number;
  private readonly reserveBytes: number;
  private readonly reserve: number;
  private reserved = false;
  private credit = 0;
  private memoryBytes = 0;
  private diskBytes = 0;

  constructor(options: SpaceOptions) {
    this.folder = options.folder;
    this.floorBytes = options.floorBytes;
    this.reserveBytes = options.reserveBytes;
    this.reserve = openSync(options.reserve, 'a+', 0o600);
    this.reserved = fstatSync(this.reserve).size >= this.reserveBytes;
    this.refill();
  }

  /** Bytes that are free on the disk. */
  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** Nothing new is accepted, or there is no inode for a file of its own (file systems without a limit say 0 of 0). */
  get isFull(): boolean {
    const { bavail, bsize, files, ffree } = statfsSync(this.folder);
    return bavail * bsize < this.floorBytes || (files > 0 && ffree === 0);
  }

  /** Bytes staged and not yet published. */
  get stagedBytes(): number {
    return this.memoryBytes + this.diskBytes;
  }

  /** True when so many bytes more may be staged in memory. */
  holds(bytes: number): boolean {
    return this.memoryBytes + bytes <= Math.min(LIMITS.stagedMemoryBytesMax, this.reserveBytes / 2);
  }

  /** Accepts bytes to be staged in memory. @throws WormholeError `full` */
  claimMemory(bytes: number): void {
    this.check(bytes);
    this.memoryBytes += bytes;
  }

  releaseMemory(bytes: number): void {
    this.memoryBytes -= bytes;
  }

  /** Accepts bytes to be written to staging files. @throws WormholeError `full` */
  claimDisk(bytes: number): void {
    this.check(bytes);
    this.countDisk(bytes);
  }

  /** Corrects the count of bytes in staging files, without asking. */
  countDisk(bytes: number): void {
    this.diskBytes += bytes;
  }

  /** Stores what was accepted: on a full disk it takes the space that was held back for this. */
  insist<T>(store: () => T): T {
    try {
      return store();
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'full' || !this.reserved) throw error;
      ftruncateSync(this.reserve, 0);
      this.reserved = false;
      this.credit = 0;
      return store();
    }
  }

  /** Takes the reserve back when there is space again. */
  refill(): void {
    if (this.reserved || this.freeBytes < this.reserveBytes + this.floorBytes) return;
    try {
      const block = Buffer.alloc(1024 * 1024);
      ftruncateSync(this.reserve, 0);
      for (let left = this.reserveBytes; left > 0; left -= block.length) {
        writeSync(this.reserve, block, 0, Math.min(left, block.length));
      }
      this.reserved = true;
    } catch {
      // The disk filled up in between; the next attempt may find room.
      ftruncateSync(this.reserve, 0);
    }
  }

  /** Bytes that would have to be freed for a claim to be granted. */
  missing(bytes: number): number {
    return Math.max(0, bytes + this.diskBytes + this.floorBytes - this.freeBytes);
  }

  close(): void {
    closeSync(this.reserve);
  }

  private check(bytes: number): void {
    // Without the reserve nothing that is accepted is sure to be stored.
    if (!this.reserved) this.refill();
    if (!this.reserved) throw full();
    if (bytes <= this.credit) {
      this.credit -= bytes;
      return;
    }
    const room = this.freeBytes - this.floorBytes - this.diskBytes;
    this.credit = Math.max(0, Math.min(room, CREDIT_BYTES + bytes) - bytes);
    if (room < bytes) throw full();
  }
}

function full(): WormholeError {
  return new WormholeError('full', 'there is no space left on the disk of this pod; free some and try again');
}
