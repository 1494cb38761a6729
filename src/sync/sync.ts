import type { Clock, Log, PodId } from '../base/index.js';
import type { ChunkId } from '../content/index.js';
import type { Links } from '../net/index.js';
import type { Heads, Tree } from '../tree/index.js';
import type { ChunkFetcher } from './chunk-fetcher.js';
import { type ServedContent, serveChunks } from './chunk-server.js';
import { Settled } from './settled.js';
import { TreeSync } from './tree-sync.js';
import { type SharedResult, waitUntilShared } from './wait.js';

export interface SyncOptions {
  links: Links;
  tree: Tree;
  content: ServedContent;
  /** Made before the content store, which it is the source of. */
  chunks: ChunkFetcher;
  self: PodId;
  isMember: (pod: PodId) => boolean;
  /** All members' ids. */
  members: () => readonly PodId[];
  clock: Clock;
  log: Log;
}

/** All that linked pods say to each other about the tree and about chunks. Make it before the links are started. */
export class Sync {
  readonly tree: TreeSync;
  private readonly chunks: ChunkFetcher;
  private readonly settled: Settled;
  private readonly options: SyncOptions;
  /** Until placement answers for it, this pod promises nothing. */
  private keeps: (ids: readonly ChunkId[]) => boolean[] = (ids) => ids.map(() => false);

  constructor(options: SyncOptions) {
    const { links, tree, content, isMember, clock, log } = options;
    this.options = options;
    this.tree = new TreeSync({ links, tree, isMember, clock, log });
    this.chunks = options.chunks;
    this.settled = new Settled({ links, treeSync: this.tree, isMember, log });
    const keeps = (ids: readonly ChunkId[]) => this.keeps(ids);
    serveChunks({ links, content, isMember, keeps, log });
  }

  /** For `wh sync --wait`. @see waitUntilShared */
  waitUntilShared(limits: { timeoutMs: number; signal?: AbortSignal }): Promise<SharedResult> {
    const { tree, members, self, clock } = this.options;
    const others = () => members().filter((pod) => pod !== self);
    return waitUntilShared(limits, { tree, treeSync: this.tree, others, clock });
  }

  close(): void {
    this.settled.close();
    this.tree.close();
  }

  // ---- what placement needs of other pods

  linked(): PodId[] {
    return this.tree.linked();
  }

  fetchNow(id: ChunkId, signal: AbortSignal): Promise<Uint8Array> {
    return this.chunks.fetch(id, { urgent: false, signal, patienceMs: 0 });
  }

  whoHas(
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal?: AbortSignal,
  ): Promise<Map<PodId, boolean[]>> {
    return this.chunks.whoHas(ids, pods, signal);
  }

  whoKeeps(
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal?: AbortSignal,
  ): Promise<Map<PodId, boolean[]>> {
    return this.chunks.whoKeeps(ids, pods, signal);
  }

  serveKept(keeps: (ids: readonly ChunkId[]) => boolean[]): void {
    this.keeps = keeps;
  }

  async whenHas(
    pod: PodId,
    heads: Heads,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<void> {
    await this.tree.peerHas(pod, heads, options);
  }

  preferHolders(prefer: (id: ChunkId) => readonly PodId[]): void {
    this.chunks.prefer = prefer;
  }

  onLinked(linked: (pod: PodId) => void): () => void {
    const { links, isMember } = this.options;
    return links.events.on('up', (link) => isMember(link.peer) && linked(link.peer));
  }

  tellSettled(heads: Heads): void {
    this.settled.tell(heads);
  }

  settledAt(pod: PodId): Heads | undefined {
    return this.settled.at(pod);
  }

  onSettled(settled: (pod: PodId, heads: Heads) => void): () => void {
    return this.settled.events.on('settled', ({ pod, heads }) => settled(pod, heads));
  }

  whenSettled(pod: PodId, heads: Heads, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void> {
    return this.settled.when(pod, heads, options);
  }

  serveSettled(untilSettled: (signal: AbortSignal) => Promise<void>): void {
    this.settled.serve(untilSettled);
  }
}
