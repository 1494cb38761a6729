/** Links within one process, for tests of what is said over links: CBOR both ways, in order, cut at will. */
import { decodeCbor, encodeCbor } from '../../src/base/cbor.js';
import { errorFrom, type PodId, plainError, WormholeError } from '../../src/base/index.js';
import type { Link } from '../../src/net/index.js';
import { LinkTable } from './link-table.js';

interface RequestOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
}

export class MemoryLinks extends LinkTable<MemoryLink> {
  readonly dialled: string[] = [];

  override dial(address: string): void {
    this.dialled.push(address);
  }
}

class MemoryLink implements Link {
  readonly peer: PodId;
  readonly address = 'memory:0';
  readonly roundTripMs: number | undefined;
  sentBytes = 0;
  receivedBytes = 0;
  open = true;
  closedBecause: string | undefined;
  other!: MemoryLink;
  private readonly owner: MemoryLinks;
  private readonly pending = new Set<(error: WormholeError) => void>();
  private readonly serving = new Set<AbortController>();
  private readonly latencyMs: number;
  private order: Promise<void> = Promise.resolve();

  constructor(owner: MemoryLinks, peer: PodId, latencyMs: number) {
    this.owner = owner;
    this.peer = peer;
    this.latencyMs = latencyMs;
    this.roundTripMs = latencyMs * 2;
  }

  send(type: string, body: unknown): void {
    if (!this.open) return;
    const bytes = this.pack(body);
    this.deliver(() => {
      try {
        // A real link answers a handler's failure or drops it; it never throws into the sender.
        void Promise.resolve(this.other.take(type, bytes)).catch(() => {});
      } catch {}
    });
  }

  request(type: string, body: unknown, options: RequestOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(new WormholeError('closed', 'the link is closed'));
      if (options.signal?.aborted) return reject(new WormholeError('interrupted', 'aborted'));
      const stop = new AbortController();
      const timer = setTimeout(
        () => fail(new WormholeError('timeout', 'no answer')),
        options.timeoutMs ?? 30_000,
      );
      const abort = () => fail(new WormholeError('interrupted', 'aborted'));
      const settle = () => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
        this.pending.delete(fail);
      };
      const fail = (error: WormholeError) => {
        settle();
        stop.abort(error);
        reject(error);
      };
      this.pending.add(fail);
      options.signal?.addEventListener('abort', abort, { once: true });
      const bytes = this.pack(body);
      this.deliver(() => {
        this.other.answer(type, bytes, stop).then(
          (value) =>
            this.other.deliver(() => {
              settle();
              resolve(this.unpack(value));
            }),
          (error) => this.other.deliver(() => fail(errorFrom(plainError(error)))),
        );
      });
    });
  }

  async drained(): Promise<void> {}

  close(reason: string): void {
    for (const end of [this, this.other]) {
      if (!end.open) continue;
      end.open = false;
      end.closedBecause = reason;
      for (const fail of [...end.pending]) fail(new WormholeError('closed', reason));
      for (const serving of end.serving) serving.abort();
      end.owner.drop(end, reason);
    }
  }

  private async answer(type: string, bytes: Buffer, stop: AbortController): Promise<Buffer> {
    this.serving.add(stop);
    try {
      const value = await this.take(type, bytes, stop.signal);
      const packed = encodeCbor(value ?? null);
      this.sentBytes += packed.length;
      return packed;
    } finally {
      this.serving.delete(stop);
    }
  }

  private take(type: string, bytes: Buffer, signal = new AbortController().signal): unknown {
    const handler = this.owner.handlers.get(type);
    if (handler === undefined) throw new WormholeError('not-supported', `no handler for ${type}`);
    return handler(this, this.unpack(bytes), signal);
  }

  private deliver(act: () => void): void {
    const arrived =
      this.latencyMs === 0
        ? new Promise<void>((resolve) => setImmediate(resolve))
        : new Promise<void>((resolve) => setTimeout(resolve, this.latencyMs));
    this.order = this.order.then(() => arrived).then(() => void (this.open && act()));
  }

  private pack(body: unknown): Buffer {
    const bytes = encodeCbor(body);
    this.sentBytes += bytes.length;
    return bytes;
  }

  private unpack(bytes: Buffer): unknown {
    this.receivedBytes += bytes.length;
    return decodeCbor(bytes);
  }
}

/** Links two pods; the returned function cuts them apart. */
export function connect(a: MemoryLinks, b: MemoryLinks, latencyMs = 0): (reason?: string) => void {
  const toB = new MemoryLink(a, b.self, latencyMs);
  const toA = new MemoryLink(b, a.self, latencyMs);
  toB.other = toA;
  toA.other = toB;
  a.add(toB);
  b.add(toA);
  return (reason = 'cut') => toB.close(reason);
}

/** Resolves when the condition holds. @throws Error after `timeoutMs` */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not so within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
