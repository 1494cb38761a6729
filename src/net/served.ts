import { LIMITS, type Log, plainError, WormholeError } from '../base/index.js';
import type { Frame } from './frames.js';
import type { Handler, Link, Priority } from './link.js';
import type { Outbox } from './outbox.js';

type Message = Extract<Frame, { kind: 'send' | 'request' }>;
type Request = Extract<Frame, { kind: 'request' }>;

export interface ServedOptions {
  link: Link;
  handlers: ReadonlyMap<string, Handler>;
  outbox: Outbox;
  send: (frame: Frame, priority: Priority) => void;
  log: Log;
}

/**
 * What one peer asked of us. Control requests run at once; bulk requests start one after the other, at most
 * `bulkRequestsServedMax` at a time and none while answers pile up, so that a peer that asks without reading
 * makes us hold little.
 */
export class Served {
  private readonly options: ServedOptions;
  private readonly running = new Map<number, AbortController>();
  private readonly waiting = new Map<number, Request>();
  /** Aborted when the link goes; also the signal of messages without an answer. */
  private readonly gone = new AbortController();
  private runningBulk = 0;
  private runningSends = 0;
  private waitsForRoom = false;

  constructor(options: ServedOptions) {
    this.options = options;
  }

  /** @throws WormholeError `protocol` when the peer floods or repeats an id: its link must go */
  accept(message: Message): void {
    if (message.kind === 'send') this.acceptSend(message);
    else this.acceptRequest(message);
  }

  private acceptRequest(message: Request): void {
    const { id } = message;
    if (this.running.has(id) || this.waiting.has(id))
      throw new WormholeError('protocol', 'a request id came twice');
    if (this.running.size + this.waiting.size >= LIMITS.requestsServedMax) {
      this.refuse(id, new WormholeError('busy', 'too many requests at once; ask again later'));
    } else if (message.bulk) {
      this.waiting.set(id, message);
      this.startBulk();
    } else {
      this.run(message);
    }
  }

  cancel(id: number): void {
    this.waiting.delete(id);
    this.running.get(id)?.abort(new WormholeError('interrupted', 'the peer gave the request up'));
  }

  close(error: WormholeError): void {
    this.waiting.clear();
    this.gone.abort(error);
    for (const controller of this.running.values()) controller.abort(error);
  }

  private acceptSend(message: Message): void {
    if (this.runningSends >= LIMITS.messagesHandledMax)
      throw new WormholeError('protocol', 'too many messages at once');
    this.runningSends++;
    this.handle(message, this.gone.signal)
      .catch((error) => this.options.log.warn('a message failed', { type: message.type, error }))
      .finally(() => this.runningSends--);
  }

  private startBulk(): void {
    const { outbox } = this.options;
    for (const [id, request] of this.waiting) {
      if (this.runningBulk >= LIMITS.bulkRequestsServedMax) return;
      if (outbox.congested) {
        this.waitForRoom();
        return;
      }
      this.waiting.delete(id);
      this.runningBulk++;
      this.run(request).finally(() => {
        this.runningBulk--;
        this.startBulk();
      });
    }
  }

  private waitForRoom(): void {
    if (this.waitsForRoom) return;
    this.waitsForRoom = true;
    this.options.outbox.drained().then(() => {
      this.waitsForRoom = false;
      this.startBulk();
    });
  }

  /** Answers a request, whatever happens. Never rejects. */
  private async run(request: Request): Promise<void> {
    const { id, bulk } = request;
    const controller = new AbortController();
    this.running.set(id, controller);
    try {
      const body = await this.handle(request, controller.signal);
      if (!controller.signal.aborted)
        this.options.send({ kind: 'answer', id, body }, bulk ? 'bulk' : 'control');
    } catch (error) {
      if (!(error instanceof WormholeError))
        this.options.log.warn('a request failed', { type: request.type, error });
      if (!controller.signal.aborted) this.refuse(id, error);
    } finally {
      this.running.delete(id);
    }
  }

  private async handle(message: Message, signal: AbortSignal): Promise<unknown> {
    const handler = this.options.handlers.get(message.type);
    if (handler === undefined)
      throw new WormholeError('not-supported', `this pod does not know ${message.type}`);
    return handler(this.options.link, message.body, signal);
  }

  private refuse(id: number, error: unknown): void {
    const { code, message } = plainError(error);
    this.options.send({ kind: 'error', id, code, message: message.slice(0, 1000) }, 'control');
  }
}
