import { type Clock, LIMITS } from '../base/index.js';
import type { ChunkId } from '../content/index.js';

/**
 * Chunks that this pod has told another one that it keeps. It goes on keeping them for longer than an answer can be
 * acted upon: two pods that ask each other at the same time would both let go otherwise. After a start nothing is
 * known of earlier promises, and all is taken as promised for that long.
 */
export class Leases {
  private readonly clock: Clock;
  private readonly startedMs: number;
  /** Chunk to the time of its last promise, the oldest first. */
  private readonly promised = new Map<ChunkId, number>();

  constructor(clock: Clock) {
    this.clock = clock;
    this.startedMs = clock.monotonicMs();
  }

  /** @returns false where no more can be remembered: then nothing is promised */
  promise(id: ChunkId): boolean {
    const now = this.clock.monotonicMs();
    for (const [old, atMs] of this.promised) {
      if (now - atMs < LIMITS.keptLeaseMs) break;
      this.promised.delete(old);
    }
    if (!this.promised.has(id) && this.promised.size >= LIMITS.keptLeasesMax) return false;
    this.promised.delete(id);
    this.promised.set(id, now);
    return true;
  }

  /** True for a chunk that was promised, or may have been before the start. */
  has(id: ChunkId): boolean {
    return this.isRecent(this.startedMs) || this.isPromisedLately(id);
  }

  /** True for a chunk that was promised since the start. */
  isPromisedLately(id: ChunkId): boolean {
    return this.isRecent(this.promised.get(id) ?? Number.NEGATIVE_INFINITY);
  }

  private isRecent(atMs: number): boolean {
    return this.clock.monotonicMs() - atMs < LIMITS.keptLeaseMs;
  }
}
