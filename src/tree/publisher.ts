import { type Clock, LIMITS, type Log, messageOf, unlessAborted, WormholeError } from '../base/index.js';
import type { EngineClient } from './engine/client.js';
import type { Journal } from './index/journal.js';
import type { Operation } from './schema.js';

const retryMs = 1_000;
/** More operations than this in a batch are one of many: the next is gathered for twice as long. By their number and not
 *  by their rate, or a machine that is busy would make small groups of them, and be busier still. */
const BULK_OPERATIONS = 8;
/** A stream has ended when nothing came for this share of the time for which a batch is gathered: on a busy machine who
 *  makes it waits for a core now and then. */
const QUIET_SHARE = 1 / 4;
/** A file that is written is two or three operations at once: only some tens of them in a row are a stream. */
const GAPS_REMEMBERED = 8;
/** A pause is a pause, however long. */
const GAP_MS_MAX = 500;

export interface PublisherOptions {
  engine: EngineClient;
  journal: Journal;
  beforePublish: (contents: string[]) => Promise<void>;
  clock: Clock;
  log: Log;
  /** Operations of an earlier process that the index does not show. */
  replayed: Operation[];
  /** Told why operations cannot be handed on, at the first failure, and (undefined) when they can again. */
  onTrouble: (reason: string | undefined) => void;
}

/**
 * Hands operations to the engine in order: after the document said what it has, after they are durable in the
 * journal (so that the document never is ahead of it), and after the chunks of the contents they name are.
 */
export class Publisher {
  private readonly options: PublisherOptions;
  private queue: Operation[];
  private ready = false;
  private running: Promise<void> | undefined;
  private readonly stopping = new AbortController();
  /** Monotonic time from which the next batch may begin, and from which it does even while operations keep coming. */
  private nextMs = 0;
  private latestMs = 0;
  /** For how long the last batch of many was to be gathered. */
  private bulkMs = 0;
  private lastAddMs = Number.NEGATIVE_INFINITY;
  /** Time between operations, lately. */
  private gapMs: number = GAP_MS_MAX;
  /** Callers of `drain`, and what ends a pause for them. */
  private draining = 0;
  private hurry: () => void = () => {};

  constructor(options: PublisherOptions) {
    this.options = options;
    this.queue = options.replayed;
    this.start().catch((error) => {
      if (!this.stopping.signal.aborted) options.log.error('the document did not load', { error });
    });
  }

  /** Operations that the engine was not given yet. */
  get waiting(): number {
    return this.queue.length;
  }

  add(operation: Operation): void {
    const nowMs = this.options.clock.monotonicMs();
    const gapMs = Math.min(nowMs - this.lastAddMs, GAP_MS_MAX);
    this.gapMs += (gapMs - this.gapMs) / GAPS_REMEMBERED;
    this.lastAddMs = nowMs;
    this.queue.push(operation);
    this.kick();
  }

  /** Resolves when the engine was given everything added so far.
   *  @throws WormholeError `closed`, or why the document did not load */
  async drain(): Promise<void> {
    await this.options.engine.ready;
    this.draining++;
    try {
      while (this.queue.length > 0) {
        if (this.stopping.signal.aborted) throw new WormholeError('closed', 'the tree is closed');
        this.hurry();
        this.kick();
        await this.running;
      }
    } finally {
      this.draining--;
    }
  }

