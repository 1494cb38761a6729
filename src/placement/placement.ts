import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import {
  type Clock,
  Emitter,
  LIMITS,
  type Log,
  messageOf,
  type PodId,
  WormholeError,
} from '../base/index.js';
import {
  defaultNetworkConfig,
  type NetworkConfig,
  Policies,
  type Policy,
  type Posture,
  type Response,
  readNetworkConfig,
} from '../config/index.js';
import type { ChunkId, ContentId, ContentStore } from '../content/index.js';
import type { Membership } from '../membership/index.js';
import { type Heads, type InodeId, sameHeads, type Tree } from '../tree/index.js';
import { Absence } from './absence.js';
import { type Checked, checkStore } from './check.js';
import { Collection } from './collection.js';
import { type FileContent, fileOf } from './content-source.js';
import { Copier } from './copier.js';
import { Doubts } from './doubts.js';
import { type Freed, freeFiles } from './freeing.js';
import { Heat } from './heat.js';
import { type Inspection, inspectContents } from './inspect.js';
import { Intake } from './intake.js';
import { Layouts } from './layouts.js';
import { type Flow, planNetwork } from './network-plan.js';
import type { Notes } from './notes.js';
import type { Peers } from './peers.js';
import { Pins } from './pins.js';
import { belongsHere } from './plan.js';
import { type Judgement, judge } from './posture.js';
import { Releaser } from './releaser.js';
import { candidatesOf, holders, type Layout } from './rendezvous.js';
import { type Scrubbed, Scrubber } from './scrubber.js';
import { Settlement } from './settlement.js';
import { type CopiesReached, waitForCopies } from './wait.js';
import { Walker } from './walker.js';

/** Everything is looked at again this often, whatever events may have been missed. */
const WALK_INTERVAL_MS = 15 * 60_000;
/** Who is linked, and so the posture, is looked at this often. */
const LOOK_INTERVAL_MS = 1_000;
/** What belongs elsewhere is let go of once nothing has moved for so long. */
const RELEASE_DELAY_MS = 10_000;
/** With less free than this a pod takes nothing more, until it has twice as much. */
const FULL_FREE_BYTES = LIMITS.freeFloorBytes;
/** The same of a capacity that is declared. */
const FULL_SHARE = 0.98;
const ROOMY_SHARE = 0.95;
/** Bytes per second at which copies are made in a posture that throttles. */
const THROTTLED_BYTES_PER_SECOND = 4e6;
const ONLY_HERE_PAGE = 256;
/** A pod's word about a version counts for new files once nothing has changed for so long. */
const CALM_MS = 250;

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

/** What may be done with a file now: anything; all but writing; nothing. */
export type Access = 'open' | 'read-only' | 'stopped';

/** Brings this pod's share of all contents here and keeps it, and knows what others say about theirs. */
export class Placement {
  readonly events = new Emitter<PlacementEvents>();
  private readonly options: PlacementOptions;
  private readonly intake: Intake;
  private readonly copier: Copier;
  private readonly walker: Walker;
  private readonly settlement: Settlement;
  readonly collection: Collection;
  private readonly pins: Pins;
  private readonly releaser: Releaser;
  private readonly absence: Absence;
  private readonly doubts = new Doubts();
  private readonly heat = new Heat();
  private readonly stopping = new AbortController();
  private readonly detach: (() => void)[] = [];
  /** Pods whose word is being weighed. */
  private readonly weighed = new Set<PodId>();
  private configNow: { text: string | undefined; policies: Policies };
  private judgement: Judgement;
  private layouts: Layouts;
  private restrictsNow = false;
  /** Pods that take nothing more, by their own word; also while they are silent. */
  private readonly full = new Set<PodId>();
  private releasing: Promise<{ chunks: number; bytes: number }> | undefined;
  private releaseTimer: NodeJS.Timeout | undefined;

