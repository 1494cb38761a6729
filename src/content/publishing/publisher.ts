import { Worker } from 'node:worker_threads';
import { errorFrom, LIMITS, type Log, plainError, Semaphore, WormholeError } from '../../base/index.js';
import type { Evictable } from '../cache/evictable.js';
import type { Counter } from '../chunks/chunks.js';
import type { ChunkFolders } from '../chunks/file-chunks.js';
import type { VerifiedChunks } from '../chunks/verified-chunks.js';
import type { ChunkId, Published } from '../content.js';
import type { ChunkReader } from '../reading/chunk-reader.js';
import type { Draft } from '../staging/large-staging.js';
import { packShape } from '../staging/staged-state.js';
import type { FromWorker, PublishResult, ToWorker, WorkerSetup } from './messages.js';
import type { DraftLayouts } from './recut.js';

interface Running {
  resolve(result: PublishResult): void;
  reject(error: Error): void;
  pinned: Set<ChunkId>;
  /** Ends what is being fetched for the job. */
  abort: AbortController;
}

export interface PublisherOptions {
  folders: ChunkFolders;
  reader: ChunkReader;
  chunks: VerifiedChunks;
  evictable: Evictable;
  counter: Counter;
  log: Log;
}

/**
 * Publishes large contents in a thread of its own, several at once. What the thread decides on goes through here:
 * which chunks must not be evicted meanwhile, and the bytes of the base, which may have to be fetched.
 */
export class Publisher {
  private readonly options: PublisherOptions;
  private readonly slots = new Semaphore(LIMITS.publicationsMax);
  private readonly running = new Map<number, Running>();
  private worker: Worker | undefined;
  private jobs = 0;
  private closed = false;

  constructor(options: PublisherOptions) {
    this.options = options;
  }

  /** Resolves when every chunk of the content is durable here.
   *  @throws WormholeError `full` | `io` | `unreachable` | `corrupt` | `interrupted` | `closed` */
  publish(draft: Draft, layouts: DraftLayouts, signal: AbortSignal): Promise<Published> {
    return this.slots.run(async () => {
      const pinned = new Set<ChunkId>();
      try {
        const result = await this.run(draft, layouts, pinned, signal);
        return await this.finish(result, pinned);
      } finally {
        for (const id of pinned) this.options.evictable.unpin(id);
      }
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    const worker = this.worker;
    this.failAll(new WormholeError('closed', 'the content store is closed'));
    await worker?.terminate();
  }

  private run(
    draft: Draft,
    layouts: DraftLayouts,
    pinned: Set<ChunkId>,
    signal: AbortSignal,
  ): Promise<PublishResult> {
    if (this.closed) throw new WormholeError('closed', 'the content store is closed');
    if (signal.aborted) throw new WormholeError('interrupted', 'the publication was given up');
    const job = ++this.jobs;
    const abort = new AbortController();
    const cancel = () => {
      abort.abort(signal.reason);
      this.post({ kind: 'cancel', job });
    };
    signal.addEventListener('abort', cancel, { once: true });
    const files = draft.files.map(({ number, path }): [number, string] => [number, path]);
    return new Promise<PublishResult>((resolve, reject) => {
      this.running.set(job, { resolve, reject, pinned, abort });
      const base = layouts.base.packed;
      const borrowed = [...layouts.borrowed].map(([file, { packed }]): [number, Uint8Array] => [
        file,
        packed,
      ]);
      this.post({ kind: 'publish', job, shape: packShape(draft.shape), files, base, borrowed });
    }).finally(() => {
      this.running.delete(job);
      signal.removeEventListener('abort', cancel);
      abort.abort();
    });
  }

  /** The files of the large chunks are durable; what is left are the small ones, and that all are to stay. */
  private async finish(result: PublishResult, pinned: Set<ChunkId>): Promise<Published> {
    const { chunks, evictable, counter } = this.options;
    let { newChunks, newBytes } = result;
    counter.add(newChunks, newBytes);
    for (const { id, bytes } of result.small) {
      const added = chunks.add(bytes, (present) => evictable.isKept(present));
      await added.stored;
      evictable.release(id);
      if (added.isNew) newChunks++;
      if (added.isNew) newBytes += bytes.length;
    }
    for (const id of pinned) evictable.release(id);
    await Promise.all([chunks.flush(), evictable.flush()]);
    return { content: result.content, size: result.size, newChunks, newBytes };
  }

  private post(message: ToWorker): void {
    this.worker ??= this.start();
    this.worker.postMessage(message);
  }

  private start(): Worker {
    const workerData: WorkerSetup = { folders: this.options.folders };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData, name: 'content' });
    worker.unref();
    worker.on('message', (message: FromWorker) => this.received(message));
    const ended = (error: unknown) => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      if (this.running.size > 0 && !this.closed) {
        this.options.log.error('the thread that publishes contents ended', { error });
      }
      this.failAll(new WormholeError('internal', 'the thread that publishes contents ended; it starts anew'));
    };
    worker.on('error', ended);
    worker.on('exit', ended);
    return worker;
  }

  private received(message: FromWorker): void {
    const running = this.running.get(message.job);
    switch (message.kind) {
      case 'published':
        running?.resolve(message.result);
        break;
      case 'failed':
        running?.reject(errorFrom(message.error));
        break;
      default:
        this.answer(message.ask, this.work(message, running));
    }
  }

  private async work(
    message: FromWorker & { kind: 'chunk' | 'pin' },
    running: Running | undefined,
  ): Promise<Uint8Array | undefined> {
    if (running === undefined) throw new WormholeError('interrupted', 'the publication was given up');
    if (message.kind === 'chunk') {
      const bytes = await this.options.reader.read(message.id, {
        urgent: true,
        signal: running.abort.signal,
      });
      // As a view it would take the whole buffer behind it along.
      return Uint8Array.from(bytes);
    }
    if (!running.pinned.has(message.id)) {
      running.pinned.add(message.id);
      await this.options.evictable.pin(message.id);
    }
    return undefined;
  }

  private answer(ask: number, work: Promise<Uint8Array | undefined>): void {
    work.then(
      (bytes) => this.reply(bytes === undefined ? { kind: 'answer', ask } : { kind: 'answer', ask, bytes }),
      (error) => this.reply({ kind: 'answer', ask, error: plainError(error) }),
    );
  }

  private reply(message: ToWorker): void {
    this.worker?.postMessage(message);
  }

  private failAll(error: WormholeError): void {
    for (const running of this.running.values()) running.reject(error);
  }
}
