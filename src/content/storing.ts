import { LIMITS, Semaphore } from '../base/index.js';
import type { Evictable } from './cache/evictable.js';
import type { Space } from './cache/space.js';
import type { FileChunks } from './chunks/file-chunks.js';
import type { VerifiedChunk, VerifiedChunks } from './chunks/verified-chunks.js';
import type { ChunkId } from './content.js';

/** Chunks being written to the cache at the same time: more would only wait for each other at the disk. */
const CACHE_WRITERS = 6;

export interface StoringOptions {
  chunks: VerifiedChunks;
  files: FileChunks;
  evictable: Evictable;
  space: Space;
}

/** How whole chunks come in and go: to be kept or to be evicted when space is short, never both. */
export class Storing {
  private readonly chunks: VerifiedChunks;
  private readonly files: FileChunks;
  private readonly evictable: Evictable;
  private readonly space: Space;
  private readonly cacheWriters = new Semaphore(CACHE_WRITERS);

  constructor(options: StoringOptions) {
    this.chunks = options.chunks;
    this.files = options.files;
    this.evictable = options.evictable;
    this.space = options.space;
  }

  /** @throws WormholeError `full` | `io` */
  put(chunk: VerifiedChunk, options: { keep: boolean }): Promise<void> {
    return options.keep ? this.putToKeep(chunk) : this.putToCache(chunk);
  }

  /** Makes a chunk that is here one to keep. @returns false when it is not here, or was rotten */
  async keepPresent(id: ChunkId): Promise<boolean> {
    await this.evictable.pin(id);
    try {
      if (!this.chunks.has(id)) return false;
      if (!this.evictable.has(id)) return true;
      // It was stored without a sync, and nobody has looked at it since perhaps.
      const bytes = await this.chunks.get(id);
      if (bytes === undefined) return false;
      if (bytes.length > LIMITS.smallFileBytesMax) await this.files.harden(id);
      else await this.chunks.add(bytes, () => false).stored;
      this.evictable.release(id);
      return true;
    } finally {
      this.evictable.unpin(id);
    }
  }

  /** Makes a chunk evictable, unless somebody keeps it at the same time. */
  async release(id: ChunkId): Promise<void> {
    await this.evictable.pin(id);
    try {
      const bytes = this.evictable.has(id) ? undefined : await this.chunks.length(id);
      if (bytes !== undefined) await this.evictable.add(id, bytes);
    } finally {
      this.evictable.unpin(id);
    }
  }

  private async putToKeep(chunk: VerifiedChunk): Promise<void> {
    const { id } = chunk;
    await this.evictable.pin(id);
    try {
      if (!this.chunks.has(id) || this.evictable.has(id)) {
        await this.chunks.putVerified(chunk, { durable: true });
      }
      this.evictable.release(id);
    } finally {
      this.evictable.unpin(id);
    }
  }

  /** Where there is no room even without what can be evicted, the chunk is not cached. */
  private async putToCache(chunk: VerifiedChunk): Promise<void> {
    const { id } = chunk;
    const { length } = chunk.stored ?? chunk.bytes;
    if (!this.evictable.admits(length) || !(await this.hasRoom(length))) return;
    // Pinned before anything is looked at: who makes the chunk one to keep from here on is heard.
    await this.evictable.pin(id);
    try {
      if (this.chunks.has(id)) return;
      await this.evictable.add(id, length);
      await this.cacheWriters.run(async () => this.chunks.putVerified(chunk, { durable: false }));
    } catch (error) {
      this.evictable.release(id);
      throw error;
    } finally {
      this.evictable.unpin(id);
    }
  }

  private async hasRoom(bytes: number): Promise<boolean> {
    const missing = this.space.missing(bytes);
    if (missing > 0) await this.evictable.shrink(missing);
    return missing === 0 || this.space.missing(bytes) === 0;
  }
}
