import { type Clock, type PodId, WormholeError } from '../base/index.js';
import type { ChunkId } from '../content/index.js';
import type { Attempt, ChunkLane } from './chunk-lane.js';

/** A peer that has not answered by then is not given up, but another one is asked as well. */
const HEDGE_URGENT_MS = 2_000;
/** Nor is one that is slow and known to be: it gets so many times what it was expected to take. */
const HEDGE_PATIENCE = 3;
const HEDGE_BACKGROUND_MS = 30_000;
/** Nobody had it: it may just be on its way to somebody. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 2_000;

export interface SearchOptions {
  id: ChunkId;
  /** Somebody waits for it. */
  urgent: boolean;
  /** How long to go on when nobody has it: milliseconds since the start. */
  patienceMs: number;
  clock: Clock;
  /** The best peer to ask that is not among these, or undefined. */
  choose: (without: ReadonlySet<PodId>) => ChunkLane | undefined;
  found: (bytes: Uint8Array, peer: PodId) => void;
  failed: (error: WormholeError) => void;
}

/** The search for one chunk: one peer after the other, then again, until somebody has it or time is up. */
export class ChunkSearch {
  private readonly options: SearchOptions;
  private readonly startedAtMs: number;
  private readonly tried = new Set<PodId>();
  private readonly asked = new Map<PodId, { lane: ChunkLane; attempt: Attempt }>();
  private timer: NodeJS.Timeout | undefined;
  private pauseMs = PAUSE_MIN_MS;
  private pausing = false;
  private settled = false;
  private urgent: boolean;

  constructor(options: SearchOptions) {
    this.options = options;
    this.urgent = options.urgent;
    this.startedAtMs = options.clock.monotonicMs();
  }

  next(): void {
    if (this.settled) return;
    this.pausing = false;
    const lane = this.options.choose(new Set([...this.tried, ...this.asked.keys()]));
    if (lane !== undefined) this.ask(lane);
    else if (this.asked.size === 0) this.pause();
  }

  /** A peer was linked: whatever it said before no longer counts. */
  linked(peer: PodId): void {
    this.tried.delete(peer);
    if (this.pausing) this.next();
  }

  /** Somebody waits for it from now on. */
  hurry(): void {
    if (this.urgent || this.settled) return;
    this.urgent = true;
    for (const { lane, attempt } of this.asked.values()) lane.promote(attempt);
    const [first] = this.asked.values();
    if (first !== undefined) this.wait(this.hedgeMs(first.lane));
  }

  /** Ends without the chunk. */
  stop(error: WormholeError): void {
    if (this.settled) return;
    this.settle();
    this.options.failed(error);
  }

  private ask(lane: ChunkLane): void {
    const { id } = this.options;
    const peer = lane.link.peer;
    const hedgeMs = this.hedgeMs(lane);
    const attempt: Attempt = {
      id,
      urgent: this.urgent,
      done: (bytes) => this.answered(peer, attempt, bytes),
    };
    this.asked.set(peer, { lane, attempt });
    lane.add(attempt);
    this.wait(hedgeMs);
  }

  private hedgeMs(lane: ChunkLane): number {
    return this.urgent ? Math.max(HEDGE_URGENT_MS, lane.costMs * HEDGE_PATIENCE) : HEDGE_BACKGROUND_MS;
  }

  private answered(peer: PodId, attempt: Attempt, bytes: Uint8Array | undefined): void {
    if (this.settled || this.asked.get(peer)?.attempt !== attempt) return;
    this.asked.delete(peer);
    if (bytes === undefined) {
      this.tried.add(peer);
      this.next();
      return;
    }
    this.settle();
    this.options.found(bytes, peer);
  }

  private pause(): void {
    const { clock, id, patienceMs } = this.options;
    if (clock.monotonicMs() - this.startedAtMs >= patienceMs) {
      const sentence = `no pod that can be reached has chunk ${id}; it comes back when one that has it is linked`;
      this.stop(new WormholeError('unreachable', sentence));
      return;
    }
    this.pausing = true;
    this.tried.clear();
    this.wait(this.pauseMs);
    this.pauseMs = Math.min(this.pauseMs * 2, PAUSE_MAX_MS);
  }

  private wait(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.next(), ms);
  }

  private settle(): void {
    this.settled = true;
    clearTimeout(this.timer);
    for (const { lane, attempt } of this.asked.values()) lane.withdraw(attempt);
    this.asked.clear();
  }
}
