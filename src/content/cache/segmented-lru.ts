import { LRUCache } from 'lru-cache';
import type { ChunkId } from '../content.js';

export interface SegmentedLruOptions {
  bytesMax: number;
  countMax: number;
  /** Told what has to go. */
  evicted(id: ChunkId, length: number): void;
}

/** What was used again may take so much of the whole. */
const HOT_SHARE = 0.8;

/**
 * Chunks with their lengths in the order of their last use, up to so many bytes. What comes is on trial; what is used
 * again is hot, and goes only when it is the oldest of the hot ones and was not used once more on trial. So a walk
 * over everything, which uses each once, takes a fifth of the place at most (segmented LRU: Karedla, Love and Wherry
 * 1994).
 */
export class SegmentedLru {
  private readonly options: SegmentedLruOptions;
  private bytesMax: number;
  private readonly trial: LRUCache<ChunkId, number>;
  private readonly hot: LRUCache<ChunkId, number>;

  constructor(options: SegmentedLruOptions) {
    this.options = options;
    this.bytesMax = options.bytesMax;
    const segment = () =>
      new LRUCache<ChunkId, number>({
        // Both are kept below theirs from here, together. A `max` would set aside arrays for all of it at each start.
        maxSize: Number.MAX_SAFE_INTEGER,
        sizeCalculation: (length) => Math.max(1, length),
      });
    this.trial = segment();
    this.hot = segment();
  }

  get bytes(): number {
    return this.trial.calculatedSize + this.hot.calculatedSize;
  }

  get count(): number {
    return this.trial.size + this.hot.size;
  }

  has(id: ChunkId): boolean {
    return this.trial.has(id) || this.hot.has(id);
  }

  isHot(id: ChunkId): boolean {
    return this.hot.has(id);
  }

  /** The length of a chunk that is in it. */
  length(id: ChunkId): number | undefined {
    return this.trial.peek(id) ?? this.hot.peek(id);
  }

  /** Takes a chunk in as the one used last. */
  set(id: ChunkId, length: number, hot = false): void {
    if (hot || this.hot.has(id)) this.heat(id, length);
    else this.trial.set(id, length);
    this.trim();
  }

  /** May take so many bytes from now on. */
  resize(bytesMax: number): void {
    this.bytesMax = bytesMax;
    this.trim();
  }

  /** The chunk was used again. @returns false when it is not here */
  use(id: ChunkId): boolean {
    const length = this.length(id);
    if (length === undefined) return false;
    this.heat(id, length);
    return true;
  }

  /** Takes a chunk out, without telling. */
  delete(id: ChunkId): boolean {
    return this.trial.delete(id) || this.hot.delete(id);
  }

  evictOldest(): void {
    // The last one on trial has just come; hot ones that are older than it go first.
    const from = this.trial.size > 1 || this.hot.size === 0 ? this.trial : this.hot;
    const oldest = oldestOf(from);
    if (oldest === undefined) return;
    from.delete(oldest.id);
    this.options.evicted(oldest.id, oldest.length);
  }

  private trim(): void {
    while (this.bytes > this.bytesMax || this.count > this.options.countMax) this.evictOldest();
  }

  private heat(id: ChunkId, length: number): void {
    this.trial.delete(id);
    this.hot.set(id, length);
    while (this.hot.size > 1 && this.hot.calculatedSize > HOT_SHARE * this.bytesMax) {
      const oldest = oldestOf(this.hot);
      if (oldest === undefined) return;
      this.hot.delete(oldest.id);
      this.trial.set(oldest.id, oldest.length);
    }
  }
}

function oldestOf(segment: LRUCache<ChunkId, number>): { id: ChunkId; length: number } | undefined {
  const { done, value: id } = segment.rkeys().next();
  return done === true || id === undefined ? undefined : { id, length: segment.peek(id) ?? 0 };
}
