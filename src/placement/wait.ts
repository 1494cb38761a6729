import { type Clock, Deadline, type PodId, unlessAborted, WormholeError } from '../base/index.js';
import type { ChunkId, ContentStore } from '../content/index.js';
import type { Heads, InodeId, Tree } from '../tree/index.js';
import type { FileContent } from './content-source.js';
import { copiesWanted } from './copies.js';
import type { Layouts } from './layouts.js';
import type { Peers } from './peers.js';
import { holders, holdersWithStandIns, type Layout } from './rendezvous.js';

/** With more files it is not counted one by one whether those pods that answered are enough. */
const COUNTED_FILES_MAX = 20_000;
const PAGE = 512;
/** A pod whose link went is asked again this often. */
const ASK_AGAIN_MS = 250;

export interface WaitOptions {
  tree: Pick<Tree, 'commit' | 'contents' | 'counts'>;
  content: Pick<ContentStore, 'chunksOf' | 'presence'>;
  peers: Pick<Peers, 'linked' | 'whenSettled' | 'whoHas'>;
  layouts: () => Layouts;
  layoutOf: (inode: InodeId) => Layout;
  /** Resolves when this pod holds its own share durably. */
  untilSettled: (signal: AbortSignal) => Promise<void>;
  /** Called when it is settled which version is waited for. */
  committed: () => void;
  clock: Clock;
}

/** How a wait for copies ended. */
export interface CopiesReached {
  /** True when every file here had so many copies. */
  done: boolean;
  /** Pods that said that they hold their share. */
  settled: PodId[];
  /** Pods whose word is missing. */
  missing: PodId[];
  /** Why it cannot be done, however long one waits. */
  reason?: string;
}

/**
 * Resolves when everything that is in the tree now is held by so many pods (or by as many as its rule keeps, where
 * that is fewer), each by its own word after its own flush, or when the time is up.
 * @throws WormholeError `invalid` when more copies are asked for than the network keeps, `interrupted`
 */
export async function waitForCopies(
  copies: number,
  limits: { timeoutMs: number; signal?: AbortSignal },
  options: WaitOptions,
): Promise<CopiesReached> {
  const { candidates, policies } = options.layouts();
  const declared = Math.max(...policies.all().map(({ policy }) => policy.copies));
  if (!Number.isInteger(copies) || copies < 1) {
    throw new WormholeError('invalid', 'the number of copies is a whole number from 1 on');
  }
  if (copies > declared) {
    const cure = `ask for at most ${declared}, or declare copies: ${copies} in wormhole.yaml`;
    throw new WormholeError('invalid', `the network keeps ${declared} copies of each file: ${cure}`);
  }
  const pods = candidates.map((candidate) => candidate.id);
  if (copies > pods.length) {
    const reason = `only ${pods.length} of its pods can hold copies; portals do not count`;
    return { done: false, settled: [], missing: pods, reason };
  }
  return new CopiesWait(copies, pods, limits, options).run();
}

class CopiesWait {
  private readonly copies: number;
  private readonly pods: readonly PodId[];
  private readonly options: WaitOptions;
  private readonly outer: AbortSignal | undefined;
  private readonly deadline: Deadline;
  private readonly signal: AbortSignal;
  private readonly timeoutMs: number;
  private readonly settled = new Set<PodId>();
  private done = false;

  constructor(
    copies: number,
    pods: readonly PodId[],
    limits: { timeoutMs: number; signal?: AbortSignal },
    options: WaitOptions,
  ) {
    this.copies = copies;
    this.pods = pods;
    this.options = options;
    this.outer = limits.signal;
    this.timeoutMs = limits.timeoutMs;
    this.deadline = new Deadline(options.clock, limits.timeoutMs, limits.signal);
    this.signal = this.deadline.signal;
  }

  async run(): Promise<CopiesReached> {
    try {
      const heads = await unlessAborted(this.options.tree.commit(), this.signal);
      this.options.committed();
      await Promise.all(this.pods.map((pod) => this.follow(pod, heads)));
    } catch (error) {
      if (!this.signal.aborted) throw error;
    } finally {
      this.deadline.end();
    }
    if (this.outer?.aborted) throw new WormholeError('interrupted', 'the wait was given up');
    const settled = this.pods.filter((pod) => this.settled.has(pod));
    return { done: this.done, settled, missing: this.pods.filter((pod) => !this.settled.has(pod)) };
  }

  /** Asks a pod until it holds its share; ends the wait when that makes enough. */
  private async follow(pod: PodId, heads: Heads): Promise<void> {
    const { peers, layouts, untilSettled, clock } = this.options;
    while (!this.signal.aborted) {
      try {
        if (pod === layouts().self) await unlessAborted(untilSettled(this.signal), this.signal);
        else await peers.whenSettled(pod, heads, { timeoutMs: this.timeoutMs, signal: this.signal });
        break;
      } catch {
        // Not linked, or just cut off, or out of time.
        await clock.sleep(ASK_AGAIN_MS, this.signal).catch(() => {});
      }
    }
    if (this.signal.aborted) return;
    this.settled.add(pod);
    if (await this.enough(new Set(this.settled))) {
      this.done = true;
      this.deadline.end();
    }
  }

  /** True when every content has enough holders among the pods that are settled. */
  private async enough(settled: ReadonlySet<PodId>): Promise<boolean> {
    const { tree, layouts } = this.options;
    const { candidates, common, uniform } = layouts();
    const others = candidates.filter((candidate) => !settled.has(candidate.id)).length;
    // Each chunk's holders lack at most those that have not answered.
    const exact = !candidates.some((candidate) => candidate.full);
    if (exact && others === 0) return true;
    if (exact && uniform && Math.min(common.copies, candidates.length) - others >= this.copies) return true;
    if (settled.size < this.copies || tree.counts().files > COUNTED_FILES_MAX) return false;
    let after: InodeId | undefined;
    while (!this.signal.aborted) {
      const page = tree.contents(after, PAGE);
      for (const file of page) if (!(await this.isHeld(file, settled))) return false;
      after = page.at(-1)?.inode;
      if (after === undefined) return true;
    }
    return false;
  }

  /** Pods that hold a chunk by their word; a full one may lack some of its share, and is asked about it. */
  private async settledHolders(
    id: ChunkId,
    layout: Layout,
    settled: ReadonlySet<PodId>,
  ): Promise<Set<PodId>> {
    const meant = holders(id, layout).filter((pod) => settled.has(pod));
    const { full, standIns } = holdersWithStandIns(id, layout);
    if (full.length === 0) return new Set(meant);
    const unsure = [...full, ...standIns];
    const answers = await this.options.peers.whoHas([id], unsure, this.signal);
    return new Set(meant.filter((pod) => !unsure.includes(pod) || answers.get(pod)?.[0] === true));
  }

  private async isHeld(file: FileContent, settled: ReadonlySet<PodId>): Promise<boolean> {
    const { content, layoutOf } = this.options;
    const layout = layoutOf(file.inode);
    const { self } = layout;
    const wanted = Math.min(this.copies, copiesWanted(layout));
    // What was written here is kept here until the others have it.
    const own = settled.has(self) && content.presence(file.content) === 'here';
    for (const chunk of await unlessAborted(content.chunksOf(file.content, file.size), this.signal)) {
      if (chunk.id === '') continue;
      const held = await this.settledHolders(chunk.id, layout, settled);
      if (own) held.add(self);
      if (held.size < wanted) return false;
    }
    return true;
  }
}
