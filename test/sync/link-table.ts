import { Emitter, type PodId } from '../../src/base/index.js';
import type { Handler, Link, LinkEvents, Links } from '../../src/net/index.js';

/** One pod's end of all its links within one process, for what hands messages over without a network. */
export class LinkTable<Own extends Link> implements Links {
  readonly events = new Emitter<LinkEvents>();
  readonly port = 0;
  readonly self: PodId;
  readonly handlers = new Map<string, Handler>();
  private readonly links = new Map<PodId, Own>();

  constructor(self: PodId) {
    this.self = self;
  }

  handle(type: string, handler: Handler): void {
    if (this.handlers.has(type)) throw new Error(`two handlers for ${type}`);
    this.handlers.set(type, handler);
  }

  get(peer: PodId): Own | undefined {
    return this.links.get(peer);
  }

  list(): Own[] {
    return [...this.links.values()];
  }

  dial(_address: string): void {}
  membersChanged(): void {}
  async start(): Promise<void> {}

  async stop(): Promise<void> {
    for (const link of this.list()) link.close('stopped');
  }

  add(link: Own): void {
    this.links.set(link.peer, link);
    this.events.emit('up', link);
  }

  drop(link: Own, reason: string): void {
    if (this.links.get(link.peer) !== link) return;
    this.links.delete(link.peer);
    this.events.emit('down', { link, reason });
  }
}
