import { type Clock, LIMITS, type Log, messageOf, Pace, type PodId, WormholeError } from '../base/index.js';
import type { ChunkId, ChunkSource, FetchOptions } from '../content/index.js';
import type { Link, Links } from '../net/index.js';
import { ChunkLane, RequestBudget } from './chunk-lane.js';
import { ChunkSearch } from './chunk-search.js';
import { CHUNK_IDS_MAX, MESSAGES, packHashes, parseBits } from './wire.js';

/** Requests under way in all: an answer is at most 4 MiB, so their bytes are at most 32 MiB. */
const REQUESTS_MAX = 8;
/** A chunk that is fetched again so soon was probably refused by the store's gate. */
const SUSPECT_MS = 60_000;
const DELIVERIES_MAX = 4096;
const HAVE_TIMEOUT_MS = 10_000;

export interface ChunkFetcherOptions {
  links: Links;
  isMember: (pod: PodId) => boolean;
  /** Of the chunks that come; unlimited when left out. */
  pace?: Pace;
  /** How long to look for a chunk that nobody has, where the asker does not say; default `fetchTimeoutMs`. */
  patienceMs?: number;
  clock: Clock;
  log: Log;
}

/**
 * Chunks from whichever linked pod has them. The store checks the bytes; when it asks for the same chunk again
 * soon, whoever delivered it is told that they are doubted, and asked last.
 */
export class ChunkFetcher implements ChunkSource {
  /** Pods that should hold a chunk, the likeliest first; a hint that `placement/` sets. */
  prefer: (id: ChunkId) => readonly PodId[] = () => [];
  private readonly options: ChunkFetcherOptions;
  private readonly lanes = new Map<PodId, ChunkLane>();
  private readonly searches = new Set<ChunkSearch>();
  private readonly budget: RequestBudget;
  private readonly deliveries = new Map<ChunkId, { peer: PodId; atMs: number }>();
  private lastGood: PodId | undefined;
  private readonly detach: (() => void)[];
  private closed = false;

  constructor(options: ChunkFetcherOptions) {
    this.options = options;
    this.budget = new RequestBudget(REQUESTS_MAX, options.pace ?? new Pace(options.clock), () => this.pump());
    this.detach = [
      options.links.events.on('up', (link) => this.up(link)),
      options.links.events.on('down', ({ link }) => this.down(link)),
    ];
    for (const link of options.links.list()) this.up(link);
  }

