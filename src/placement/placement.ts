import { setMaxListeners } from 'node:events';
import { type Clock, type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import { defaultNetworkConfig, type NetworkConfig, readNetworkConfig } from '../config/index.js';
import type { ChunkId, ContentId, ContentStore } from '../content/index.js';
import type { Membership } from '../membership/index.js';
import { type Heads, type InodeId, sameHeads, type Tree } from '../tree/index.js';
import { type Checked, checkStore } from './check.js';
import { Collection } from './collection.js';
import type { FileContent } from './content-source.js';
import { Copier } from './copier.js';
import { Doubts } from './doubts.js';
import { type Freed, freeFiles } from './freeing.js';
import { type Inspection, inspectContents } from './inspect.js';
import { Intake } from './intake.js';
import type { Notes } from './notes.js';
import type { Peers } from './peers.js';
import { Pins } from './pins.js';
import { belongsHere, type Layout } from './plan.js';
import { candidatesOf, holders } from './rendezvous.js';
import { Settlement } from './settlement.js';
import { type CopiesReached, waitForCopies } from './wait.js';
import { Walker } from './walker.js';

/** Everything is looked at again this often, whatever events may have been missed. */
const WALK_INTERVAL_MS = 15 * 60_000;
/** A pod's word about a version counts for new files once nothing has changed for so long. */
const CALM_MS = 250;

export interface PlacementOptions {
  tree: Tree;
  content: ContentStore;
  membership: Pick<Membership, 'self' | 'members' | 'declared' | 'events'>;
  peers: Peers;
  notes: Notes;
  clock: Clock;
  log: Log;
}

/** Work in progress, for people. */
export interface Work {
  name: string;
  /** Files. */
  done: number;
  total: number;
  bytes: number;
  /** Bytes per second, lately. */
  rate: number;
  /** Seconds until it is done at the present pace, where that can be told. */
  eta?: number;
  /** Why it does not get on. */
  problem?: string;
}

/** Brings this pod's share of all contents here and keeps it, and knows what others say about theirs. */
export class Placement {
  private readonly options: PlacementOptions;
  private readonly intake: Intake;
  private readonly copier: Copier;
  private readonly walker: Walker;
  private readonly settlement: Settlement;
  readonly collection: Collection;
  private readonly pins: Pins;
  private readonly doubts = new Doubts();
  private readonly stopping = new AbortController();
  private readonly detach: (() => void)[] = [];
  /** Pods whose word is being weighed. */
  private readonly weighed = new Set<PodId>();
  private layoutNow: Layout;

  constructor(options: PlacementOptions) {
    const { tree, content, membership, peers, notes, clock, log } = options;
    this.options = options;
    setMaxListeners(0, this.stopping.signal);
    this.layoutNow = this.readLayout();
    const overflow = () => {
      this.doubts.reset();
      this.walk();
    };
    this.intake = new Intake({ tree, take: (file) => this.take(file), overflow, log });
    const putDown = () => this.walker.walkLater();
    const pins = new Pins(tree, notes);
    this.pins = pins;
    const pinned = (inode: InodeId) => pins.pinnedAt(inode) !== undefined;
    const layout = () => this.layoutNow;
    this.copier = new Copier({ tree, content, peers, layout, pinned, putDown, clock, log });
    const wanted = (inode: InodeId) => this.holdsAnything() || pinned(inode);
    this.walker = new Walker({ tree, content, copier: this.copier, wanted, clock, log });
    const { intake, copier, walker } = this;
    const tell = (heads: Heads) => peers.tellSettled(heads);
    this.settlement = new Settlement({ tree, content, intake, copier, walker, tell, clock, log });
    this.collection = new Collection({
      tree,
      content,
      peers,
      layout,
      others: () => [...membership.members()].map(({ id }) => id).filter((id) => id !== membership.self),
      historyMs: () => this.config().history,
      notes,
      pins,
      clock,
      log,
    });
    peers.preferHolders((id) => this.holdersOf(id));
    peers.serveSettled((signal) => this.settlement.untilSettled(signal));
  }

  start(): void {
    const { tree, membership, peers } = this.options;
    const walks = setInterval(() => this.walk(), WALK_INTERVAL_MS);
    walks.unref();
    this.detach.push(
      () => clearInterval(walks),
      tree.events.on('changed', (change) => this.intake.add(change)),
      tree.events.on('advanced', () => this.advanced()),
      tree.events.on('engine', ({ state }) => state === 'ready' && this.walk()),
      membership.events.on('changed', () => this.relayout()),
      peers.onLinked(() => this.copier.retryNow()),
      peers.onSettled((pod) => this.heard(pod)),
    );
    this.walk();
    if (this.holdsAnything()) this.settlement.look();
    this.collection.start();
  }

  /** Pods that should hold a chunk. */
  holdersOf(id: ChunkId): readonly PodId[] {
    return holders(id, this.layoutNow.candidates, this.layoutNow.copies);
  }

  /** Copies that each file should have now: as declared, but no more than there are pods for them. */
  get copiesWanted(): number {
    return Math.min(this.layoutNow.copies, Math.max(1, this.layoutNow.candidates.length));
  }

  /** True when this pod's share of what the tree has now is here durably. */
  get settled(): boolean {
    const { heads } = this.settlement;
    return heads !== undefined && sameHeads(heads, this.options.tree.heads());
  }

  /** Contents that this pod has just made are about to be named in the document: nobody else has them yet. */
  published(contents: readonly ContentId[]): void {
    this.doubts.raise(contents);
  }

  /** Files that may have fewer copies than they should, counting a pod only by its own word. */
  underReplicated(): number {
    const { files } = this.options.tree.counts();
    // What this pod still lacks, it knows best.
    return Math.min(files, Math.max(this.doubts.count(this.layoutNow, files), this.copier.left));
  }

  /** Who holds these contents, asked now. */
  inspect(contents: readonly ContentId[]): Promise<Inspection[]> {
    const { content, peers, clock } = this.options;
    return inspectContents(contents, { content, peers, layout: () => this.layoutNow, clock });
  }

  /** Waits until everything that is in the tree now has so many copies. @see waitForCopies */
  async waitForCopies(
    copies: number,
    limits: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<CopiesReached> {
    const { tree, content, peers, clock } = this.options;
    const untilSettled = (signal: AbortSignal) => this.settlement.untilSettled(signal);
    const layout = () => this.layoutNow;
    let stamp = -1;
    const committed = () => {
      stamp = this.doubts.stamp;
    };
    const options = { tree, content, peers, layout, untilSettled, committed, clock };
    const result = await waitForCopies(copies, limits, options);
    // Nothing new has come since: their word is about everything.
    if (this.doubts.stamp === stamp) for (const pod of result.settled) this.doubts.settle(pod);
    return result;
  }

  /** What is going on, for `wh status`; empty when nothing is. */
  work(): Work[] {
    if (this.copier.left === 0) return [];
    const { failure, ...progress } = this.copier.progress();
    const work: Work = { name: 'copying files here', ...progress };
    if (failure !== undefined) work.problem = failure;
    return [work];
  }

  /** True when a file, or a folder above it, is pinned: all of it is to be here. */
  isPinned(inode: InodeId): boolean {
    return this.pins.pinnedAt(inode) !== undefined;
  }

  /** Keeps a file, or all that is below a folder now or later, here. Resolves when what is there now is here.
   *  @throws WormholeError `interrupted`; it stays pinned */
  async pin(inode: InodeId, signal: AbortSignal): Promise<void> {
    await this.pins.add(inode);
    for await (const file of this.pins.filesBelow(inode)) {
      if (this.options.content.presence(file.content) === 'here') continue;
      if (!this.copier.add(file)) this.walker.walkLater();
    }
    await this.copier.allDone(signal);
    await this.options.content.flush();
  }

  /** What was here for that only may go from now on. @throws WormholeError `invalid` when it was not pinned itself */
  async unpin(inode: InodeId): Promise<void> {
    const { tree } = this.options;
    if (await this.pins.remove(inode)) return;
    const above = this.pins.pinnedAt(inode);
    const sentence =
      above === undefined ? 'it is not pinned' : `${tree.pathOf(above)} above it is pinned: unpin that`;
    throw new WormholeError('invalid', `${tree.pathOf(inode)}: ${sentence}.`);
  }

  /** Frees the space that a file, or all below a folder, takes here and need not. */
  async evict(inode: InodeId): Promise<Freed> {
    const { content } = this.options;
    const pinned = await this.pins.chunks(content);
    return freeFiles(this.pins.filesBelow(inode), {
      content,
      isPinned: (file) => this.isPinned(file.inode),
      letGo: (ids) => this.collection.letGo(ids, pinned),
    });
  }

  /** Compares what the tree names with what is here. */
  check(options: {
    readData: boolean;
    progress: (line: string) => void;
    signal: AbortSignal;
  }): Promise<Checked> {
    const { tree, content, peers } = this.options;
    const belongs = (id: ChunkId, inode: InodeId) => belongsHere(id, this.layoutNow) || this.isPinned(inode);
    return checkStore({ tree, content, peers, naming: this.collection.naming(), belongs, ...options });
  }

  close(): void {
    this.stopping.abort();
    for (const detach of this.detach.splice(0)) detach();
    this.collection.close();
    this.walker.close();
    this.copier.close();
    this.settlement.close();
  }

  private walk(): void {
    if (this.holdsAnything() || this.pins.any) this.walker.walk();
  }

  private take(file: FileContent): void {
    this.doubts.raise([file.content]);
    // Those that are too many are found again in the index, when there is room.
    if (!this.holdsAnything() && this.pins.pinnedAt(file.inode) === undefined) return;
    if (!this.copier.add(file)) this.walker.walkLater();
  }

  private advanced(): void {
    if (this.holdsAnything()) this.settlement.look();
    for (const pod of this.options.peers.linked()) this.heard(pod);
  }

  /** A pod told what it holds, or the tree has come to what it told before. */
  private heard(pod: PodId): void {
    if (this.weighed.has(pod) || this.stopping.signal.aborted) return;
    if (this.doubts.isSettled(pod) || !this.saysAll(pod)) return;
    this.weighed.add(pod);
    this.weigh(pod)
      .then(() => this.weighed.delete(pod))
      // It may have said more, or the tree moved on, just as its word was put aside.
      .then(() => this.heard(pod))
      .catch((error) => {
        this.weighed.delete(pod);
        if (this.stopping.signal.aborted) return;
        this.options.log.warn('what a pod holds could not be taken in', { pod, reason: messageOf(error) });
      });
  }

  /** Nothing is in doubt about a pod that holds its share of these heads, once they are all there is. */
  private async weigh(pod: PodId): Promise<void> {
    const { tree, clock } = this.options;
    while (this.saysAll(pod)) {
      const { stamp } = this.doubts;
      await clock.sleep(CALM_MS, this.stopping.signal);
      if (this.doubts.stamp !== stamp || tree.counts().pendingOperations > 0) continue;
      await tree.commit();
      if (this.doubts.stamp !== stamp || !this.saysAll(pod)) continue;
      this.doubts.settle(pod);
      return;
    }
  }

  /** True when a pod says that it holds its share of just what the tree has now. */
  private saysAll(pod: PodId): boolean {
    const heads = this.options.peers.settledAt(pod);
    return heads !== undefined && heads.length > 0 && sameHeads(heads, this.options.tree.heads());
  }

  /** Members or the declaration are no longer as they were. */
  private relayout(): void {
    const layout = this.readLayout();
    if (JSON.stringify(layout) === JSON.stringify(this.layoutNow)) return;
    this.layoutNow = layout;
    this.doubts.reset();
    this.walk();
    this.settlement.restart(this.holdsAnything());
  }

  private readLayout(): Layout {
    const { membership } = this.options;
    const config = this.config();
    return {
      self: membership.self,
      candidates: candidatesOf(membership.members(), config),
      copies: config.copies,
    };
  }

  private config(): NetworkConfig {
    const text = this.options.membership.declared()?.text;
    if (text === undefined) return defaultNetworkConfig();
    const { value } = readNetworkConfig(text);
    // Declared by a newer version, perhaps: the defaults lose nothing.
    if (value === undefined) this.options.log.warn('the declared configuration cannot be read here');
    return value ?? defaultNetworkConfig();
  }

  private holdsAnything(): boolean {
    return this.layoutNow.candidates.some((candidate) => candidate.id === this.layoutNow.self);
  }
}
