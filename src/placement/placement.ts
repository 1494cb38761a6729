import { setImmediate } from 'node:timers/promises';
import { type Clock, Emitter, type Log, type PodId } from '../base/index.js';
import type { NetworkConfig, Policies, Posture } from '../config/index.js';
import type { ChunkId, ContentId, ContentStore } from '../content/index.js';
import type { Membership } from '../membership/index.js';
import { type Heads, type InodeId, sameHeads, type Tree } from '../tree/index.js';
import { type Checked, checkStore } from './check.js';
import { Collection } from './collection.js';
import { type FileContent, fileOf } from './content-source.js';
import { Copier } from './copier.js';
import { FileLayouts } from './file-layouts.js';
import type { Freed } from './freeing.js';
import type { Opens } from './heat.js';
import { type Inspection, inspectContents } from './inspect.js';
import { Intake } from './intake.js';
import { Keeping } from './keeping.js';
import { type Flow, planNetwork } from './network-plan.js';
import type { Notes } from './notes.js';
import { type Access, Outlook } from './outlook.js';
import type { Peers } from './peers.js';
import { Pins } from './pins.js';
import { belongsHere } from './plan.js';
import { type Released, Releaser } from './releaser.js';
import { Releases } from './releases.js';
import { holders, type Layout } from './rendezvous.js';
import { type Scrubbed, Scrubber } from './scrubber.js';
import { Settlement } from './settlement.js';
import { Testimony } from './testimony.js';
import { type CopiesReached, waitForCopies } from './wait.js';
import { Walker } from './walker.js';

/** Everything is looked at again this often, whatever events may have been missed. */
const WALK_INTERVAL_MS = 15 * 60_000;
/** Who is linked, and so the posture, is looked at this often. */
const LOOK_INTERVAL_MS = 1_000;
/** Bytes per second at which copies are made in a posture that throttles. */
const THROTTLED_BYTES_PER_SECOND = 4e6;
const ONLY_HERE_PAGE = 256;

export interface PlacementOptions {
  tree: Tree;
  content: ContentStore;
  membership: Pick<Membership, 'self' | 'members' | 'declared' | 'events' | 'presenceOf'>;
  peers: Peers;
  notes: Notes;
  /** Paths that are wholly here, by this pod's own settings. */
  pins?: (config: NetworkConfig) => readonly string[];
  /** Bytes that this pod may fill. */
  capacity?: (config: NetworkConfig) => number | undefined;
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

export interface PlacementEvents extends Record<string, unknown> {
  /** The network is in another posture, as this pod sees it. */
  posture: { posture: Posture; before: Posture; reason: string | undefined };
}

/** Brings this pod's share of all contents here and keeps it, and knows what others say about theirs. */
export class Placement {
  readonly events = new Emitter<PlacementEvents>();
  readonly collection: Collection;
  private readonly options: PlacementOptions;
  private readonly outlook: Outlook;
  private readonly files: FileLayouts;
  private readonly testimony: Testimony;
  private readonly intake: Intake;
  private readonly copier: Copier;
  private readonly walker: Walker;
  private readonly settlement: Settlement;
  private readonly pins: Pins;
  private readonly keeping: Keeping;
  private readonly releaser: Releaser;
  private readonly releases: Releases;
  private readonly detach: (() => void)[] = [];

  constructor(options: PlacementOptions) {
    const { tree, content, membership, peers, notes, clock, log } = options;
    this.options = options;
    const layout = (file: { inode: InodeId }) => this.layoutOf(file.inode);
    const rate = ({ policy }: Layout) =>
      this.outlook.throttles(policy) ? THROTTLED_BYTES_PER_SECOND : Number.POSITIVE_INFINITY;
    const putDown = () => this.walker.walkLater();
    this.copier = new Copier({ tree, content, peers, layout, rate, putDown, clock, log });
    const lacking = () => ({ files: this.copier.failing, bytes: this.copier.leftBytes });
    const { pins, capacity } = options;
    this.outlook = new Outlook({ membership, peers, content, pins, capacity, lacking, clock, log });
    this.pins = new Pins(tree, notes);
    this.files = new FileLayouts({ tree, outlook: this.outlook, pins: this.pins, clock });
    this.testimony = new Testimony({ tree, membership, peers, outlook: this.outlook, clock, log });
    const overflow = () => {
      this.testimony.reset();
      this.walk();
    };
    this.intake = new Intake({
      tree,
      take: (file) => this.take(file),
      filesBelow: (inode) => this.pins.filesBelow(inode),
      byPath: () => !this.outlook.layouts.uniform,
      overflow,
      log,
    });
    const wanted = (file: FileContent) => this.mayBelongHere(file);
    this.walker = new Walker({ tree, content, peers, copier: this.copier, wanted, clock, log });
    this.settlement = this.makeSettlement();
    this.collection = this.makeCollection();
    this.keeping = new Keeping({
      tree,
      content,
      pins: this.pins,
      copier: this.copier,
      walker: this.walker,
      collection: this.collection,
    });
    this.releaser = this.makeReleaser();
    this.releases = this.makeReleases();
    peers.preferHolders((id) => this.holdersOf(id));
    peers.serveSettled((signal) => this.settlement.untilSettled(signal));
  }

