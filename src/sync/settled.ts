import { Emitter, type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import type { Link, Links } from '../net/index.js';
import type { Heads } from '../tree/index.js';
import type { TreeSync } from './tree-sync.js';
import { MESSAGES, packHashes, parseHeads } from './wire.js';

const AWAITS_MAX = 64;

export interface SettledOptions {
  links: Links;
  treeSync: TreeSync;
  isMember: (pod: PodId) => boolean;
  log: Log;
}

/** What pods say about holding their share of a version: told when it becomes so, and answered when asked. */
export class Settled {
  readonly events = new Emitter<{ settled: { pod: PodId; heads: Heads } }>();
  private readonly options: SettledOptions;
  /** With the link on which they said it. */
  private readonly said = new Map<PodId, { link: Link; heads: Heads }>();
  private readonly closing = new AbortController();
  private readonly detach: (() => void)[];
  private own: Heads = [];
  private untilSettled: ((signal: AbortSignal) => Promise<void>) | undefined;
  private awaits = 0;

  /** Make it before the links are started. */
  constructor(options: SettledOptions) {
    const { links } = options;
    this.options = options;
    links.handle(MESSAGES.settled, (link, body) => this.heard(link, body));
    links.handle(MESSAGES.awaitSettled, (link, body, signal) => this.answer(link, body, signal));
    this.detach = [
      links.events.on('up', (link) => {
        // What came on this link came before it was seen to be up.
        if (this.said.get(link.peer)?.link !== link) this.said.delete(link.peer);
        if (this.own.length > 0) link.send(MESSAGES.settled, packHashes(this.own));
      }),
      links.events.on('down', ({ link }) => {
        if (links.get(link.peer) === undefined) this.said.delete(link.peer);
      }),
    ];
  }

  tell(heads: Heads): void {
    this.own = heads;
    for (const link of this.options.links.list()) link.send(MESSAGES.settled, packHashes(heads));
  }

  /** What a linked pod said last. */
  at(pod: PodId): Heads | undefined {
    return this.said.get(pod)?.heads;
  }

  /** @throws WormholeError `closed` when its link goes, `timeout`, `interrupted` */
  async when(pod: PodId, heads: Heads, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void> {
    const link = this.options.links.get(pod);
    if (link === undefined) throw new WormholeError('closed', 'the pod is not linked');
    await link.request(MESSAGES.awaitSettled, packHashes(heads), options);
  }

  /** How to find out when this pod holds its share of what its tree has. */
  serve(untilSettled: (signal: AbortSignal) => Promise<void>): void {
    this.untilSettled = untilSettled;
  }

  close(): void {
    this.closing.abort(new WormholeError('closed', 'the pod is stopping'));
    for (const detach of this.detach) detach();
  }

  private heard(link: Link, body: unknown): void {
    if (!this.options.isMember(link.peer)) return;
    try {
      const heads = parseHeads(body);
      this.said.set(link.peer, { link, heads });
      this.events.emit('settled', { pod: link.peer, heads });
    } catch (error) {
      this.options.log.warn('cut off a peer', { peer: link.peer, reason: messageOf(error) });
      link.close(messageOf(error));
    }
  }

  private async answer(link: Link, body: unknown, signal: AbortSignal): Promise<null> {
    const { treeSync, isMember } = this.options;
    if (!isMember(link.peer)) throw new WormholeError('not-member', 'only members are answered');
    if (this.awaits >= AWAITS_MAX) throw new WormholeError('busy', 'too many are waiting here');
    const heads = parseHeads(body);
    const either = AbortSignal.any([signal, this.closing.signal]);
    this.awaits++;
    try {
      await treeSync.here(heads, either);
      if (this.untilSettled === undefined) throw new WormholeError('not-supported', 'this pod holds nothing');
      await this.untilSettled(either);
      return null;
    } finally {
      this.awaits--;
    }
  }
}
