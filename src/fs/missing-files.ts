import type { Clock } from '../base/index.js';
import { type ChunkId, MissingChunk } from '../content/index.js';
import type { InodeId } from '../tree/index.js';

/** A file of which a read failed since no pod that could be reached had the bytes. */
export interface MissingFile {
  inode: InodeId;
  chunk: ChunkId;
}

/** What was asked for long ago no longer concerns anybody. */
const SHOWN_MS = 60 * 60 * 1000;
const FILES_MAX = 100;

/** Files that somebody wanted to read lately and could not, for `wh status`. */
export class MissingFiles {
  private readonly clock: Clock;
  private readonly files = new Map<InodeId, { chunk: ChunkId; atMs: number }>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Takes note of why a read failed, and fails with it. */
  readonly failed = (inode: InodeId, error: unknown): never => {
    if (error instanceof MissingChunk) {
      this.files.delete(inode);
      this.files.set(inode, { chunk: error.chunk, atMs: this.clock.monotonicMs() });
      const [oldest] = this.files.keys();
      if (this.files.size > FILES_MAX && oldest !== undefined) this.files.delete(oldest);
    }
    throw error;
  };

  /** @param isHere whether a chunk has come meanwhile */
  list(isHere: (chunk: ChunkId) => boolean): MissingFile[] {
    const now = this.clock.monotonicMs();
    for (const [inode, { chunk, atMs }] of this.files) {
      if (now - atMs > SHOWN_MS || isHere(chunk)) this.files.delete(inode);
    }
    return [...this.files].map(([inode, { chunk }]) => ({ inode, chunk }));
  }
}
