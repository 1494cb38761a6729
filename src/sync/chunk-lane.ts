import type { Clock, Pace } from '../base/index.js';
import type { ChunkId } from '../content/index.js';
import type { Link } from '../net/index.js';
import { type ChunkAnswer, MESSAGES, packHashes, parseChunkAnswer } from './wire.js';

/** Requests under way at one peer: enough that the connection never idles between them. */
const REQUESTS_PER_PEER = 4;
const IDS_PER_REQUEST = 64;
/** What a peer is taken for that was not measured yet. */
const UNKNOWN_ROUND_TRIP_MS = 5;
const UNKNOWN_CHUNK_MS = 4;
/** What an answer is taken for before the first came. */
const USUAL_BYTES = 1024 * 1024;
/** The share of a new measurement in the smoothed one. */
const SMOOTHING = 1 / 4;
/** A peer that is alive (its link's heartbeats say) may be slow; the fetcher asks others long before. */
const REQUEST_TIMEOUT_MS = 300_000;

/** One chunk that is asked of one peer. */
export interface Attempt {
  id: ChunkId;
  urgent: boolean;
  /** The bytes, or undefined when the peer does not have the chunk or did not answer. Called once. */
  done(bytes: Uint8Array | undefined): void;
}

/** Attempts that share a request; it is cancelled when nobody wants any of them any more. */
interface Request {
  wanted: number;
  cancel: AbortController;
}

/** How many requests may be under way in all, since each answer takes memory, and how much may come. */
export class RequestBudget {
  private readonly pace: Pace;
  private readonly freed: () => void;
  private free: number;
  /** Bytes of an answer, smoothed: what is paid for in advance. */
  private usualBytes = USUAL_BYTES;
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param pace of the answers' bytes
   * @param freed called when a request may start that could not before
   */
  constructor(requests: number, pace: Pace, freed: () => void) {
    this.free = requests;
    this.pace = pace;
    this.freed = freed;
  }

  /** @returns the bytes that were paid for the answer, or undefined when no request may start now */
  take(): number | undefined {
    if (this.free === 0) return undefined;
    const { waitMs } = this.pace;
    if (waitMs > 0) {
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.freed();
      }, waitMs);
      return undefined;
    }
    this.free--;
    this.pace.take(this.usualBytes);
    return this.usualBytes;
  }

  giveBack(paidBytes: number, bytes: number): void {
    this.pace.take(bytes - paidBytes);
    this.usualBytes += (bytes - this.usualBytes) * SMOOTHING;
    this.free++;
    this.freed();
  }

  close(): void {
    clearTimeout(this.timer);
  }
}

/**
 * The chunks that are asked of one peer: urgent ones first, several requests at once, many small chunks in
 * one. Nobody says how large a chunk is before it comes, so an answer holds as many as fit and the rest is
 * asked for again.
 */
export class ChunkLane {
  readonly link: Link;
  private readonly budget: RequestBudget;
  private readonly clock: Clock;
  private urgent: Attempt[] = [];
  private background: Attempt[] = [];
  private readonly underWay = new Map<Attempt, Request>();
  private requests = 0;
  private scheduled = false;
  private closed = false;
  /** How long this peer lately took for a chunk while it had any to send, smoothed. */
  private chunkMs = UNKNOWN_CHUNK_MS;
  private answeredAtMs = Number.NEGATIVE_INFINITY;

  constructor(link: Link, budget: RequestBudget, clock: Clock) {
    this.link = link;
    this.budget = budget;
    this.clock = clock;
  }

  /** Chunks that this peer still has to send. */
  get load(): number {
    return this.urgent.length + this.background.length + this.underWay.size;
  }

  add(attempt: Attempt): void {
    (attempt.urgent ? this.urgent : this.background).push(attempt);
    if (this.scheduled) return;
    this.scheduled = true;
    // Callers that want many ask one after the other: their wishes go together.
    queueMicrotask(() => {
      this.scheduled = false;
      if (this.closed) this.close();
      else this.pump();
    });
  }

