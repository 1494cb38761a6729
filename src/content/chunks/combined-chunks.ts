import { type Answer, LIMITS, then } from '../../base/index.js';
import type { ChunkId } from '../content.js';
import type { Chunks, PutOptions } from './chunks.js';

/** Small chunks in one place, larger ones in another. */
export class CombinedChunks implements Chunks {
  private readonly small: Chunks;
  private readonly large: Chunks;

  constructor(small: Chunks, large: Chunks) {
    this.small = small;
    this.large = large;
  }

  has(id: ChunkId): boolean {
    return this.small.has(id) || this.large.has(id);
  }

  get(id: ChunkId, length?: number): Answer<Uint8Array | undefined> {
    if (length !== undefined) return this.place(length).get(id);
    return then(this.small.get(id), (bytes) => {
      if (bytes !== undefined) return bytes;
      // Asked first, so that an absent chunk is answered without a promise.
      return this.large.has(id) ? this.large.get(id) : undefined;
    });
  }

  getNow(id: ChunkId): Uint8Array | undefined {
    return this.small.getNow(id) ?? this.large.getNow(id);
  }

  stored(id: ChunkId): Answer<Uint8Array | undefined> {
    return then(this.small.get(id), (bytes) => bytes ?? this.large.stored(id));
  }

  put(id: ChunkId, bytes: Uint8Array, options: PutOptions): Answer<void> {
    return this.place(bytes.length).put(id, bytes, options);
  }

  remove(id: ChunkId): Answer<void> {
    return then(this.small.remove(id), () => this.large.remove(id));
  }

  setAside(id: ChunkId): Answer<void> {
    return then(this.small.setAside(id), () => this.large.setAside(id));
  }

  length(id: ChunkId): Answer<number | undefined> {
    return then(this.small.length(id), (length) => length ?? this.large.length(id));
  }

  async *ids(): AsyncIterable<ChunkId> {
    yield* this.small.ids();
    yield* this.large.ids();
  }

  private place(length: number): Chunks {
    return length <= LIMITS.smallFileBytesMax ? this.small : this.large;
  }

  async flush(): Promise<void> {
    await Promise.all([this.small.flush(), this.large.flush()]);
  }
}
