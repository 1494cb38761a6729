import { Worker } from 'node:worker_threads';
import { Emitter, errorFrom, LIMITS, type Log, type PodId, WormholeError } from '../../base/index.js';
import type { Heads, Operation } from '../schema.js';
import type { EngineClient, EngineEvents, EngineOptions, EngineReady } from './client.js';
import { groupLength } from './grouping.js';
import type {
  EngineEvent,
  FromThread,
  Method,
  PlainError,
  Requests,
  ThreadSettings,
  ToThread,
} from './protocol.js';

/** Groups that the thread may have before it; further operations wait here, where they still can be grouped. */
const GROUPS_IN_FLIGHT_MAX = 4;
const RESTART_FIRST_MS = 100;
const RESTART_LONGEST_MS = 30_000;

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** Starts the document's thread. */
export function startEngine(options: EngineOptions): EngineClient {
  return new ThreadedEngine(options);
}

class ThreadedEngine implements EngineClient {
  readonly events = new Emitter<EngineEvents>();
  readonly ready: Promise<EngineReady>;
  private readonly options: EngineOptions;
  private readonly log: Log;
  private readonly firstReady: Waiter<EngineReady>;
  private worker: Worker | undefined;
  private loaded = false;
  private durable: { heads: Heads; seq: number } = { heads: [], seq: 0 };
  private echoed = 0;
  /** Given and not durable, in order; those up to `posted` are with the thread. */
  private operations: Operation[] = [];
  private posted = 0;
  private inFlight = 0;
  private timer: NodeJS.Timeout | undefined;
  private lastPostMs = 0;
  private commits: (Waiter<Heads> & { seq: number })[] = [];
  private readonly requests = new Map<number, Waiter<never>>();
  private nextRequest = 1;
  private restartMs = RESTART_FIRST_MS;
  /** Until a thread has begun in new files. */
  private flushFailed = false;
  private fatal: { error: PlainError; curable: boolean } | undefined;
  /** Set when nothing will ever be durable again. */
  private refusal: WormholeError | undefined;
  private closing: Promise<void> | undefined;
  private ended: (() => void) | undefined;

  constructor(options: EngineOptions) {
    this.options = options;
    this.log = options.log;
    let firstReady: Waiter<EngineReady> | undefined;
    this.ready = new Promise((resolve, reject) => {
      firstReady = { resolve, reject };
    });
    this.ready.catch(() => {}); // who does not ask for it must not fall over it
    this.firstReady = firstReady as unknown as Waiter<EngineReady>; // the executor runs at once
    this.start();
  }

  heads(): Heads {
    return this.durable.heads;
  }

  get pending(): number {
    return this.operations.length - this.countUpTo(this.echoed);
  }

  apply(operations: readonly Operation[]): void {
    this.operations.push(...operations);
    this.schedule(false);
  }

  commit(): Promise<Heads> {
    const last = this.operations.at(-1);
    if (last === undefined) return this.ready.then(() => this.durable.heads);
    return new Promise((resolve, reject) => {
      if (this.refusal !== undefined || this.closing !== undefined) {
        reject(this.refusal ?? closedError());
        return;
      }
      this.commits.push({ seq: last.seq, resolve, reject });
      this.schedule(true);
    });
  }

  contains(heads: Heads): Promise<boolean> {
    return this.request('contains', [heads]);
  }

  generate(peer: PodId): Promise<Uint8Array | undefined> {
    return this.request('generate', [peer]);
  }

  receive(peer: PodId, message: Uint8Array): Promise<Heads> {
    const copy = Uint8Array.from(message);
    return this.request('receive', [peer, copy], [copy.buffer]);
  }

  applyChanges(changes: readonly Uint8Array[]): Promise<Heads> {
    const copies = changes.map((change) => Uint8Array.from(change));
    return this.request(
      'applyChanges',
      [copies],
      copies.map(({ buffer }) => buffer),
    );
  }

  disconnect(peer: PodId): Promise<void> {
    return this.request('disconnect', [peer]);
  }

  snapshotForPeer(): Promise<Uint8Array | undefined> {
    return this.request('snapshotForPeer', []);
  }

  adoptSnapshot(snapshot: Uint8Array): Promise<Heads> {
    // To copy a hundred megabytes would hold up the mount.
    const { buffer } = snapshot;
    const isWhole = buffer instanceof ArrayBuffer && snapshot.byteLength === buffer.byteLength;
    const given = isWhole ? new Uint8Array(buffer) : Uint8Array.from(snapshot);
    return this.request('adoptSnapshot', [given], [given.buffer]);
  }

