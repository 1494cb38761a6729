import { setImmediate } from 'node:timers/promises';
import type { PodId } from '../base/index.js';
import type { ChunkId, ChunkRef, ContentStore } from '../content/index.js';
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
  /** True while every pod that may hold anything says that it places everything as this one does. */
  agreed: () => boolean;
  /** Another one when something is pinned here, or belongs elsewhere. */
  stamp: () => string;
  /** True for a chunk that another pod may count on although it does not belong here: they place by their clocks. */
  isPromised: (id: ChunkId) => boolean;
}

/**
 * Lets go of chunks that are here and belong elsewhere. A chunk goes only when enough of those that should hold it
 * have just said that they do, and while all pods agree on what belongs where (contract D20): a pod that relies on
 * another one's copy knows that this one does not rely on its own. What is let go of stays as cache while there is room.
 */
export class Releaser {
  private readonly options: ReleaserOptions;

  constructor(options: ReleaserOptions) {
    this.options = options;
  }

  /** @param options.dry only counts
   *  @returns chunks and bytes that were let go of; nothing while the pods do not agree */
  async run(signal: AbortSignal, options = { dry: false }): Promise<{ chunks: number; bytes: number }> {
    const released = { chunks: 0, bytes: 0 };
    if (!this.options.agreed()) return released;
    const stamp = this.options.stamp();
    // The same chunk may belong here as a part of another file.
    const wanted = new Set<number>();
    for await (const { chunk, belongs } of this.chunks(signal)) if (belongs) wanted.add(shortOf(chunk.id));
    let batch: { chunk: ChunkRef; layout: Layout }[] = [];
    const seen = new Set<number>();
    for await (const { chunk, layout, belongs } of this.chunks(signal)) {
      const short = shortOf(chunk.id);
      if (belongs || wanted.has(short) || seen.has(short)) continue;
      seen.add(short);
      batch.push({ chunk, layout });
      if (batch.length < PAGE) continue;
      await this.release(batch, released, options.dry, stamp, signal);
      batch = [];
    }
    await this.release(batch, released, options.dry, stamp, signal);
    return released;
  }

  private async release(
    batch: readonly { chunk: ChunkRef; layout: Layout }[],
    released: { chunks: number; bytes: number },
    dry: boolean,
    stamp: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { peers, self, isPromised } = this.options;
    const agreed = () => this.options.agreed() && this.options.stamp() === stamp;
    if (batch.length === 0 || !agreed()) return;
    const ids = batch.map(({ chunk }) => chunk.id);
    const others = [...new Set(batch.flatMap(({ chunk, layout }) => holders(chunk.id, layout)))];
    const answers = await peers.whoKeeps(
      ids,
      others.filter((pod) => pod !== self),
      signal,
    );
    for (const [i, { chunk, layout }] of batch.entries()) {
      const held = holders(chunk.id, layout).filter((pod) => answers.get(pod)?.[i] === true).length;
      // Checked again right before the act.
      if (held < copiesWanted(layout) || !agreed() || isPromised(chunk.id)) continue;
      if (!dry) await this.letGo(chunk.id, layout);
      released.chunks++;
      released.bytes += chunk.length;
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