  start(): void {
    const { tree, membership, peers } = this.options;
    const walks = setInterval(() => {
      this.walk();
      this.releases.later();
    }, WALK_INTERVAL_MS);
    const looks = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    walks.unref();
    looks.unref();
    this.detach.push(
      () => clearInterval(walks),
      () => clearInterval(looks),
      tree.events.on('changed', (change) => this.intake.add(change)),
      tree.events.on('moved', ({ inodes }) => this.moved(inodes)),
      tree.events.on('advanced', () => this.advanced()),
      tree.events.on('engine', ({ state }) => state === 'ready' && this.walk()),
      membership.events.on('changed', () => this.look()),
      peers.onLinked(() => this.copier.retryNow()),
      peers.onSettled((pod) => this.testimony.heard(pod)),
    );
    this.look();
    this.walk();
    if (this.holdsAnything()) this.settlement.look();
    this.collection.start();
  }

  /** Pods that should hold a chunk of which nothing else is known; those with a higher priority come first. */
  holdersOf(id: ChunkId): readonly PodId[] {
    const { layouts } = this.outlook;
    const chosen = holders(id, layouts.common);
    const { pods } = this.config;
    if (pods.size === 0) return chosen;
    const names = new Map(layouts.candidates.map((pod) => [pod.id, pod.name]));
    const priority = (pod: PodId) => pods.get(names.get(pod) ?? '')?.priority ?? 0;
    return [...chosen].sort((a, b) => priority(b) - priority(a));
  }

  /** What is declared now. */
  get config(): NetworkConfig {
    return this.outlook.config;
  }

  /** The declared rules by path. */
  get policies(): Policies {
    return this.outlook.policies;
  }

  /** What the network is in, as this pod sees it, and why. */
  get posture(): { posture: Posture; reason: string | undefined } {
    const { posture, reason } = this.outlook.judgement;
    return { posture, reason };
  }

  /** True when some files may not be written or opened now; only then {@link access} need be asked. */
  get restricts(): boolean {
    return this.outlook.restricts;
  }

  access(path: string): Access {
    return this.outlook.access(path);
  }

  /** False for a file of which nothing is to stay in this pod's cache. */
  caches(inode: InodeId): boolean {
    return this.files.caches(inode);
  }

  /** Where a file belongs; one without a name, '', as without any rule. */
  layoutOf(inode: InodeId): Layout {
    return this.files.of(inode);
  }

  /** A file was opened here to be read: one that is asked for often gains a copy here, where its rule says so. */
  opened(inode: InodeId): void {
    const file = this.files.opened(inode);
    if (file !== undefined) this.copier.add(file);
  }

  /** True for a file that is asked for often on all pods together. */
  isHot(inode: InodeId): boolean {
    return this.files.isHot(inode);
  }

  /** Files that are opened most here, with how often: what the other pods are to be told. */
  hotFiles(): readonly Opens[] {
    return this.files.told();
  }

  /** For how long overwritten and deleted contents are listed, in ms: as long as any rule asks. */
  get historyMs(): number {
    return Math.max(...this.policies.all().map(({ policy }) => policy.history));
  }

  /** Contents that this pod should have and cannot get from anybody. */
  get missing(): number {
    return this.copier.failing;
  }

  /** True when this pod takes nothing more. */
  get isFull(): boolean {
    return this.outlook.isFull;
  }

  /** Bytes per second at which copies were made here lately, or undefined when none were. */
  get rate(): number | undefined {
    const { rate } = this.copier.progress();
    return rate > 0 ? rate : undefined;
  }

  /** Bytes copied here since the start, and those of them at the rate of a posture that throttles. */
  get copied(): { bytes: number; heldBytes: number } {
    return this.copier.fetched;
  }

  /** What would have to move if this were declared; nothing is done. */
  flowTo(config: NetworkConfig, signal: AbortSignal): Promise<Flow> {
    const { tree, clock } = this.options;
    const { outlook } = this;
    return planNetwork(
      tree,
      outlook.layouts,
      outlook.layoutsUnder(config),
      Number(clock.wallNs()) / 1e6,
      signal,
    );
  }