  /** @param options.patienceMs how long to go on when nobody has it; with 0 each linked pod is asked once */
  fetch(id: ChunkId, options: FetchOptions & { patienceMs?: number }): Promise<Uint8Array> {
    const { clock, patienceMs: usual = LIMITS.fetchTimeoutMs } = this.options;
    const { urgent, hurry, signal, patienceMs = usual } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted || this.closed) return reject(interrupted(signal?.reason));
      const end = () => {
        this.searches.delete(search);
        signal?.removeEventListener('abort', abort);
        hurry?.removeEventListener('abort', hasten);
      };
      const abort = () => search.stop(interrupted(signal?.reason));
      const hasten = () => search.hurry();
      const search = new ChunkSearch({
        id,
        urgent,
        patienceMs,
        clock,
        choose: (without) => this.choose(id, without),
        found: (bytes, peer) => {
          end();
          this.delivered(id, peer);
          resolve(bytes);
        },
        failed: (error) => {
          end();
          reject(error);
        },
      });
      this.searches.add(search);
      this.doubt(id);
      signal?.addEventListener('abort', abort, { once: true });
      hurry?.addEventListener('abort', hasten, { once: true });
      search.next();
    });
  }

  /**
   * Asks pods which of these chunks they have now. Pods that are not linked or do not answer are not in the
   * result.
   */
  whoHas(
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal?: AbortSignal,
  ): Promise<Map<PodId, boolean[]>> {
    return this.askAll(MESSAGES.have, ids, pods, signal);
  }

  /** Asks pods which of these chunks they keep; whoever says so goes on keeping them for a while. */
  whoKeeps(
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal?: AbortSignal,
  ): Promise<Map<PodId, boolean[]>> {
    return this.askAll(MESSAGES.kept, ids, pods, signal);
  }

  private async askAll(
    question: string,
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal: AbortSignal | undefined,
  ): Promise<Map<PodId, boolean[]>> {
    const answers = await Promise.all(pods.map((pod) => this.ask(question, pod, ids, signal)));
    const result = new Map<PodId, boolean[]>();
    pods.forEach((pod, i) => {
      const answer = answers[i];
      if (answer !== undefined) result.set(pod, answer);
    });
    return result;
  }

  close(): void {
    this.closed = true;
    this.budget.close();
    for (const detach of this.detach) detach();
    for (const search of [...this.searches]) search.stop(interrupted(undefined));
  }

  private async ask(
    question: string,
    pod: PodId,
    ids: readonly ChunkId[],
    signal: AbortSignal | undefined,
  ): Promise<boolean[] | undefined> {
    const link = this.lanes.get(pod)?.link;
    if (link === undefined) return undefined;
    const bits: boolean[] = [];
    try {
      for (let at = 0; at < ids.length; at += CHUNK_IDS_MAX) {
        const page = ids.slice(at, at + CHUNK_IDS_MAX);
        const options = { timeoutMs: HAVE_TIMEOUT_MS, ...(signal ? { signal } : {}) };
        bits.push(...parseBits(await link.request(question, packHashes(page), options), page.length));
      }
      return bits;
    } catch (error) {
      this.options.log.debug('a pod did not say what it has', { pod, reason: messageOf(error) });
      return undefined;
    }
  }

  private up(link: Link): void {
    if (!this.options.isMember(link.peer)) return;
    this.lanes.get(link.peer)?.close();
    this.lanes.set(link.peer, new ChunkLane(link, this.budget, this.options.clock));
    for (const search of [...this.searches]) search.linked(link.peer);
  }

  private down(link: Link): void {
    const lane = this.lanes.get(link.peer);
    if (lane === undefined || lane.link !== link) return;
    this.lanes.delete(link.peer);
    lane.close();
  }

  private pump(): void {
    // Turn by turn, so that no peer's queue keeps the others' waiting.
    for (const [peer, lane] of [...this.lanes]) {
      this.lanes.delete(peer);
      this.lanes.set(peer, lane);
      lane.pump();
    }
  }

  private delivered(id: ChunkId, peer: PodId): void {
    this.lastGood = peer;
    this.deliveries.delete(id);
    this.deliveries.set(id, { peer, atMs: this.options.clock.monotonicMs() });
    const [oldest] = this.deliveries.keys();
    if (this.deliveries.size > DELIVERIES_MAX && oldest !== undefined) this.deliveries.delete(oldest);
  }

  /** Who delivered a chunk so lately that its being fetched again says that it was refused. */
  private suspect(id: ChunkId): PodId | undefined {
    const delivery = this.deliveries.get(id);
    const recent = delivery !== undefined && this.options.clock.monotonicMs() - delivery.atMs < SUSPECT_MS;
    return recent ? delivery.peer : undefined;
  }

  /** Before it is asked for again, so that the answer is what the check has left of it. */
  private doubt(id: ChunkId): void {
    const peer = this.suspect(id);
    const link = peer === undefined ? undefined : this.lanes.get(peer)?.link;
    link?.request(MESSAGES.doubt, packHashes([id]), { priority: 'bulk' }).catch((error) => {
      this.options.log.debug('a pod did not look at a chunk that it sent', {
        peer,
        reason: messageOf(error),
      });
    });
  }

  private choose(id: ChunkId, without: ReadonlySet<PodId>): ChunkLane | undefined {
    const suspect = this.suspect(id);
    const preferred = this.prefer(id);
    let best: { lane: ChunkLane; cost: number } | undefined;
    for (const lane of this.lanes.values()) {
      const { peer } = lane.link;
      if (without.has(peer) || !lane.link.open) continue;
      const likely = preferred.includes(peer) || peer === this.lastGood;
      const cost = lane.costMs + (likely ? 0 : UNLIKELY_COST) + (peer === suspect ? SUSPECT_COST : 0);
      if (best === undefined || cost < best.cost) best = { lane, cost };
    }
    return best?.lane;
  }
}

/** What it counts for, in milliseconds, that a pod is not meant to have a chunk, or that it sent a wrong one. */
const UNLIKELY_COST = 200;
const SUSPECT_COST = 1e6;

function interrupted(cause: unknown): WormholeError {
  return new WormholeError('interrupted', 'the fetch was given up', { cause });
}