  constructor(options: PlacementOptions) {
    const { tree, content, membership, peers, notes, clock, log } = options;
    this.options = options;
    setMaxListeners(0, this.stopping.signal);
    this.absence = new Absence(options.membership.self);
    this.configNow = { text: undefined, policies: new Policies(defaultNetworkConfig()) };
    this.readConfig();
    this.judgement = this.judge();
    this.layouts = this.readLayouts();
    const overflow = () => {
      this.doubts.reset();
      this.walk();
    };
    this.intake = new Intake({ tree, take: (file) => this.take(file), overflow, log });
    const putDown = () => this.walker.walkLater();
    this.pins = new Pins(tree, notes);
    const layout = (file: { inode: InodeId }) => this.layoutOf(file.inode);
    const rate = () => this.copyRate();
    this.copier = new Copier({ tree, content, peers, layout, rate, putDown, clock, log });
    const wanted = (inode: InodeId) => this.holdsAnything() || this.isPinned(inode);
    this.walker = new Walker({ tree, content, peers, copier: this.copier, wanted, clock, log });
    const { intake, copier, walker } = this;
    const tell = (heads: Heads) =>
      peers.tellSettled(heads.length === 0 ? [] : [this.layouts.fingerprint, ...heads]);
    this.settlement = new Settlement({ tree, content, intake, copier, walker, tell, clock, log });
    this.collection = new Collection({
      tree,
      content,
      peers,
      layouts: () => this.layouts,
      others: () => [...membership.members()].map(({ id }) => id).filter((id) => id !== membership.self),
      historyMs: () => this.historyMs,
      notes,
      pins: this.pins,
      clock,
      log,
    });
    const { self } = options.membership;
    const agreed = () => this.agreed();
    const stamp = () => this.pins.stamp;
    this.releaser = new Releaser({ tree, content, peers, self, layoutOf: layout, agreed, stamp });
    peers.preferHolders((id) => this.holdersOf(id));
    peers.serveSettled((signal) => this.settlement.untilSettled(signal));
  }

  start(): void {
    const { tree, membership, peers } = this.options;
    const walks = setInterval(() => {
      this.walk();
      this.releaseLater();
    }, WALK_INTERVAL_MS);
    const looks = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    walks.unref();
    looks.unref();
    this.detach.push(
      () => clearInterval(walks),
      () => clearInterval(looks),
      () => clearTimeout(this.releaseTimer),
      tree.events.on('changed', (change) => this.intake.add(change)),
      tree.events.on('advanced', () => this.advanced()),
      tree.events.on('engine', ({ state }) => state === 'ready' && this.walk()),
      membership.events.on('changed', () => this.look()),
      peers.onLinked(() => this.copier.retryNow()),
      peers.onSettled((pod) => this.heard(pod)),
    );
    this.look();
    this.walk();
    if (this.holdsAnything()) this.settlement.look();
    this.collection.start();
  }

  /** Pods that should hold a chunk of which nothing else is known; those with a higher priority come first. */
  holdersOf(id: ChunkId): readonly PodId[] {
    const chosen = holders(id, this.layouts.common);
    const { pods } = this.config;
    if (pods.size === 0) return chosen;
    const names = new Map(this.layouts.candidates.map((pod) => [pod.id, pod.name]));
    const priority = (pod: PodId) => pods.get(names.get(pod) ?? '')?.priority ?? 0;
    return [...chosen].sort((a, b) => priority(b) - priority(a));
  }

  /** What is declared now. */
  get config(): NetworkConfig {
    return this.configNow.policies.config;
  }

  /** What the network is in, as this pod sees it, and why. */
  get posture(): { posture: Posture; reason: string | undefined } {
    return { posture: this.judgement.posture, reason: this.judgement.reason };
  }

  /** True when some files may not be written or opened now; only then {@link access} need be asked. */
  get restricts(): boolean {
    return this.restrictsNow;
  }

  access(path: string): Access {
    const access = accessUnder(this.configNow.policies.of(path), this.judgement);
    return access === 'open' && this.config.frozen ? 'read-only' : access;
  }

  /** The declared rules by path. */
  get policies(): Policies {
    return this.configNow.policies;
  }

  /** Where a file belongs; one without a name, '', as without any rule. */
  layoutOf(inode: InodeId): Layout {
    const { layouts } = this;
    const pinned = this.isPinned(inode);
    if ((layouts.uniform && !pinned) || inode === '') return layouts.common;
    const { tree, clock } = this.options;
    const node = tree.node(inode);
    if (node === undefined) return layouts.common;
    const ageMs = Number((clock.wallNs() - node.mtime) / 1_000_000n);
    const hot = this.heat.isHot(inode, clock.monotonicMs());
    return layouts.of({ path: tree.pathOf(inode), ageMs, pinned, hot });
  }