  /** True while every pod that may hold anything says that it holds its share, but for what others have made in the
   *  last moments. */
  get handedOver(): boolean {
    const holdsShare = this.settlement.heads !== undefined || !this.holdsAnything();
    return this.agreed() || (holdsShare && this.testimony.othersTookOver());
  }

  /** Files of which this pod has bytes that belong on no other pod. */
  async onlyHere(signal: AbortSignal): Promise<number> {
    const { tree, content, membership } = this.options;
    let count = 0;
    let after: InodeId | undefined;
    do {
      const page = tree.contents(after, ONLY_HERE_PAGE);
      for (const file of page) {
        // What is only cached here was fetched from somebody.
        if (!['here', 'partly'].includes(content.presence(file.content)) || file.content === '') continue;
        const others = this.layoutOf(file.inode).candidates.some((pod) => pod.id !== membership.self);
        if (!others) count++;
      }
      after = page.at(-1)?.inode;
      await setImmediate();
      signal.throwIfAborted();
    } while (after !== undefined);
    return count;
  }

  /** Reads every chunk that is here; what rotted and belongs here is fetched again. */
  scrub(options: Parameters<Scrubber['run']>[0]): Promise<Scrubbed> {
    const { tree, content, clock } = this.options;
    return new Scrubber({ tree, content, clock, damaged: () => this.walk() }).run(options);
  }

  /** What {@link rebalance} would let go of now. */
  surplus(signal: AbortSignal): Promise<Released> {
    return this.releases.surplus(signal);
  }

  /** What may keep this pod from letting go of what belongs elsewhere, for people; undefined while all pods agree. */
  get disagreement(): string | undefined {
    const self = this.settled || !this.holdsAnything() ? undefined : 'this pod does not hold its share yet';
    return self ?? this.testimony.disagreement();
  }

  /** Lets go now of what belongs elsewhere and is there. @returns what was let go of */
  rebalance(): Promise<Released> {
    return this.releases.now();
  }

  /** True when this pod's share of what the tree has now is here durably. */
  get settled(): boolean {
    const { heads } = this.settlement;
    return heads !== undefined && sameHeads(heads, this.options.tree.heads());
  }

  /** Contents that this pod has just made are about to be named in the document: nobody else has them yet. */
  published(contents: readonly ContentId[]): void {
    this.testimony.raise(contents, true);
    this.releaser.arrived(contents);
  }

  /** Files that may have fewer copies than they should, counting a pod only by its own word. */
  underReplicated(): number {
    const { files } = this.options.tree.counts();
    // What this pod still lacks, it knows best.
    return Math.min(files, Math.max(this.testimony.doubted(), this.copier.left));
  }

  /** Who holds these contents, asked now. */
  inspect(files: readonly { inode: InodeId; content: ContentId }[]): Promise<Inspection[]> {
    const { content, peers, clock } = this.options;
    return inspectContents(files, { content, peers, layout: (inode) => this.layoutOf(inode), clock });
  }

