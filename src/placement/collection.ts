import { type Clock, LIMITS, type Log, messageOf, type PodId } from '../base/index.js';
import type { ChunkId, Collected, CollectOptions, ContentStore, Naming } from '../content/index.js';
import type { Heads, Tree } from '../tree/index.js';
import type { Layouts } from './layouts.js';
import { Leases } from './leases.js';
import type { Notes } from './notes.js';
import type { Peers } from './peers.js';
import type { Pins } from './pins.js';
import { belongsHere } from './plan.js';
import { holders } from './rendezvous.js';

export interface CollectionOptions {
  tree: Pick<Tree, 'commit' | 'contents' | 'contentsAt' | 'events' | 'history'>;
  content: Pick<ContentStore, 'collect' | 'release' | 'isKept' | 'isUnnamed' | 'chunksOf' | 'presence'>;
  peers: Pick<Peers, 'linked' | 'whoHas' | 'whoKeeps' | 'whenHas' | 'serveKept'>;
  layouts: () => Layouts;
  /** Other members. */
  others: () => readonly PodId[];
  /** How long overwritten and deleted contents are kept, in milliseconds: as long as any rule asks. */
  historyMs: () => number;
  /** The same for a path; undefined where it is the same for all. */
  historyOf: () => ((path: string) => number) | undefined;
  notes: Notes;
  pins: Pins;
  clock: Clock;
  log: Log;
}

/** A round costs a walk over the whole tree: it takes at most this share of the time. */
const TIME_SHARE = 0.05;

/**
 * Removes from this pod, now and then, what nothing names any more, and lets go of what other pods hold by now. What
 * went out of the tree stays for the declared history, and until every member has said that it knows; see
 * docs/decisions/0018.
 */
export class Collection {
  private readonly options: CollectionOptions;
  private readonly stopping = new AbortController();
  private readonly leases: Leases;
  private running: Promise<void> | undefined;
  /** What the last round found, and why the last one that failed did. */
  last: Collected | undefined;
  problem: string | undefined;

