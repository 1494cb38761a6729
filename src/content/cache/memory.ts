import { LRUCache } from 'lru-cache';
import { LIMITS } from '../../base/index.js';
import type { ChunkId } from '../content.js';

/** What an entry costs beside its bytes, roughly; bounds the number of small ones. */
const ENTRY_BYTES = 512;

/** Verified chunks in memory, for readers, up to so many bytes. */
export type ChunkMemory = LRUCache<ChunkId, Uint8Array>;

export function chunkMemory(bytesMax: number = LIMITS.chunkMemoryBytesMax): ChunkMemory {
  return new LRUCache<ChunkId, Uint8Array>({
    maxSize: bytesMax,
    // A view keeps the whole buffer alive that it looks into.
    sizeCalculation: (bytes) => ENTRY_BYTES + bytes.length,
  });
}