  /** Waits until everything that is in the tree now has so many copies. @see waitForCopies */
  async waitForCopies(
    copies: number,
    limits: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<CopiesReached> {
    const { tree, content, peers, clock } = this.options;
    const untilSettled = (signal: AbortSignal) => this.settlement.untilSettled(signal);
    const layouts = () => this.outlook.layouts;
    const layoutOf = (inode: InodeId) => this.layoutOf(inode);
    let stamp = -1;
    const committed = () => {
      stamp = this.testimony.stamp;
    };
    const options = { tree, content, peers, layouts, layoutOf, untilSettled, committed, clock };
    const result = await waitForCopies(copies, limits, options);
    // Nothing new has come since: their word is about everything.
    if (this.testimony.stamp === stamp) for (const pod of result.settled) this.testimony.settle(pod);
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
    return this.files.isPinned(inode);
  }

  /** @see Keeping.pin */
  pin(inode: InodeId, signal: AbortSignal): Promise<void> {
    return this.keeping.pin(inode, signal);
  }

  /** @see Keeping.unpin */
  unpin(inode: InodeId): Promise<void> {
    return this.keeping.unpin(inode);
  }

  /** @see Keeping.evict */
  evict(inode: InodeId): Promise<Freed> {
    return this.keeping.evict(inode);
  }

  /** Compares what the tree names with what is here. */
  check(options: {
    readData: boolean;
    progress: (line: string) => void;
    signal: AbortSignal;
  }): Promise<Checked> {
    const { tree, content, peers, clock } = this.options;
    const belongs = (id: ChunkId, inode: InodeId) => belongsHere(id, this.layoutOf(inode));
    const naming = this.collection.naming();
    return checkStore({ tree, content, peers, naming, belongs, clock, ...options });
  }

  close(): void {
    for (const detach of this.detach.splice(0)) detach();
    this.releases.close();
    this.testimony.close();
    this.collection.close();
    this.walker.close();
    this.copier.close();
    this.settlement.close();
  }

  private makeSettlement(): Settlement {
    const { tree, content, peers, clock, log } = this.options;
    const { intake, copier, walker } = this;
    const tell = (heads: Heads) =>
      peers.tellSettled(heads.length === 0 ? [] : [this.outlook.layouts.fingerprint, ...heads]);
    return new Settlement({ tree, content, intake, copier, walker, tell, clock, log });
  }

  private makeCollection(): Collection {
    const { tree, content, membership, peers, notes, clock, log } = this.options;
    return new Collection({
      tree,
      content,
      peers,
      layouts: () => this.outlook.layouts,
      others: () => [...membership.members()].map(({ id }) => id).filter((id) => id !== membership.self),
      historyMs: () => this.historyMs,
      historyOf: () => (this.policies.sameHistory ? undefined : (path) => this.policies.of(path).history),
      notes,
      pins: this.pins,
      clock,
      log,
    });
  }

  private makeReleaser(): Releaser {
    const { tree, content, peers, membership } = this.options;
    const { self } = membership;
    const agreed = () => this.testimony.othersPlaceAlike();
    const layoutOf = ({ inode }: FileContent) => this.layoutOf(inode);
    const stamp = () => `${this.pins.stamp} ${this.outlook.layouts.fingerprint}`;
    // Where paths make no difference, pods of one layout place alike whatever they have heard of. Else one that has not heard
    // of a new name yet may place a file otherwise.
    const isPromised = (id: ChunkId) => {
      const { uniform, dependsOnClocks } = this.outlook.layouts;
      const alike = !dependsOnClocks && (uniform || this.agreed());
      return !alike && this.collection.isPromised(id);
    };
    return new Releaser({ tree, content, peers, self, layoutOf, agreed, stamp, isPromised });
  }

  private makeReleases(): Releases {
    const { releaser } = this;
    const agreed = () => this.testimony.othersPlaceAlike();
    const needed = () => !this.outlook.layouts.holdsAll;
    return new Releases({ releaser, needed, agreed, log: this.options.log });
  }

  private repair(): void {
    this.walker.repair();
    this.copier.lookAnew();
  }

  private walk(): void {
    if (!this.holdsAnything() && !this.pins.any) return;
    this.walker.walk();
    this.copier.lookAnew();
  }

  private take(file: FileContent): void {
    this.testimony.raise([file.content]);
    this.releaser.arrived([file.content]);
    if (this.holdsAnything() || this.pins.pinnedAt(file.inode) !== undefined) this.copyHere(file);
  }

  /** Those that are too many are found again in the index, when there is room. */
  private copyHere(file: FileContent): void {
    if (!this.copier.add(file)) this.walker.walkLater();
  }

  /** A file that takes another inode's place is that inode: what is still being copied of it must be known by that. */
  private moved(inodes: readonly InodeId[]): void {
    const { tree, content } = this.options;
    this.intake.moved(inodes);
    for (const inode of inodes) {
      const file = fileOf(tree.node(inode));
      if (file === undefined || content.presence(file.content) === 'here') continue;
      if (this.mayBelongHere(file)) this.copyHere(file);
    }
  }

  private advanced(): void {
    if (this.holdsAnything()) this.settlement.look();
    for (const pod of this.options.peers.linked()) this.testimony.heard(pod);
  }

  /** Members, the declaration, or who is about may no longer be as they were. */
  private look(): void {
    const { before, places, lost } = this.outlook.look();
    if (places) this.rearrange(lost);
    this.testimony.look();
    const { membership, peers } = this.options;
    const told = peers.linked().flatMap((pod) => membership.presenceOf(pod).status?.hot ?? []);
    for (const file of this.files.heard(told)) this.copier.add(file);
    const { posture, reason } = this.outlook.judgement;
    if (posture !== before.posture) this.events.emit('posture', { posture, before: before.posture, reason });
  }

  private rearrange(lost: boolean): void {
    this.testimony.reset();
    if (lost && this.holdsAnything()) this.repair();
    else this.walk();
    this.settlement.restart(this.holdsAnything());
    this.releases.later();
  }

  /** True while all pods that may hold anything hold their share, and place everything as this one does. */
  private agreed(): boolean {
    return (this.settled || !this.holdsAnything()) && this.testimony.othersAgree();
  }

  /** Of a small content, which is one chunk, it is known without its list. */
  private mayBelongHere({ inode, content }: FileContent): boolean {
    if (!this.holdsAnything() && !this.isPinned(inode)) return false;
    return !content.startsWith('c') || belongsHere(content.slice(1), this.layoutOf(inode));
  }

  private holdsAnything(): boolean {
    return this.outlook.layouts.holdsAnything;
  }
}
