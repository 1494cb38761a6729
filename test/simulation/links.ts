import { decodeCbor, encodeCbor } from '../../src/base/cbor.js';
import { errorFrom, type PodId, plainError, WormholeError } from '../../src/base/index.js';
import type { Link } from '../../src/net/index.js';
import { LinkTable } from '../sync/link-table.js';
import type { Numbers } from '../tree/simulation/numbers.js';
import type { Actor, Stage } from './stage.js';

const HEARTBEAT_MS = 5_000;
const REDIAL_MS = 1_000;

/** One pod's end of all its links. */
export class SimulatedLinks extends LinkTable<SimulatedLink> {
  readonly actor: Actor;

  constructor(self: PodId, actor: Actor) {
    super(self);
    this.actor = actor;
  }
}

interface RequestOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** One end of a link: messages come in order, each after a delay; a cut loses those on their way. */
export class SimulatedLink implements Link {
  readonly peer: PodId;
  readonly address = 'simulated:0';
  roundTripMs: number | undefined;
  sentBytes = 0;
  receivedBytes = 0;
  open = true;
  readonly owner: SimulatedLinks;
  private readonly network: Network;
  private readonly waiting = new Set<(error: WormholeError) => void>();
  private readonly serving = new Set<AbortController>();
  /** When the last message to the other end arrives there. */
  private lastMs = 0;
  other!: SimulatedLink;

  constructor(network: Network, owner: SimulatedLinks, peer: PodId) {
    this.network = network;
    this.owner = owner;
    this.peer = peer;
  }

  send(type: string, body: unknown): void {
    const bytes = this.pack(type, body);
    this.deliver(() => {
      // A real link answers a handler's failure or drops it; it never throws into the sender.
      void Promise.resolve(this.other.take(type, bytes)).catch(() => {});
    });
  }

  request(type: string, body: unknown, options: RequestOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(new WormholeError('closed', 'the link is closed'));
      if (options.signal?.aborted) return reject(new WormholeError('interrupted', 'aborted'));
      const stop = new AbortController();
      const late = () => fail(new WormholeError('timeout', 'no answer'));
      const timer = setTimeout(late, options.timeoutMs ?? 30_000);
      const abort = () => fail(new WormholeError('interrupted', 'aborted'));
      const settle = () => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
        this.waiting.delete(fail);
      };
      const fail = (error: WormholeError) => {
        settle();
        this.deliver(() => stop.abort(error));
        reject(error);
      };
      this.waiting.add(fail);
      options.signal?.addEventListener('abort', abort, { once: true });
      const bytes = this.pack(type, body);
      this.deliver(() => {
        this.other.answer(type, bytes, stop).then(
          (value) =>
            this.other.deliver(() => {
              settle();
              resolve(this.unpack(value));
            }),
          (error) => {
            const plain = plainError(error);
            this.other.deliver(() => fail(errorFrom(plain)));
          },
        );
      });
    });
  }

  async drained(): Promise<void> {}

  /** This end goes down at once, the other when it hears of it. */
  close(reason: string): void {
    if (!this.open) return;
    this.down(reason);
    this.network.later(this.other, () => this.other.down(reason));
  }

  /** This end has lost the other. */
  down(reason: string): void {
    if (!this.open) return;
    this.open = false;
    for (const fail of [...this.waiting]) fail(new WormholeError('closed', reason));
    for (const serving of this.serving) serving.abort();
    this.owner.drop(this, reason);
  }

  private async answer(type: string, bytes: Buffer, stop: AbortController): Promise<Buffer> {
    this.serving.add(stop);
    try {
      return encodeCbor((await this.take(type, bytes, stop.signal)) ?? null);
    } finally {
      this.serving.delete(stop);
    }
  }

  private async take(type: string, bytes: Buffer, signal = new AbortController().signal): Promise<unknown> {
    const handler = this.owner.handlers.get(type);
    if (handler === undefined) throw new WormholeError('not-supported', `no handler for ${type}`);
    return handler(this, this.unpack(bytes), signal);
  }

  /** Has something done at the other end, after all that was sent before. */
  private deliver(act: () => void): void {
    if (!this.open) return;
    const { stage } = this.network;
    this.lastMs = Math.max(this.lastMs, stage.nowMs + this.network.delayMs());
    stage.after(this.other.owner.actor, this.lastMs - stage.nowMs, () => {
      if (this.other.open && this.network.carries(this)) act();
    });
  }

  private pack(type: string, body: unknown): Buffer {
    const bytes = encodeCbor(body);
    this.sentBytes += bytes.length;
    this.network.stage.note(`${type} ${bytes.length}`);
    return bytes;
  }

  private unpack(bytes: Buffer): unknown {
    this.receivedBytes += bytes.length;
    return decodeCbor(bytes);
  }
}

