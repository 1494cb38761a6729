import {
  type Clock,
  Emitter,
  LIMITS,
  type Log,
  Pace,
  type PodId,
  silentLog,
  systemClock,
  WormholeError,
} from '../base/index.js';
import { DialLoop } from './dial-loop.js';
import type { Dialled } from './dialler.js';
import type { Discovery } from './discovery.js';
import type { Identity } from './identity.js';
import type { Door } from './invites.js';
import type { Handler, Link, LinkEvents, Links } from './link.js';
import { type Caller, Listener, type Reception } from './listener.js';
import { PeerLink, type PeerLinkOptions } from './peer-link.js';
import { JOIN_PATH, LINK_PATH } from './websocket.js';

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
  /** Of bulk data that is sent, over all links together. */
  pace?: Pace;
  clock?: Clock;
  log?: Log;
  /** 0 to 1, for the jitter of retries. */
  random?: () => number;
}

/** A link that was silent for so long may be dead: a new connection is tried beside it, and replaces it. */
const DOUBTFUL_AFTER_MS = 7_000;
/** Both pods often dial at the same moment; the later of two such connections is not wanted. */
const TWIN_WITHIN_MS = 2_000;

export function makeLinks(options: LinksOptions): Links {
  return new PodLinks(options);
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
  private readonly pace: Pace;
  private readonly log: Log;
  private readonly handlers = new Map<string, Handler>();
  private readonly current = new Map<PodId, PeerLink>();
  /** Connections that wait for the other side's `use`, and what ends their wait. */
  private readonly waiting = new Map<PeerLink, AbortController>();
  private readonly listener: Listener;
  private readonly dialler: DialLoop;
  private stopping = false;

  constructor(options: LinksOptions) {
    const { identity, admit, invites, clock = systemClock, log = silentLog, random = Math.random } = options;
    this.options = options;
    this.self = identity.pod;
    this.clock = clock;
    this.pace = options.pace ?? new Pace(clock);
    this.log = log;
    this.listener = new Listener({
      identity,
      host: options.host,
      port: options.port ?? 0,
      log,
      mayCall: (pod) => pod !== this.self && (admit(pod) || invites?.open === true),
      receive: (caller) => this.receive(caller),
    });
    this.dialler = new DialLoop({
      identity,
      clock,
      log,
      random,
      admit,
      isWell: (peer) => this.isWell(peer),
      port: () => this.port,
      dialled: (dialled, address) => this.dialled(dialled, address),
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
    if (!this.dialler.targets.add(address, this.clock.monotonicMs(), true)) {
      throw new WormholeError('invalid', `${address} is not an address: write HOST:PORT or [IPv6]:PORT`);
    }
    this.dialler.wake();
  }

  membersChanged(): void {
    for (const link of [...this.current.values(), ...this.waiting.keys()]) {
      if (!this.options.admit(link.peer)) link.close('the peer is not a member');
    }
    this.dialler.retryAll();
  }

  async start(): Promise<void> {
    await this.listener.listen();
    this.log.info('listening', { port: this.port });
    this.dialler.start();
    this.options.discovery?.start({
      port: this.port,
      found: (addresses) => {
        for (const address of addresses) this.dialler.targets.add(address, this.clock.monotonicMs(), false);
        this.dialler.wake();
      },
      networkChanged: () => this.dialler.retryAll(),
    });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.options.discovery?.stop();
    await this.dialler.stop();
    for (const link of [...this.current.values(), ...this.waiting.keys()]) link.close('the pod stops');
    await this.listener.close();
  }

  private decides(peer: PodId): boolean {
    return this.self < peer;
  }

  private isWell(peer: PodId): boolean {
    const link = this.current.get(peer);
    return link !== undefined && link.silentMs < DOUBTFUL_AFTER_MS;
  }

  private dialled({ peer, socket, transport }: Dialled, address: string): void {
    const link = this.makeLink({ peer, address, socket, transport });
    if (this.stopping || !this.options.admit(peer)) link.close('not wanted any more');
    else if (this.decides(peer) && this.isWell(peer)) link.close('there is a link already');
    else this.propose(link);
  }

  /** Decides on a connection that came in, before its upgrade. */
  private receive(caller: Caller): Reception {
    if (this.stopping) return { refused: 'busy' };
    if (caller.path === JOIN_PATH) return this.options.invites?.receive(caller) ?? { refused: 'not-member' };
    const { pod: peer, address } = caller;
    if (caller.path !== LINK_PATH || !this.options.admit(peer)) return { refused: 'not-member' };
    const waiting = [...this.waiting.keys()].filter((link) => link.peer === peer).length;
    if (waiting >= LIMITS.waitingLinksMax) return { refused: 'busy' };
    const link = this.current.get(peer);
    const twin = link !== undefined && this.clock.monotonicMs() - link.openedAtMs < TWIN_WITHIN_MS;
    if (twin && this.decides(peer)) return { refused: 'already-linked' };
    return {
      upgraded: (socket) => {
        if (caller.listens) this.dialler.targets.learn(address, peer, this.clock.monotonicMs());
        this.propose(this.makeLink({ peer, address, socket, transport: caller.socket }));
      },
    };
  }

  private makeLink(parts: Pick<PeerLinkOptions, 'peer' | 'address' | 'socket' | 'transport'>): PeerLink {
    const { handlers, pace, clock, log } = this;
    const onUse = () => {
      if (this.stopWaiting(link)) this.adopt(link);
    };
    const onClosed = (reason: string) => this.closed(link, reason);
    const link: PeerLink = new PeerLink({ ...parts, handlers, pace, clock, log, onUse, onClosed });
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
    this.current.get(link.peer)?.close('replaced by a newer connection');
    if (!link.open) return;
    this.current.set(link.peer, link);
    this.log.info('link up', { peer: link.peer, address: link.address });
    this.tell('up', link);
    this.dialler.wake();
  }

  private closed(link: PeerLink, reason: string): void {
    this.stopWaiting(link);
    if (this.current.get(link.peer) !== link) return;
    this.current.delete(link.peer);
    this.log.info('link down', { peer: link.peer, reason });
    this.tell('down', { link, reason });
    this.dialler.targets.lost(link.peer, this.clock.monotonicMs());
    this.dialler.wake();
  }

  private tell<Name extends keyof LinkEvents & string>(name: Name, event: LinkEvents[Name]): void {
    try {
      this.events.emit(name, event);
    } catch (error) {
      this.log.error('a listener of links failed', { error });
    }
  }
}