  /** Milliseconds after which another chunk would be here: the round trip, and what is to come before it. */
  get costMs(): number {
    return (this.link.roundTripMs ?? UNKNOWN_ROUND_TRIP_MS) + (this.load + 1) * this.chunkMs;
  }

  /** A chunk that waits in the background is now waited for. */
  promote(attempt: Attempt): void {
    attempt.urgent = true;
    const at = this.background.indexOf(attempt);
    if (at < 0) return;
    this.background.splice(at, 1);
    this.urgent.push(attempt);
  }

  /** Takes back an attempt. */
  withdraw(attempt: Attempt): void {
    const request = this.underWay.get(attempt);
    if (request !== undefined) {
      this.underWay.delete(attempt);
      if (--request.wanted === 0) request.cancel.abort();
      return;
    }
    this.urgent = this.urgent.filter((waiting) => waiting !== attempt);
    this.background = this.background.filter((waiting) => waiting !== attempt);
  }

  /** The link is gone: nothing that waits will come. */
  close(): void {
    this.closed = true;
    const waiting = [...this.urgent, ...this.background];
    this.urgent = [];
    this.background = [];
    for (const attempt of waiting) attempt.done(undefined);
  }

  pump(): void {
    while (this.urgent.length + this.background.length > 0 && this.requests < REQUESTS_PER_PEER) {
      const paidBytes = this.budget.take();
      if (paidBytes === undefined) return;
      this.requests++;
      let bytes = 0;
      this.request(this.deal(), (came) => {
        bytes = came;
      })
        .catch(() => {})
        .finally(() => {
          this.requests--;
          this.budget.giveBack(paidBytes, bytes);
        });
    }
  }

  /** The share of one request: every n-th that waits, so that the first come first over all requests. */
  private deal(): Attempt[] {
    const waiting = [...this.urgent, ...this.background];
    const stride = Math.max(1, Math.min(REQUESTS_PER_PEER - this.requests + 1, waiting.length));
    const share = waiting.filter((_, i) => i % stride === 0).slice(0, IDS_PER_REQUEST);
    const taken = new Set(share);
    this.urgent = this.urgent.filter((attempt) => !taken.has(attempt));
    this.background = this.background.filter((attempt) => !taken.has(attempt));
    return share;
  }

  /** The peer had something to send since it was asked, or since its last answer if that came later. */
  private measure(sentAtMs: number, chunks: number): void {
    const now = this.clock.monotonicMs();
    const tookMs = now - Math.max(sentAtMs, this.answeredAtMs);
    this.answeredAtMs = now;
    if (chunks > 0) this.chunkMs += (tookMs / chunks - this.chunkMs) * SMOOTHING;
  }

  /** @param came told of the bytes of the answer */
  private async request(share: readonly Attempt[], came: (bytes: number) => void): Promise<void> {
    let answer: ChunkAnswer = [];
    let answered = false;
    const cancel = new AbortController();
    const request = { wanted: share.length, cancel };
    for (const attempt of share) this.underWay.set(attempt, request);
    const sentAtMs = this.clock.monotonicMs();
    try {
      const ids = packHashes(share.map((attempt) => attempt.id));
      const options = { priority: 'bulk', timeoutMs: REQUEST_TIMEOUT_MS, signal: cancel.signal } as const;
      const body = await this.link.request(MESSAGES.chunks, ids, options);
      answer = parseChunkAnswer(body, share.length);
      // An answer to nothing would be asked for again for ever.
      answered = answer.length > 0;
      came(answer.reduce((sum, chunk) => sum + (chunk?.length ?? 0), 0));
      this.measure(sentAtMs, answer.length);
    } finally {
      const wanted = new Set(share.filter((attempt) => this.underWay.delete(attempt)));
      const again = answered ? share.slice(answer.length).filter((attempt) => wanted.has(attempt)) : [];
      this.urgent.unshift(...again.filter((attempt) => attempt.urgent));
      this.background.unshift(...again.filter((attempt) => !attempt.urgent));
      const settled = answered ? share.slice(0, answer.length) : share;
      for (const [i, attempt] of settled.entries())
        if (wanted.has(attempt)) attempt.done(answer[i] ?? undefined);
      if (this.closed) this.close();
    }
  }
}