  constructor(options: CollectionOptions) {
    this.options = options;
    this.leases = new Leases(options.clock);
    const { content, peers } = options;
    // A chunk without a name here, of which whoever asks knows a new one, would go with its history.
    const keeps = (id: ChunkId) => content.isKept(id) && !content.isUnnamed(id) && this.leases.promise(id);
    peers.serveKept((ids) => ids.map(keeps));
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Chunks that may not be let go, for another pod counts on them. */
  isPromised(id: ChunkId): boolean {
    return this.leases.has(id);
  }

  /** What the tree names, as the collector asks for it. */
  naming(): Naming {
    const { tree } = this.options;
    return {
      settled: async () => void (await tree.commit()),
      contents: (after, limit) => tree.contents(after, limit),
      watch: (changed) =>
        tree.events.on('indexed', ({ inodes }) =>
          changed(inodes?.flatMap((inode) => tree.contentsAt(inode))),
        ),
    };
  }

  /** One round, now. @throws why it could not be done */
  async collect(): Promise<Collected | undefined> {
    const { content, tree, pins, historyMs } = this.options;
    const pinned = await pins.chunks(content);
    const found = await content.collect({
      naming: this.naming(),
      historyMs: Math.max(historyMs(), LIMITS.collectGraceMs),
      ...this.remembered(),
      nobodyHas: (id) => this.nobodyHas(id),
      seenByAllMs: this.seenByAll(),
      promised: (id) => this.leases.isPromisedLately(id),
      kept: (ids) => this.letGo(ids, pinned),
      signal: this.stopping.signal,
    });
    if (found === undefined) return undefined;
    this.last = found;
    await this.hear(await tree.commit(), found.atMs);
    return found;
  }

  close(): void {
    this.stopping.abort();
  }

  /** What is remembered by paths whose history may be over before the longest is. */
  private remembered(): { remembered?: NonNullable<CollectOptions['remembered']> } {
    const { historyOf, tree } = this.options;
    const history = historyOf();
    if (history === undefined) return {};
    return {
      *remembered() {
        for (const page of tree.history.remembered()) {
          yield page.map(({ path, content, ageMs }) => ({
            content,
            over: ageMs >= Math.max(history(path), LIMITS.collectGraceMs),
          }));
        }
      },
    };
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    const { clock, log } = this.options;
    const { signal } = this.stopping;
    let pauseMs = Math.min(this.intervalMs(), LIMITS.collectFirstMs);
    for (;;) {
      await clock.sleep(pauseMs, signal).catch(() => {});
      if (signal.aborted) return;
      const startedMs = clock.monotonicMs();
      try {
        const found = await this.collect();
        this.problem = undefined;
        if (found !== undefined && found.removed > 0)
          log.info('removed chunks that nothing names', { ...found });
      } catch (error) {
        if (signal.aborted) return;
        this.problem = messageOf(error);
        log.warn('unneeded chunks could not be looked for; trying again', { reason: this.problem });
      }
      pauseMs = Math.max(this.intervalMs(), (clock.monotonicMs() - startedMs) / TIME_SHARE);
    }
  }

  /** True when all other members are linked and say that they do not have a chunk. */
  private async nobodyHas(id: ChunkId): Promise<boolean> {
    const { peers, others } = this.options;
    const members = others();
    const linked = new Set(peers.linked());
    if (!members.every((pod) => linked.has(pod))) return false;
    const answers = await peers.whoHas([id], members, this.stopping.signal);
    return members.every((pod) => answers.get(pod)?.[0] === false);
  }

  private intervalMs(): number {
    const { collectIntervalMsMin, collectIntervalMsMax } = LIMITS;
    return Math.min(collectIntervalMsMax, Math.max(collectIntervalMsMin, this.options.historyMs() / 8));
  }

  /** Asks the linked members for their word that they have this version, and with it all that went out of the tree. */
  private async hear(heads: Heads, atMs: number): Promise<void> {
    const { peers, notes, others } = this.options;
    const members = new Set(others());
    const asked = peers.linked().filter((pod) => members.has(pod));
    const limits = { timeoutMs: LIMITS.requestTimeoutMs, signal: this.stopping.signal };
    const have = await Promise.all(
      asked.map((pod) =>
        peers.whenHas(pod, heads, limits).then(
          () => true,
          () => false,
        ),
      ),
    );
    await notes.write(
      asked.filter((_, i) => have[i]).map((pod) => ({ key: noteOf(pod), value: String(atMs) })),
    );
  }

  /** Up to when (of the store's uptime) every other member knows what went out of the tree. */
  private seenByAll(): number {
    const { others, notes } = this.options;
    const atMs = this.last?.atMs ?? 0;
    let seen = Number.POSITIVE_INFINITY;
    for (const pod of others()) {
      const note = notes.read(noteOf(pod));
      seen = Math.min(seen, Math.max(Number(note ?? -1), atMs - LIMITS.collectAbsentMsMax));
    }
    return seen;
  }

  /** What is kept here and belongs elsewhere is let go once all that should have it say that they keep it. Where rules
   *  differ by path, a chunk alone does not say where it belongs: then the releaser goes file by file. */
  async letGo(ids: readonly ChunkId[], pinned: { has(id: ChunkId): boolean }): Promise<void> {
    const { content, peers, pins } = this.options;
    const { stamp } = pins;
    const layouts = this.options.layouts();
    if (!layouts.uniform) return;
    const layout = layouts.common;
    const misplaced = ids.filter((id) => !belongsHere(id, layout) && !pinned.has(id) && content.isKept(id));
    const linked = new Set(peers.linked());
    const candidates = layout.candidates.map(({ id }) => id).filter((pod) => linked.has(pod));
    if (misplaced.length === 0 || candidates.length < Math.min(layout.copies, layout.candidates.length))
      return;
    const answers = await peers.whoKeeps(misplaced, candidates, this.stopping.signal);
    for (const [i, id] of misplaced.entries()) {
      const meant = holders(id, layout);
      const held = meant.length > 0 && meant.every((pod) => answers.get(pod)?.[i] === true);
      // Checked again right before the act: what belongs here may have changed, and somebody may count on this pod.
      if (layouts !== this.options.layouts() || stamp !== pins.stamp) return;
      if (!held || this.leases.has(id)) continue;
      await content.release(id);
    }
  }
}

function noteOf(pod: PodId): string {
  return `seen ${pod}`;
}
