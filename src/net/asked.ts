import { LIMITS, WormholeError } from '../base/index.js';
import type { Frame } from './frames.js';
import type { Priority } from './link.js';

interface Question {
  timer: NodeJS.Timeout;
  signal: AbortSignal | undefined;
  abort: () => void;
  resolve(body: unknown): void;
  reject(error: unknown): void;
}

export interface AskOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
  priority?: Priority;
}

/** Requests to one peer that wait for their answers, and those that wait for their turn. */
export class Asked {
  private readonly send: (frame: Frame, priority: Priority) => void;
  private readonly open = new Map<number, Question>();
  private readonly queued = new Map<number, () => void>();
  private nextId = 1;
  private closedBy: WormholeError | undefined;

  constructor(send: (frame: Frame, priority: Priority) => void) {
    this.send = send;
  }

  ask(type: string, body: unknown, options: AskOptions): Promise<unknown> {
    const { signal, timeoutMs = LIMITS.requestTimeoutMs, priority = 'control' } = options;
    if (this.closedBy !== undefined) return Promise.reject(this.closedBy);
    if (signal?.aborted) return Promise.reject(interrupted(signal));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const late = () =>
        this.giveUp(id, new WormholeError('timeout', `the peer did not answer ${type} in time`));
      const abort = () => this.giveUp(id, interrupted(signal));
      const question = { timer: setTimeout(late, timeoutMs), signal, abort, resolve, reject };
      signal?.addEventListener('abort', abort, { once: true });
      this.open.set(id, question);
      const start = () =>
        this.start(id, { kind: 'request', id, bulk: priority === 'bulk', type, body }, priority);
      if (this.open.size - this.queued.size <= LIMITS.requestsInFlightMax) start();
      else this.queued.set(id, start);
    });
  }

  answered(id: number, body: unknown): void {
    this.take(id)?.resolve(body);
  }

  failed(id: number, error: WormholeError): void {
    this.take(id)?.reject(error);
  }

  close(error: WormholeError): void {
    this.closedBy = error;
    this.queued.clear();
    for (const id of [...this.open.keys()]) this.take(id)?.reject(error);
  }

  private start(id: number, frame: Frame, priority: Priority): void {
    try {
      this.send(frame, priority);
    } catch (error) {
      this.take(id)?.reject(error);
    }
  }

  private giveUp(id: number, error: WormholeError): void {
    const waited = this.queued.delete(id);
    const question = this.take(id);
    if (question === undefined) return;
    if (!waited) this.send({ kind: 'cancel', id }, 'control');
    question.reject(error);
  }

  /** Ends a question once, and lets the next queued one go. An answer that comes too late finds nothing. */
  private take(id: number): Question | undefined {
    const question = this.open.get(id);
    if (question === undefined) return undefined;
    this.open.delete(id);
    clearTimeout(question.timer);
    question.signal?.removeEventListener('abort', question.abort);
    const next = this.queued.entries().next();
    if (!next.done) {
      this.queued.delete(next.value[0]);
      next.value[1]();
    }
    return question;
  }
}

function interrupted(signal: AbortSignal | undefined): WormholeError {
  return new WormholeError('interrupted', 'the request was given up', { cause: signal?.reason });
}
