import {
  type Clock,
  Emitter,
  LIMITS,
  type Log,
  messageOf,
  type PodId,
  silentLog,
  systemClock,
  WormholeError,
} from '../base/index.js';
import { type Dialled, dial, Refused } from './dialler.js';
import type { Discovery } from './discovery.js';
import type { Identity } from './identity.js';
import type { Door } from './invites.js';
import type { Handler, Link, LinkEvents, Links } from './link.js';
import { type Caller, Listener, type Reception } from './listener.js';
import { PeerLink, type PeerLinkOptions } from './peer-link.js';
import { type Outcome, type Target, Targets } from './targets.js';
import { JOIN_PATH, LINK_PATH, PORT_HEADER } from './websocket.js';

export interface LinksOptions {
  identity: Identity;
  /** True for members. Asked before the upgrade of every connection, in either direction. */
  admit: (pod: PodId) => boolean;
  /** 0 for a free one. */
  port?: number;
  /** The address to listen on; all of them when left out. */
  host?: string;
  discovery?: Discovery;
  /** Lets strangers with an invitation in as far as the exchange that makes them members. */
  invites?: Door;
  clock?: Clock;
  log?: Log;
  /** 0 to 1, for the jitter of retries. */
  random?: () => number;
}

/** A link that was silent for so long may be dead: a new connection is tried beside it, and replaces it. */
const DOUBTFUL_AFTER_MS = 7_000;
/** Both pods often dial at the same moment; the later of two such connections is not wanted. */
const TWIN_WITHIN_MS = 2_000;
const WATCH_INTERVAL_MS = 1_000;

export function makeLinks(options: LinksOptions): Links {
  return new PodLinks(options);
}

/** Ends an attempt before anything is sent. */
class Unwanted extends WormholeError {
  readonly outcome: Outcome;

  constructor(outcome: Outcome, message: string) {
    super('closed', message);
    this.outcome = outcome;
  }
}

/**
 * One link a pair. Of two pods, the one with the lower id decides alone which connection is the link: it says
 * `use` on it and closes what it replaces; the other waits for that word. So there is never a moment at which
 * each side drops what the other keeps.
 */
class PodLinks implements Links {
  readonly events = new Emitter<LinkEvents>();
  private readonly options: LinksOptions;
  private readonly self: PodId;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly random: () => number;
  private readonly handlers = new Map<string, Handler>();
  private readonly current = new Map<PodId, PeerLink>();
  /** Connections that wait for the other side's `use`, and what ends their wait. */
  private readonly waiting = new Map<PeerLink, AbortController>();
  private readonly targets = new Targets();
  /** Addresses being dialled, and the peers that answered there and were not linked yet. */
  private readonly dialling = new Map<string, { peer: PodId | undefined }>();
  private readonly stopping = new AbortController();
  private readonly listener: Listener;
  private wakeUp: () => void = () => {};
  private watching: Promise<void> | undefined;

  constructor(options: LinksOptions) {
    const { identity, invites } = options;
    this.options = options;
    this.self = identity.pod;
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLog;
    this.random = options.random ?? Math.random;
    this.listener = new Listener({
      identity,
      host: options.host,
      port: options.port ?? 0,
      log: this.log,
      mayCall: (pod) => pod !== this.self && (options.admit(pod) || invites?.open === true),
      receive: (caller) => this.receive(caller),
    });
  }

  get port(): number {
    return this.listener.port;
  }

  handle(type: string, handler: Handler): void {
    this.handlers.set(type, handler);
  }

  get(peer: PodId): Link | undefined {
    return this.current.get(peer);
  }

  list(): Link[] {
    return [...this.current.values()];
  }

  dial(address: string): void {
    if (!this.targets.add(address, this.clock.monotonicMs(), true)) {
      throw new WormholeError('invalid', `${address} is not an address: write HOST:PORT or [IPv6]:PORT`);
    }
    this.wakeUp();
  }

  membersChanged(): void {
    for (const link of [...this.current.values(), ...this.waiting.keys()]) {
      if (!this.options.admit(link.peer)) link.close('the peer is not a member');
    }
    this.retryAll();
  }

  async start(): Promise<void> {
    await this.listener.listen();
    this.log.info('listening', { port: this.port });
    this.watching = this.watch();
    this.options.discovery?.start({
      port: this.port,
      found: (addresses) => {
        for (const address of addresses) this.targets.add(address, this.clock.monotonicMs(), false);
        this.wakeUp();
      },
      networkChanged: () => this.retryAll(),
    });
  }

  async stop(): Promise<void> {
    this.stopping.abort(new WormholeError('closed', 'the pod stops'));
    this.wakeUp();
    await this.options.discovery?.stop();
    for (const link of [...this.current.values(), ...this.waiting.keys()]) link.close('the pod stops');
    await this.watching;
    await this.listener.close();
  }

  private retryAll(): void {
    this.targets.retryAll(this.clock.monotonicMs());
    this.wakeUp();
  }

