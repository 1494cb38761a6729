import { closeSync, fstatSync, openSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { diskError, isFull } from '../base/index.js';

export interface DatabaseRoomOptions {
  /** The database's file. */
  file: string;
  /** Bytes of it up to its last page in use. */
  usedBytes: () => number;
}

const PAGE_BYTES = 4096;
/** A value longer than this gets pages of its own. */
const IN_PAGE_BYTES = 1900;
/** With more than this free on its disk, the file grows as LMDB likes. */
const PLENTY_BYTES = 64 * 1024 * 1024;
/** So much is claimed before the disk is asked again. */
const CREDIT_BYTES = 16 * 1024 * 1024;
/** Kept at the end of the file while there is room, so that a full disk still takes small batches. */
const TAIL_BYTES = 1024 * 1024;
/** What a batch takes beside the pages of its entries; what only removes may take of it. */
const BATCH_BYTES = 256 * 1024;
const REMOVAL_BYTES = 64 * 1024;

/**
 * Sees to it that a batch finds its place in the file before LMDB writes it. When a write of its own fails, lmdb puts a
 * message of up to 120 characters into 100 bytes (version 3.5.6, `mdb_page_flush`), and the process dies of that sooner or
 * later: so a full disk has to be noticed here. Blocks are made by writing zeros behind the last page.
 */
export class DatabaseRoom {
  private readonly file: string;
  private readonly usedBytes: () => number;
  private credit = 0;
  /** Claimed by batches that are not committed yet. */
  private pending = 0;

  constructor(options: DatabaseRoomOptions) {
    this.file = options.file;
    this.usedBytes = options.usedBytes;
  }

  /** Before an entry is written or, without a length, removed. @returns bytes, to be given back by `release`
   *  @throws WormholeError `full` */
  claim(valueBytes?: number): number {
    const long = valueBytes !== undefined && valueBytes > IN_PAGE_BYTES;
    const bytes = long ? (Math.ceil(valueBytes / PAGE_BYTES) + 2) * PAGE_BYTES : PAGE_BYTES;
    if (bytes <= this.credit) this.credit -= bytes;
    else this.ask(this.pending + bytes, valueBytes === undefined ? REMOVAL_BYTES : BATCH_BYTES);
    this.pending += bytes;
    return bytes;
  }

  /** The batch is committed, or is not to be. */
  release(bytes: number): void {
    this.pending -= bytes;
  }

  private ask(bytes: number, besides: number): void {
    const { bavail, bsize } = statfsSync(dirname(this.file));
    const hasPlenty = bavail * bsize > PLENTY_BYTES + bytes;
    this.credit = hasPlenty ? CREDIT_BYTES : 0;
    const wanted = hasPlenty ? TAIL_BYTES : bytes + besides;
    try {
      this.lengthen(wanted);
    } catch (error) {
      if (!hasPlenty || !isFull(error)) throw diskError(`the database ${dirname(this.file)}`, error);
    }
  }

  /** Zeros until so many bytes lie behind the last page in use. */
  private lengthen(wanted: number): void {
    // Appended, not put at an offset: another thread may be making the file longer just now.
    const fd = openSync(this.file, 'a');
    try {
      let missing = this.usedBytes() + wanted - fstatSync(fd).size;
      if (missing <= 0) return;
      const zeros = Buffer.alloc(Math.min(missing, 16 * PAGE_BYTES));
      while (missing > 0) missing -= writeSync(fd, zeros, 0, Math.min(missing, zeros.length));
    } finally {
      closeSync(fd);
    }
  }
}
