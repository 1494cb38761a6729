import { setImmediate } from 'node:timers/promises';
import type { PodId } from '../base/index.js';
import type { ChunkId, ChunkRef, ContentId, ContentStore } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { FileContent } from './content-source.js';
import { copiesWanted } from './copies.js';
import type { Peers } from './peers.js';
import { belongsHere } from './plan.js';
import { holders, type Layout } from './rendezvous.js';

const PAGE = 256;

export interface ReleaserOptions {
  tree: Pick<Tree, 'contents'>;
  content: Pick<ContentStore, 'has' | 'isKept' | 'presence' | 'chunksOf' | 'release' | 'evict'>;
  peers: Pick<Peers, 'whoKeeps'>;
  self: PodId;
  layoutOf: (file: FileContent) => Layout;
  /** True while every pod that may hold anything says that it places by the same declaration and the same pods. */
  agreed: () => boolean;
  /** Another one when something is pinned here, or belongs elsewhere. */
  stamp: () => string;
  /** True for a chunk that another pod may count on although it does not belong here: they place by their clocks, or by
   *  paths of another version. */
  isPromised: (id: ChunkId) => boolean;
}

/** One walk over everything. */
interface Run {
  dry: boolean;
  stamp: string;
  signal: AbortSignal;
  /** Chunks that belong here, if only as a part of another file. */
  wanted: Set<number>;
  /** Contents that came since it began. */
  arrived: ContentId[];
  released: Released;
}

/** What was let go of. */
export interface Released {
  chunks: number;
  bytes: number;
}

/**
 * Lets go of chunks that are here and belong elsewhere. A chunk goes only when enough of those that should hold it
 * have just said that they do, and while all pods agree on what belongs where (contract D20): a pod that relies on
 * another one's copy knows that this one does not rely on its own. What is let go of stays as cache while there is room.
 */
export class Releaser {
  private readonly options: ReleaserOptions;
  private readonly runs = new Set<Run>();

  constructor(options: ReleaserOptions) {
    this.options = options;
  }

  /** These contents are new, or have other places: a run that is under way passes over them. */
  arrived(contents: Iterable<ContentId>): void {
    if (this.runs.size === 0) return;
    for (const content of contents) for (const run of this.runs) run.arrived.push(content);
  }

  /** @param options.dry only counts
   *  @returns chunks and bytes that were let go of; nothing while the pods do not agree */
  async run(signal: AbortSignal, options = { dry: false }): Promise<Released> {
    const { agreed, stamp } = this.options;
    const run: Run = {
      ...options,
      stamp: stamp(),
      signal,
      wanted: new Set(),
      arrived: [],
      released: { chunks: 0, bytes: 0 },
    };
    if (!agreed()) return run.released;
    this.runs.add(run);
    try {
      await this.go(run);
    } finally {
      this.runs.delete(run);
    }
    return run.released;
  }

  private async go(run: Run): Promise<void> {
    const { wanted, signal } = run;
    for await (const { chunk, belongs } of this.chunks(signal)) if (belongs) wanted.add(shortOf(chunk.id));
    let batch: { chunk: ChunkRef; layout: Layout }[] = [];
    const seen = new Set<number>();
    for await (const { chunk, layout, belongs } of this.chunks(signal)) {
      const short = shortOf(chunk.id);
      if (belongs || wanted.has(short) || seen.has(short)) continue;
      seen.add(short);
      batch.push({ chunk, layout });
      if (batch.length < PAGE) continue;
      await this.release(batch, run);
      batch = [];
    }
    await this.release(batch, run);
  }

  private async release(batch: readonly { chunk: ChunkRef; layout: Layout }[], run: Run): Promise<void> {
    const { peers, self, isPromised } = this.options;
    const { wanted, released } = run;
    const agreed = () => this.options.agreed() && this.options.stamp() === run.stamp;
    if (batch.length === 0 || !agreed()) return;
    const ids = batch.map(({ chunk }) => chunk.id);
    const others = [...new Set(batch.flatMap(({ chunk, layout }) => holders(chunk.id, layout)))];
    const answers = await peers.whoKeeps(
      ids,
      others.filter((pod) => pod !== self),
      run.signal,
    );
    for (const [i, { chunk, layout }] of batch.entries()) {
      const held = holders(chunk.id, layout).filter((pod) => answers.get(pod)?.[i] === true).length;
      // Checked again right before the act.
      if (run.arrived.length > 0) await this.passOver(run);
      if (held < copiesWanted(layout) || wanted.has(shortOf(chunk.id))) continue;
      if (!agreed() || isPromised(chunk.id)) continue;
      if (!run.dry) await this.letGo(chunk.id, layout);
      released.chunks++;
      released.bytes += chunk.length;
    }
  }

  /** What has come since the run began may belong here. */
  private async passOver({ arrived, wanted }: Run): Promise<void> {
    const { content } = this.options;
    for (let id = arrived.pop(); id !== undefined; id = arrived.pop()) {
      wanted.add(shortOf(id.slice(1)));
      // Without its list its chunks are copied here later than they are let go of.
      if (!id.startsWith('m') || !content.has(id.slice(1))) continue;
      for (const chunk of await content.chunksOf(id)) wanted.add(shortOf(chunk.id));
    }
  }

  /** It stays as cache, unless its rule says otherwise. */
  private async letGo(id: ChunkId, { policy }: Layout): Promise<void> {
    const { content } = this.options;
    await content.release(id);
    if (!policy.cache) await content.evict(id);
  }

  /** The chunks that are kept here, file by file. */
  private async *chunks(
    signal: AbortSignal,
  ): AsyncGenerator<{ chunk: ChunkRef; layout: Layout; belongs: boolean }> {
    const { tree, content, layoutOf } = this.options;
    let after: InodeId | undefined;
    do {
      const page = tree.contents(after, PAGE);
      for (const file of page) {
        if (signal.aborted) return;
        if (file.content === '' || content.presence(file.content) === 'remote') continue;
        const layout = layoutOf(file);
        for (const chunk of await this.chunksHere(file)) {
          yield { chunk, layout, belongs: layout.policy.ignore || belongsHere(chunk.id, layout) };
        }
      }
      after = page.at(-1)?.inode;
      await setImmediate();
    } while (after !== undefined);
  }

  private async chunksHere(file: FileContent): Promise<ChunkRef[]> {
    const { content } = this.options;
    const own: ChunkId = file.content.slice(1);
    // Without its list nothing is known of the others: they stay.
    if (!content.has(own)) return [];
    const chunks = await content.chunksOf(file.content, file.size);
    // Those that may be evicted anyway need not be looked at.
    return chunks.filter(({ id }) => id !== '' && content.isKept(id));
  }
}

/** 52 bits of a chunk's id: two that are alike only keep one more. */
function shortOf(id: ChunkId): number {
  return Number.parseInt(id.slice(0, 13), 16);
}