  /** Dials what is due, until stopped. Never rejects. */
  private async watch(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const now = this.clock.monotonicMs();
      for (const target of this.targets.due(now, (peer) => peer === this.self || this.isWell(peer))) {
        if (this.dialling.size >= LIMITS.dialsMax) break;
        if (!this.dialling.has(target.address)) this.attempt(target).catch(this.report);
      }
      const woken = new AbortController();
      this.wakeUp = () => woken.abort();
      const next = Math.min(
        WATCH_INTERVAL_MS,
        ...this.targets.list().map((target) => this.waitFor(target, now)),
      );
      await this.clock.sleep(next, woken.signal).catch(() => {});
    }
  }

  /** Milliseconds until this target needs a look. */
  private waitFor(target: Target, nowMs: number): number {
    const idle = this.dialling.has(target.address) || (target.peer !== undefined && this.isWell(target.peer));
    return idle ? WATCH_INTERVAL_MS : Math.max(10, target.nextAtMs - nowMs);
  }

  private isWell(peer: PodId): boolean {
    const link = this.current.get(peer);
    return link !== undefined && link.silentMs < DOUBTFUL_AFTER_MS;
  }

  private async attempt(target: Target): Promise<void> {
    const entry: { peer: PodId | undefined } = { peer: undefined };
    this.dialling.set(target.address, entry);
    let outcome: Outcome = 'linked';
    try {
      const { identity } = this.options;
      const { host, port } = target;
      const greet = (peer: PodId) => {
        target.peer = peer;
        this.checkWanted(peer);
        entry.peer = peer;
        return { [PORT_HEADER]: String(this.port) };
      };
      const dialled = await dial({
        identity,
        host,
        port,
        path: LINK_PATH,
        greet,
        signal: this.stopping.signal,
      });
      this.dialled(dialled, target.address);
    } catch (error) {
      outcome = outcomeOf(error);
      this.log.debug('no link', { address: target.address, reason: messageOf(error) });
    } finally {
      this.dialling.delete(target.address);
      this.targets.ended(target, outcome, this.clock.monotonicMs(), this.random());
      this.wakeUp();
    }
  }

  /** @throws Unwanted */
  private checkWanted(peer: PodId): void {
    if (peer === this.self) throw new Unwanted('refused', 'this is the pod itself');
    if (!this.options.admit(peer)) throw new Unwanted('refused', 'a stranger answers there');
    const another = [...this.dialling.values()].some((entry) => entry.peer === peer);
    if (another || this.isWell(peer)) throw new Unwanted('linked', 'there is a link already');
  }

  private dialled({ peer, socket, transport }: Dialled, address: string): void {
    const link = this.makeLink({ peer, address, socket, transport });
    if (this.stopping.signal.aborted || !this.options.admit(peer)) link.close('not wanted any more');
    else if (this.decides(peer) && this.isWell(peer)) link.close('there is a link already');
    else this.propose(link);
  }

  /** Decides on a connection that came in, before its upgrade. */
  private receive(caller: Caller): Reception {
    if (caller.path === JOIN_PATH) return this.options.invites?.receive(caller) ?? { refused: 'not-member' };
    const { pod: peer, address } = caller;
    if (caller.path !== LINK_PATH || !this.options.admit(peer)) return { refused: 'not-member' };
    const waiting = [...this.waiting.keys()].filter((link) => link.peer === peer).length;
    if (this.stopping.signal.aborted || waiting >= LIMITS.waitingLinksMax) return { refused: 'busy' };
    const link = this.current.get(peer);
    const twin = link !== undefined && this.clock.monotonicMs() - link.openedAtMs < TWIN_WITHIN_MS;
    if (twin && this.decides(peer)) return { refused: 'already-linked' };
    return {
      upgraded: (socket) => {
        if (caller.listens) this.targets.learn(address, peer, this.clock.monotonicMs());
        this.propose(this.makeLink({ peer, address, socket, transport: caller.socket }));
      },
    };
  }

  private decides(peer: PodId): boolean {
    return this.self < peer;
  }

  private makeLink(parts: Pick<PeerLinkOptions, 'peer' | 'address' | 'socket' | 'transport'>): PeerLink {
    const { handlers, clock, log } = this;
    const onUse = () => {
      if (this.stopWaiting(link)) this.adopt(link);
    };
    const link: PeerLink = new PeerLink({
      ...parts,
      handlers,
      clock,
      log,
      onUse,
      onClosed: (reason) => this.closed(link, reason),
    });
    return link;
  }

  private propose(link: PeerLink): void {
    if (this.decides(link.peer)) {
      link.use();
      this.adopt(link);
      return;
    }
    const chosen = new AbortController();
    this.waiting.set(link, chosen);
    this.clock
      .sleep(LIMITS.handshakeTimeoutMs, chosen.signal)
      .then(() => link.close('the other side did not choose this connection'))
      .catch(() => {});
  }

  private stopWaiting(link: PeerLink): boolean {
    this.waiting.get(link)?.abort();
    return this.waiting.delete(link);
  }

  private adopt(link: PeerLink): void {
    const previous = this.current.get(link.peer);
    previous?.close('replaced by a newer connection');
    if (!link.open) return;
    this.current.set(link.peer, link);
    this.log.info('link up', { peer: link.peer, address: link.address });
    this.tell('up', link);
    this.wakeUp();
  }

  private closed(link: PeerLink, reason: string): void {
    this.stopWaiting(link);
    if (this.current.get(link.peer) !== link) return;
    this.current.delete(link.peer);
    this.log.info('link down', { peer: link.peer, reason });
    this.tell('down', { link, reason });
    this.targets.lost(link.peer, this.clock.monotonicMs());
    this.wakeUp();
  }

  private tell<Name extends keyof LinkEvents & string>(name: Name, event: LinkEvents[Name]): void {
    try {
      this.events.emit(name, event);
    } catch (error) {
      this.report(error);
    }
  }

  private readonly report = (error: unknown) => this.log.error('a listener failed', { error });
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Unwanted) return error.outcome;
  if (error instanceof Refused) return error.reason === 'already-linked' ? 'linked' : 'refused';
  return 'failed';
}