  /** Hands nothing on from here on, however long a batch under way may wait. What was not given is in the
   *  journal. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.hurry();
    await this.running;
  }

  private async start(): Promise<void> {
    const { engine, journal, log } = this.options;
    const { appliedSeq } = await engine.ready;
    const oldest = this.queue[0]?.seq ?? journal.next;
    const older: Operation[] = [];
    // The document may be behind the index (it was put back from a backup, or lost its end to the disk).
    if (appliedSeq + 1 < oldest) {
      if (appliedSeq + 1 < journal.first) log.error('the journal does not reach back to the document');
      for (const operation of journal.from(appliedSeq + 1)) {
        if (operation.seq >= oldest) break;
        older.push(operation);
      }
    }
    this.queue = [...older, ...this.queue.filter(({ seq }) => seq > appliedSeq)];
    this.ready = true;
    this.kick();
  }

  private kick(): void {
    if (!this.ready || this.running !== undefined || this.queue.length === 0) return;
    if (this.stopping.signal.aborted) return;
    this.running = this.run().finally(() => {
      this.running = undefined;
      // What was added after the last look at the queue, and before this, found it running.
      this.kick();
    });
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    let trouble = false;
    while (this.queue.length > 0 && !this.stopping.signal.aborted) {
      await this.pace();
      const batch = [...this.queue];
      const startedMs = this.options.clock.monotonicMs();
      try {
        // A race with one promise for all of them would leave something there for each.
        await unlessAborted(this.prepare(batch), this.stopping.signal);
        this.options.engine.apply(batch);
        this.queue.splice(0, batch.length);
        this.nextMs = startedMs + paceAfter(this.options.clock.monotonicMs() - startedMs, this.gapMs);
        this.bulkMs = bulkAfter(this.bulkMs, batch.length);
        this.latestMs = startedMs + this.bulkMs;
        if (trouble) this.options.onTrouble(undefined);
        trouble = false;
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        if (!trouble) this.options.onTrouble(messageOf(error));
        trouble = true;
        this.options.log.error('operations could not be published, it will be tried again', { error });
        await this.options.clock.sleep(retryMs, this.stopping.signal).catch(() => {});
      }
    }
  }

  /**
   * The first change after a pause goes at once; while changes keep coming, each batch costs several flushes of
   * the disk, so that they are gathered for as long as those take. Many are gathered for longer, until no more come
   * for a moment: one large group costs all threads of all pods a fraction of what many small ones do, and whoever
   * makes the changes needs the processor now. Whoever waits for all of it is not kept.
   */
  private async pace(): Promise<void> {
    const { clock } = this.options;
    const over = new AbortController();
    this.hurry = () => over.abort();
    while (this.draining === 0 && !over.signal.aborted) {
      const overMs = this.lastAddMs + Math.max(LIMITS.streamDelayMs, this.bulkMs * QUIET_SHARE);
      const delayMs = Math.max(this.nextMs, Math.min(this.latestMs, overMs)) - clock.monotonicMs();
      if (delayMs <= 0) break;
      await clock.sleep(delayMs, over.signal).catch(() => {});
    }
    this.hurry = () => {};
  }

  private async prepare(batch: readonly Operation[]): Promise<void> {
    const contents = contentsOf(batch);
    await Promise.all([
      this.options.journal.sync(),
      contents.length > 0 ? this.options.beforePublish(contents) : undefined,
    ]);
  }
}

/** From the begin of a batch to that of the next, at least: twice as long as its flushes took, or longer while operations
 *  follow closely upon one another. Each within its bounds. */
function paceAfter(tookMs: number, gapMs: number): number {
  const forDisk = Math.min(LIMITS.groupDelayMsMax, 2 * tookMs);
  const forStream = gapMs < LIMITS.streamGapMs ? LIMITS.streamDelayMs : LIMITS.groupDelayMs;
  return Math.max(forStream, forDisk);
}

/** For how long a batch is gathered while operations keep coming: about as long as they have been coming already. */
function bulkAfter(beforeMs: number, operations: number): number {
  if (operations <= BULK_OPERATIONS) return 0;
  return Math.min(LIMITS.groupBulkDelayMsMax, Math.max(LIMITS.streamDelayMs, 2 * beforeMs));
}

/** The contents that these operations make visible to others, each once. */
function contentsOf(operations: readonly Operation[]): string[] {
  const contents = new Set<string>();
  for (const { writes } of operations) {
    for (const { d } of writes) if (d?.kind === 'file' && d.content !== '') contents.add(d.content);
  }
  return [...contents];
}
