import { setMaxListeners } from 'node:events';
import { type Clock, Emitter, type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import type { Link, Links } from '../net/index.js';
import { type Heads, sameHeads, type Tree } from '../tree/index.js';
import { Snapshots } from './snapshots.js';
import { TreeConversation } from './tree-conversation.js';
import { TreeInbox } from './tree-inbox.js';
import { MESSAGES, packHashes, packPush, parseHeads, parsePart, parsePush } from './wire.js';

/** Other pods than the writer's own peers hear of a change after this; the writer's peers at once. */
const HEADS_DELAY_MS = 10;
/** What a peer has and this pod lacks may be on its way: it is asked for only after this. */
const LAG_DELAY_MS = 50;
const LAG_DELAY_MAX_MS = 60_000;
const STUCK_MS = 3_000;
const ANTI_ENTROPY_INTERVAL_MS = 60_000;
/** Pushed to a peer since it last told its heads; beyond, it has to ask. */
const UNTOLD_BYTES_MAX = 8 * 1024 * 1024;
const PUSH_BYTES = 512 * 1024;
const AWAITS_MAX = 64;

export interface TreeSyncOptions {
  links: Links;
  tree: Tree;
  isMember: (pod: PodId) => boolean;
  clock: Clock;
  log: Log;
}

export interface TreeSyncEvents extends Record<string, unknown> {
  /** A peer said, after its own flush, which heads it has. */
  acknowledged: { peer: PodId; heads: Heads };
}

interface Peer {
  readonly id: PodId;
  link: Link | undefined;
  readonly conversation: TreeConversation;
  /** What it has durably, as it said over this link. */
  heads: Heads | undefined;
  /** What we told it over this link. */
  told: Heads | undefined;
  untoldBytes: number;
  lagTimer: NodeJS.Timeout | undefined;
  lagDelayMs: number;
  awaits: number;
}

/**
 * Keeps the tree equal to that of every linked pod. Fresh changes of this pod are pushed at once. Beyond that,
 * pods tell one another their heads, and whoever lacks some asks by Automerge's sync protocol: nothing is ever
 * sent on unasked, so that any number of pods stays calm.
 */
export class TreeSync {
  readonly events = new Emitter<TreeSyncEvents>();
  private readonly options: TreeSyncOptions;
  private readonly peers = new Map<PodId, Peer>();
  private readonly inbox: TreeInbox;
  private readonly snapshots: Snapshots;
  private joining = false;
  private readonly closing = new AbortController();
  private readonly detach: (() => void)[];
  private headsTimer: NodeJS.Timeout | undefined;
  private readonly interval: NodeJS.Timeout;

  /** Make it before the links are started. */
  constructor(options: TreeSyncOptions) {
    const { links, tree, log } = options;
    this.options = options;
    setMaxListeners(0, this.closing.signal);
    this.inbox = new TreeInbox({
      tree,
      log,
      applied: (peers, heads) => this.applied(peers, heads),
      refused: (peer, reason) => this.peers.get(peer)?.link?.close(reason),
    });
    this.snapshots = new Snapshots(options);
    links.handle(MESSAGES.heads, (link, body) =>
      this.receive(link, () => this.heard(link, parseHeads(body))),
    );
    links.handle(MESSAGES.push, (link, body) => this.receive(link, (peer) => this.pushed(peer, body)));
    links.handle(MESSAGES.sync, (link, body) =>
      this.receive(link, (peer) => peer.conversation.receive(parsePart(body))),
    );
    links.handle(MESSAGES.await, (link, body, signal) => this.answerAwait(link, body, signal));
    this.detach = [
      links.events.on('up', (link) => this.up(link)),
      links.events.on('down', ({ link }) => this.down(link)),
      tree.events.on('changes', ({ changes, heads }) => this.push(changes, heads)),
      tree.events.on('advanced', () => this.tellSoon()),
    ];
    for (const link of links.list()) this.up(link);
    this.interval = setInterval(() => this.compareAll(), ANTI_ENTROPY_INTERVAL_MS);
    this.interval.unref();
  }

  /** What a linked peer has durably, as it said itself. */
  acknowledged(peer: PodId): Heads | undefined {
    return this.peers.get(peer)?.heads;
  }

  /** Pods that are linked now. */
  linked(): PodId[] {
    return [...this.peers.values()].filter((peer) => peer.link !== undefined).map((peer) => peer.id);
  }

  /** Resolves, once a peer has these heads durably, with all that it has.
   *  @throws WormholeError `closed` when its link goes, `timeout`, `interrupted` */
  async peerHas(
    peer: PodId,
    heads: Heads,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Heads> {
    const link = this.peers.get(peer)?.link;
    if (link === undefined) throw new WormholeError('closed', 'the pod is not linked');
    return parseHeads(await link.request(MESSAGES.await, packHashes(heads), options));
  }

  /** Resolves when the tree here has these heads durably. @throws the signal's reason */
  async here(heads: Heads, signal: AbortSignal): Promise<void> {
    const { tree, clock } = this.options;
    while (!(await tree.contains(heads))) {
      signal.throwIfAborted();
      await this.advanced(clock, signal);
    }
    signal.throwIfAborted();
    await tree.commit();
  }

  close(): void {
    this.closing.abort(new WormholeError('closed', 'the pod is stopping'));
    for (const detach of this.detach) detach();
    this.snapshots.close();
    clearInterval(this.interval);
    clearTimeout(this.headsTimer);
    for (const peer of this.peers.values()) clearTimeout(peer.lagTimer);
  }

  // ---- links

  private up(link: Link): void {
    if (!this.options.isMember(link.peer)) return;
    const peer = this.peers.get(link.peer) ?? this.newPeer(link.peer);
    this.peers.set(link.peer, peer);
    peer.link = link;
    peer.heads = undefined;
    peer.told = undefined;
    peer.untoldBytes = 0;
    peer.lagDelayMs = LAG_DELAY_MS;
    peer.conversation.restart(link);
    this.tell(peer, this.options.tree.heads());
  }

  private down(link: Link): void {
    const peer = this.peers.get(link.peer);
    if (peer === undefined || peer.link !== link) return;
    peer.link = undefined;
    peer.heads = undefined;
    clearTimeout(peer.lagTimer);
    peer.lagTimer = undefined;
    peer.conversation.restart(undefined);
  }

  private newPeer(id: PodId): Peer {
    const { tree, clock, log } = this.options;
    return {
      id,
      link: undefined,
      conversation: new TreeConversation(id, tree, clock, log),
      heads: undefined,
      told: undefined,
      untoldBytes: 0,
      lagTimer: undefined,
      lagDelayMs: LAG_DELAY_MS,
      awaits: 0,
    };
  }

  /** Runs the handler of a message; what cannot be read ends the link. */
  private receive(link: Link, act: (peer: Peer) => void): void {
    const peer = this.peers.get(link.peer);
    if (peer === undefined || peer.link !== link || !this.options.isMember(link.peer)) return;
    try {
      act(peer);
    } catch (error) {
      this.options.log.warn('cut off a peer', { peer: link.peer, reason: messageOf(error) });
      link.close(messageOf(error));
    }
  }

  // ---- telling

  /** Changes of this pod go to every linked peer at once. */
  private push(changes: readonly Uint8Array[], heads: Heads): void {
    const bytes = changes.reduce((sum, change) => sum + change.length, 0);
    for (const peer of this.peers.values()) {
      if (peer.link === undefined) continue;
      peer.untoldBytes += bytes;
      // A peer that does not keep up, or a change larger than a frame: the heads let the peer ask for it.
      const tooMuch =
        peer.untoldBytes > UNTOLD_BYTES_MAX || changes.some((change) => change.length > PUSH_BYTES);
      if (tooMuch) continue;
      for (const group of grouped(changes)) {
        peer.link.send(MESSAGES.push, packPush({ changes: group, heads }));
      }
      peer.told = heads;
    }
  }

  private tellSoon(): void {
    this.headsTimer ??= setTimeout(() => {
      this.headsTimer = undefined;
      const heads = this.options.tree.heads();
      for (const peer of this.peers.values()) this.tell(peer, heads);
    }, HEADS_DELAY_MS);
  }

  private tell(peer: Peer, heads: Heads): void {
    if (peer.link === undefined || (peer.told !== undefined && sameHeads(peer.told, heads))) return;
    peer.told = heads;
    peer.link.send(MESSAGES.heads, packHashes(heads));
  }

  private applied(peers: readonly PodId[], heads: Heads): void {
    for (const id of peers) {
      const peer = this.peers.get(id);
      if (peer === undefined) continue;
      // Said even when it is nothing new: the peer counts what it has pushed since it last heard.
      peer.told = undefined;
      this.tell(peer, heads);
    }
  }

  // ---- hearing

  private heard(link: Link, heads: Heads): void {
    const peer = this.peers.get(link.peer);
    if (peer === undefined) return;
    peer.untoldBytes = 0;
    this.has(peer, heads);
    this.events.emit('acknowledged', { peer: peer.id, heads });
  }

  private pushed(peer: Peer, body: unknown): void {
    const push = parsePush(body);
    this.inbox.add(peer.id, push);
    this.has(peer, push.heads);
  }

  /** A peer has something; where this pod lacks it and it does not come by itself, ask. */
  private has(peer: Peer, heads: Heads): void {
    peer.heads = heads;
    if (sameHeads(heads, this.options.tree.heads())) peer.lagDelayMs = LAG_DELAY_MS;
    else this.compareSoon(peer);
  }

  private compareSoon(peer: Peer): void {
    if (this.closing.signal.aborted) return;
    peer.lagTimer ??= setTimeout(() => {
      peer.lagTimer = undefined;
      this.compare(peer).catch((error) => {
        this.options.log.warn('heads could not be compared', { peer: peer.id, reason: messageOf(error) });
        this.compareLater(peer);
      });
    }, peer.lagDelayMs);
    peer.lagTimer.unref();
  }

  private async compare(peer: Peer): Promise<void> {
    const { link, heads } = peer;
    if (link === undefined || heads === undefined || this.closing.signal.aborted) return;
    if (this.inbox.busy || peer.conversation.busy || this.joining) return this.compareSoon(peer);
    if (await this.options.tree.contains(heads)) {
      peer.lagDelayMs = LAG_DELAY_MS;
      return;
    }
    if (peer.link !== link) return;
    if (this.options.tree.heads().length === 0 && (await this.join(link))) return this.compareSoon(peer);
    // A message that one side lost (its document's thread died) leaves the other waiting for an answer.
    const stuck = peer.lagDelayMs > STUCK_MS && peer.conversation.silentMs > STUCK_MS;
    if (stuck) peer.conversation.restart(link);
    peer.conversation.speak();
    this.compareLater(peer);
  }

  /** An empty document begins with a peer's. @returns false when that is left to the sync protocol */
  private async join(link: Link): Promise<boolean> {
    this.joining = true;
    try {
      return await this.snapshots.adopt(link, this.closing.signal);
    } catch (error) {
      this.options.log.warn('no snapshot of the tree', { peer: link.peer, reason: messageOf(error) });
      return false;
    } finally {
      this.joining = false;
    }
  }

  /** Heads that never come, from a confused peer, are asked for ever more rarely. */
  private compareLater(peer: Peer): void {
    peer.lagDelayMs = Math.min(peer.lagDelayMs * 2, LAG_DELAY_MAX_MS);
    this.compareSoon(peer);
  }

  private compareAll(): void {
    for (const peer of this.peers.values()) if (peer.heads !== undefined) this.has(peer, peer.heads);
  }

  // ---- waiting

  private async answerAwait(link: Link, body: unknown, signal: AbortSignal): Promise<Uint8Array> {
    const peer = this.peers.get(link.peer);
    if (peer === undefined || !this.options.isMember(link.peer)) {
      throw new WormholeError('not-member', 'only members are answered');
    }
    if (peer.awaits >= AWAITS_MAX) throw new WormholeError('busy', 'too many are waiting here');
    peer.awaits++;
    try {
      await this.here(parseHeads(body), AbortSignal.any([signal, this.closing.signal]));
      return packHashes(this.options.tree.heads());
    } finally {
      peer.awaits--;
    }
  }

  /** Resolves at the next advance of the tree, or after a second. */
  private async advanced(clock: Clock, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const off = this.options.tree.events.on('advanced', () => woken.abort());
    try {
      await clock.sleep(1_000, AbortSignal.any([woken.signal, signal])).catch(() => {});
    } finally {
      off();
    }
  }
}

/** Changes in order, in groups of at most about {@link PUSH_BYTES}. */
function grouped(changes: readonly Uint8Array[]): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const change of changes) {
    if (bytes + change.length > PUSH_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(change);
    bytes += change.length;
  }
  return groups;
}