  /** A file was opened here to be read: one that is asked for often gains a copy here, where its rule says so. */
  opened(inode: InodeId): void {
    const { layouts } = this;
    if (layouts.policies.uniform || !this.heat.opened(inode, this.options.clock.monotonicMs())) return;
    const file = fileOf(this.options.tree.node(inode));
    if (file !== undefined && this.layoutOf(inode).here) this.copier.add(file);
  }

  /** How long overwritten and deleted contents stay, in ms: as long as any rule asks. */
  get historyMs(): number {
    return Math.max(...this.policies.all().map(({ policy }) => policy.history));
  }

  /** Contents that this pod should have and cannot get from anybody. */
  get missing(): number {
    return this.copier.failing;
  }

  /** True when this pod takes nothing more. */
  get isFull(): boolean {
    return this.full.has(this.options.membership.self);
  }

  /** Bytes per second at which copies were made here lately, or undefined when none were. */
  get rate(): number | undefined {
    const { rate } = this.copier.progress();
    return rate > 0 ? rate : undefined;
  }

  /** What would have to move if this were declared; nothing is done. */
  async flowTo(config: NetworkConfig, signal: AbortSignal): Promise<Flow> {
    const { membership, tree, clock } = this.options;
    const pins = this.options.pins?.(config) ?? [];
    const candidates = candidatesOf(membership.members(), config);
    const after = new Layouts({ self: membership.self, candidates, policies: new Policies(config), pins });
    return planNetwork(tree, this.layouts, after, clock.wallNs(), signal);
  }