  forgetHistory(periodMs: number): Promise<void> {
    return this.request('forgetHistory', [periodMs]);
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  // The thread

  private start(): void {
    const { folder, database, podId, podName, network, founder } = this.options;
    const anew = this.flushFailed;
    const settings: ThreadSettings = { folder, database, podId, podName, network, founder, anew };
    this.emitState({ state: 'loading' });
    this.loaded = false;
    this.fatal = undefined;
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'tree',
      workerData: settings,
    });
    this.worker = worker;
    worker.on('message', (messages: FromThread[]) => {
      for (const message of messages) this.take(message);
    });
    worker.on('error', (error) => {
      this.fatal ??= { error: { code: 'internal', message: error.message }, curable: true };
    });
    worker.on('exit', () => this.exited());
  }

  private take(message: FromThread): void {
    switch (message.kind) {
      case 'ready':
        this.begin(message.ready);
        break;
      case 'applied':
        this.inFlight--;
        this.schedule(false);
        break;
      case 'event':
        this.takeEvent(message.event);
        break;
      case 'answer':
        this.settle(message.id, (waiter) => waiter.resolve(message.value as never));
        break;
      case 'refusal':
        this.settle(message.id, (waiter) => waiter.reject(errorFrom(message.error)));
        break;
      case 'log':
        this.write(message);
        break;
      case 'fatal':
        this.fatal = message;
    }
  }

  private write({ level, part, message, fields }: Extract<FromThread, { kind: 'log' }>): void {
    const log = part === '' ? this.log : this.log.part(part);
    log[level](message, fields);
  }

  private begin(ready: EngineReady): void {
    this.loaded = true;
    this.flushFailed = false;
    this.restartMs = RESTART_FIRST_MS;
    this.inFlight = 0;
    this.firstReady.resolve(ready);
    if (ready.condition !== undefined) this.log.error(ready.condition.reason, { kind: ready.condition.kind });
    const { heads, appliedSeq: seq } = ready;
    this.takeEvent({ name: 'echo', value: { seq, change: { inodes: [], names: [] }, heads, remote: false } });
    this.takeEvent({ name: 'durable', value: { heads, seq } });
    this.posted = 0;
    this.schedule(true);
  }

  private takeEvent(event: EngineEvent): void {
    if (event.name === 'echo') this.echoed = Math.max(this.echoed, event.value.seq);
    if (event.name === 'durable') this.becameDurable(event.value);
    this.emit(event);
  }

  private becameDurable(durable: { heads: Heads; seq: number }): void {
    this.durable = durable;
    const done = this.countUpTo(durable.seq);
    this.operations.splice(0, done);
    this.posted = Math.max(0, this.posted - done);
    const reached = this.commits.filter(({ seq }) => seq <= durable.seq);
    this.commits = this.commits.filter(({ seq }) => seq > durable.seq);
    for (const waiter of reached) waiter.resolve(durable.heads);
  }

  /** The thread ended: by itself after `close`, else it is started again, later and later. */
  private exited(): void {
    this.worker = undefined;
    this.loaded = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const id of [...this.requests.keys()]) this.settle(id, (waiter) => waiter.reject(closedError()));
    if (this.closing !== undefined) {
      this.ended?.();
      return;
    }
    const { error, curable } = this.fatal ?? {
      error: { code: 'internal' as const, message: 'the thread of the document ended by itself' },
      curable: true,
    };
    if (error.code === 'io') this.flushFailed = true;
    this.log.error('the thread of the document ended', { reason: error.message });
    this.emitState({ state: 'failed', reason: error.message });
    if (!curable) {
      this.giveUp(errorFrom(error));
      return;
    }
    this.timer = setTimeout(() => this.start(), this.restartMs);
    this.restartMs = Math.min(this.restartMs * 2, RESTART_LONGEST_MS);
  }

  private giveUp(error: WormholeError): void {
    this.refusal = error;
    this.firstReady.reject(error);
    for (const waiter of this.commits.splice(0)) waiter.reject(error);
  }

  private async end(): Promise<void> {
    clearTimeout(this.timer);
    if (this.worker !== undefined) {
      const over = new Promise<void>((resolve) => {
        this.ended = resolve;
      });
      // While it still loads, the thread reads this afterwards: a load is not cut off in the middle.
      while (this.posted < this.operations.length) this.postGroup();
      this.post({ kind: 'close' });
      await over;
    }
    this.giveUp(closedError());
  }

  // Operations

  private schedule(now: boolean): void {
    if (!this.loaded || this.closing !== undefined) return;
    const waiting = this.operations.length - this.posted;
    if (waiting === 0 || this.inFlight >= GROUPS_IN_FLIGHT_MAX) return;
    if (now || waiting >= LIMITS.groupOperationsMax) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.postGroup();
      this.schedule(now);
      return;
    }
    // The first after a pause goes at once; others join it for as long as a group may wait.
    const delay = this.lastPostMs + LIMITS.groupDelayMs - performance.now();
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined;
        this.schedule(true);
      },
      Math.max(0, delay),
    );
  }

  private postGroup(): void {
    const group = this.operations.slice(this.posted, this.posted + groupLength(this.operations, this.posted));
    this.posted += group.length;
    this.inFlight++;
    this.lastPostMs = performance.now();
    this.post({ kind: 'apply', operations: group });
  }

  /** Operations not yet durable that are not above `seq`. */
  private countUpTo(seq: number): number {
    let [low, high] = [0, this.operations.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.operations[middle]?.seq ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Messages

  private request<Name extends Method>(
    method: Name,
    argument: Parameters<Requests[Name]>,
    transfer: ArrayBuffer[] = [],
  ): Promise<Awaited<ReturnType<Requests[Name]>>> {
    return new Promise((resolve, reject) => {
      if (this.worker === undefined || this.closing !== undefined) {
        reject(closedError());
        return;
      }
      const id = this.nextRequest++;
      this.requests.set(id, { resolve: resolve as Waiter<never>['resolve'], reject });
      this.post({ kind: 'request', id, method, argument }, transfer);
    });
  }

  private settle(id: number, how: (waiter: Waiter<never>) => void): void {
    const waiter = this.requests.get(id);
    this.requests.delete(id);
    if (waiter !== undefined) how(waiter);
  }

  private post(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.worker?.postMessage(message, transfer);
  }

  private emitState(value: EngineEvents['state']): void {
    this.emit({ name: 'state', value });
  }

  /** A listener that throws is its own fault: the thread goes on. */
  private emit(event: EngineEvent): void {
    try {
      this.events.emit(event.name, event.value);
    } catch (error) {
      this.log.error('a listener of the document failed', { event: event.name, error });
    }
  }
}

function closedError(): WormholeError {
  return new WormholeError('closed', 'the document is closed, or its thread is being started again');
}