/** Which pods can reach each other, and how long it takes. */
export class Network {
  readonly stage: Stage;
  /** So long a message may take, in milliseconds. */
  slownessMs = 20;
  private readonly numbers: Numbers;
  private readonly ends = new Map<PodId, SimulatedLinks>();
  /** Only pods of one side reach each other. */
  private sides = new Map<PodId, number>();
  private readonly cut = new Set<SimulatedLink>();

  constructor(stage: Stage, numbers: Numbers) {
    this.stage = stage;
    this.numbers = numbers;
  }

  /** A pod has started. */
  enter(links: SimulatedLinks): void {
    this.ends.set(links.self, links);
    for (const other of this.ends.keys()) this.dial(links.self, other);
  }

  /** A pod's process is gone: who was linked to it hears so, by and by. */
  leave(pod: PodId): void {
    this.ends.delete(pod);
    // Also those of which the pod itself did not learn any more.
    for (const end of this.ends.values()) {
      const link = end.get(pod);
      if (link !== undefined) this.lose(link);
    }
  }

  partition(side: (pod: PodId) => number, pods: readonly PodId[]): void {
    this.sides = new Map(pods.map((pod) => [pod, side(pod)]));
    for (const links of this.ends.values())
      for (const link of links.list()) if (!this.reach(links.self, link.peer)) this.break(link);
  }

  heal(): void {
    this.sides.clear();
    for (const a of this.ends.keys()) for (const b of this.ends.keys()) if (a < b) this.dial(a, b);
  }

  /** One link of a pod breaks, and is made again. */
  flap(pod: PodId): void {
    const links = this.ends.get(pod)?.list() ?? [];
    if (links.length > 0) this.break(this.numbers.pick(links));
  }

  /** Nothing is heard of a pod for so long: who is linked to it gives it up when that is too long. */
  silent(pod: PodId, ms: number): void {
    if (ms <= HEARTBEAT_MS) return;
    for (const link of this.ends.get(pod)?.list() ?? []) this.break(link);
  }

  carries(link: SimulatedLink): boolean {
    return !this.cut.has(link) && !this.cut.has(link.other);
  }

  delayMs(): number {
    return 0.1 + this.numbers.below(this.slownessMs * 1000) / 1000;
  }

  later(link: SimulatedLink, act: () => void): void {
    this.stage.after(link.owner.actor, this.delayMs(), act);
    this.redial(link.owner, link.peer);
  }

  private reach(a: PodId, b: PodId): boolean {
    return this.sides.get(a) === this.sides.get(b);
  }

  /** From now on nothing passes; each end finds out for itself. */
  private break(link: SimulatedLink): void {
    if (this.cut.has(link) || this.cut.has(link.other)) return;
    this.cut.add(link);
    this.lose(link);
    this.lose(link.other);
  }

  private lose(link: SimulatedLink): void {
    const silent = this.numbers.once(2) ? HEARTBEAT_MS : 50;
    this.stage.after(link.owner.actor, this.numbers.below(silent), () => link.down('lost'));
    this.redial(link.owner, link.peer);
  }

  private redial(from: SimulatedLinks, to: PodId): void {
    this.stage.after(from.actor, HEARTBEAT_MS + this.numbers.below(REDIAL_MS), () =>
      this.dial(from.self, to),
    );
  }

  /** Links two pods that both have no link to the other, now or a little later. */
  private dial(a: PodId, b: PodId): void {
    const [one, two] = [this.ends.get(a), this.ends.get(b)];
    if (a === b || one === undefined || two === undefined) return;
    this.stage.after(one.actor, this.numbers.below(500), () => {
      // Who starts, and who heals, dials.
      if (this.ends.get(a) !== one || this.ends.get(b) !== two || !this.reach(a, b)) return;
      const [atOne, atTwo] = [one.get(b), two.get(a)];
      if (atOne !== undefined && atTwo !== undefined) return;
      if (!two.actor.isAlive || atOne !== undefined || atTwo !== undefined) return this.redial(one, b);
      const [toTwo, toOne] = [new SimulatedLink(this, one, b), new SimulatedLink(this, two, a)];
      toTwo.other = toOne;
      toOne.other = toTwo;
      for (const link of [toOne, toTwo]) link.roundTripMs = this.slownessMs;
      one.add(toTwo);
      this.stage.after(two.actor, 0, () => {
        if (toOne.open && this.ends.get(a) === one) two.add(toOne);
      });
    });
  }
}