  /** True while every other pod that may hold anything says that it holds its share. */
  get handedOver(): boolean {
    return this.agreed();
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
  surplus(signal: AbortSignal): Promise<{ chunks: number; bytes: number }> {
    return this.releaser.run(signal, { dry: true });
  }

  /** Lets go now of what belongs elsewhere and is there. @returns what was let go of */
  rebalance(): Promise<{ chunks: number; bytes: number }> {
    this.releasing ??= this.releaser.run(this.stopping.signal).finally(() => {
      this.releasing = undefined;
    });
    return this.releasing;
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
    return Math.min(files, Math.max(this.doubts.count(this.layouts, files), this.copier.left));
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
    const layouts = () => this.layouts;
    const layoutOf = (inode: InodeId) => this.layoutOf(inode);
    let stamp = -1;
    const committed = () => {
      stamp = this.doubts.stamp;
    };
    const options = { tree, content, peers, layouts, layoutOf, untilSettled, committed, clock };
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
    const belongs = (id: ChunkId, inode: InodeId) => belongsHere(id, this.layoutOf(inode));
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
    const [layout, ...heads] = this.options.peers.settledAt(pod) ?? [];
    if (layout !== this.layouts.fingerprint || heads.length === 0) return false;
    return sameHeads(heads, this.options.tree.heads());
  }

  /** Members, the declaration, or who is about may no longer be as they were. */
  private look(): void {
    const { membership, peers, clock } = this.options;
    const members = membership.members().map((member) => member.id);
    this.absence.look(members, peers.linked(), clock.monotonicMs());
    this.readConfig();
    this.lookForRoom();
    const before = this.judgement;
    this.judgement = this.judge();
    const { posture, reason } = this.judgement;
    const { policies } = this.configNow;
    this.restrictsNow =
      this.config.frozen ||
      policies.all().some(({ policy }) => accessUnder(policy, this.judgement) !== 'open');
    this.relayout();
    if (posture !== before.posture) this.events.emit('posture', { posture, before: before.posture, reason });
  }

  private relayout(): void {
    const layouts = this.readLayouts();
    const before = this.layouts;
    const places = layouts.fingerprint !== before.fingerprint;
    if (!places && layouts.pinned === before.pinned) return;
    this.layouts = layouts;
    this.doubts.reset();
    const lost = before.candidates.some((pod) => !layouts.candidates.some((other) => other.id === pod.id));
    if (lost && this.holdsAnything()) this.walker.repair();
    else this.walk();
    this.settlement.restart(this.holdsAnything());
    this.releaseLater();
  }

  private readLayouts(): Layouts {
    const { membership } = this.options;
    const { policies } = this.configNow;
    const lost = this.lost();
    const isLost = (pod: PodId) => lost.has(pod);
    const isFull = (pod: PodId) => this.full.has(pod);
    const candidates = candidatesOf(membership.members(), policies.config, isLost, isFull);
    const { judgement } = this;
    const responses = (policy: Policy) => judgement.responses(policy);
    const pins = this.options.pins?.(policies.config) ?? [];
    return new Layouts({ self: membership.self, candidates, policies, pins, responses });
  }

  /** Who takes nothing more. This pod's own word has some slack, lest it changes with every file. */
  private lookForRoom(): void {
    const { membership, peers, content } = this.options;
    for (const pod of peers.linked()) {
      const { status } = membership.presenceOf(pod);
      if (status === undefined) continue;
      if (status.full === true) this.full.add(pod);
      else this.full.delete(pod);
    }
    const { bytes, cachedBytes, freeBytes } = content.usage();
    const capacity = this.options.capacity?.(this.config) ?? Number.POSITIVE_INFINITY;
    const kept = bytes - cachedBytes;
    const slack = this.isFull ? 2 : 1;
    const share = this.isFull ? ROOMY_SHARE : FULL_SHARE;
    // What is cached gives way.
    if (freeBytes + cachedBytes < FULL_FREE_BYTES * slack || kept > capacity * share)
      this.full.add(membership.self);
    else this.full.delete(membership.self);
  }

  /** Whoever sees nobody is away itself, and is no judge of the others. */
  private lost(): ReadonlySet<PodId> {
    const { peers, clock } = this.options;
    if (peers.linked().length === 0) return new Set();
    return new Set(this.absence.gone(clock.monotonicMs(), this.config.crisis.grace));
  }

  private judge(): Judgement {
    const { membership, peers, clock, content } = this.options;
    const { policies } = this.configNow;
    const gone = new Set(this.absence.gone(clock.monotonicMs(), policies.config.crisis.grace));
    const told = peers.linked().flatMap((pod) => membership.presenceOf(pod).status ?? []);
    const missing = told.reduce((sum, status) => sum + (status.missing ?? 0), this.copier?.failing ?? 0);
    const free = told.reduce((sum, status) => sum + status.free, content.usage().freeBytes);
    return judge({
      policies,
      candidates: candidatesOf(membership.members(), policies.config),
      gone,
      alone: peers.linked().length === 0,
      missing,
      free,
      needed: this.copier?.leftBytes ?? 0,
    });
  }

  /** Reads what is declared, where that is new. */
  private readConfig(): void {
    const text = this.options.membership.declared()?.text;
    if (text === this.configNow.text) return;
    const { value } = readNetworkConfig(text ?? '');
    // Declared by a newer version, perhaps: the defaults lose nothing.
    if (value === undefined) this.options.log.warn('the declared configuration cannot be read here');
    this.configNow = { text, policies: new Policies(value ?? defaultNetworkConfig()) };
  }

  private copyRate(): number {
    const throttled = this.judgement.responses(this.policies.common).includes('throttle');
    return throttled ? THROTTLED_BYTES_PER_SECOND : Number.POSITIVE_INFINITY;
  }

  /** True while all pods that may hold anything hold their share, and place everything as this one does. */
  private agreed(): boolean {
    const { membership, peers } = this.options;
    if (!this.settled && this.holdsAnything()) return false;
    const declared = candidatesOf(membership.members(), this.config);
    // A pod that is lost may come back and count on what is here.
    if (declared.length !== this.layouts.candidates.length) return false;
    const linked = new Set(peers.linked());
    const others = declared.filter((pod) => pod.id !== membership.self);
    return others.every((pod) => linked.has(pod.id) && this.saysAll(pod.id));
  }

  private releaseLater(): void {
    clearTimeout(this.releaseTimer);
    // Where every pod holds everything, there is nothing to let go of.
    const { layouts } = this;
    const all = layouts.uniform && layouts.candidates.length <= layouts.common.copies;
    if (all && this.holdsAnything()) return;
    this.releaseTimer = setTimeout(() => {
      if (!this.agreed()) return this.releaseLater();
      this.rebalance().catch((error) => {
        if (this.stopping.signal.aborted) return;
        this.options.log.warn('what belongs elsewhere could not be let go of', { reason: messageOf(error) });
        this.releaseLater();
      });
    }, RELEASE_DELAY_MS);
    this.releaseTimer.unref();
  }

  private holdsAnything(): boolean {
    return this.layouts.holdsAnything;
  }
}

function accessUnder(policy: Policy, judgement: Judgement): Access {
  const responses: readonly Response[] = judgement.responses(policy);
  if (responses.includes('stop')) return 'stopped';
  return policy.readOnly || responses.includes('read-only') ? 'read-only' : 'open';
}
