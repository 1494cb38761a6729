import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Clock, Emitter, type PodId, type Random, WormholeError } from '../../../src/base/index.js';
import { type Database, type LogDisk, openDatabase, systemLogDisk } from '../../../src/store/index.js';
import { makeActor } from '../../../src/tree/engine/actor.js';
import type {
  EngineClient,
  EngineCondition,
  EngineEvents,
  EngineOptions,
  EngineReady,
} from '../../../src/tree/engine/client.js';
import { Engine } from '../../../src/tree/engine/engine.js';
import type { Indexer, RegisterReader } from '../../../src/tree/engine/indexer.js';
import { type HistoryLog, openHistoryLog } from '../../../src/tree/history/history-log.js';
import { makeIndexer } from '../../../src/tree/index/indexer.js';
import type { Heads, InodeId, Operation } from '../../../src/tree/schema.js';

export interface InlineParts {
  clock: Clock;
  random: Random;
  /** Operations that go into the document as one group. */
  groupSize(): number;
  /** For the document's files; by default one that needs no flush, for no power fails. */
  disk?: LogDisk;
  /** What was overwritten and deleted is noted, as the thread does. */
  history?: boolean;
  /** A document that is not whole is told of, and work goes on, as with the thread; by default it fails. */
  damaged?: (condition: EngineCondition) => void;
}

/**
 * The real engine on the caller's thread: nothing happens but when it is told to, so that a seed replays. As with
 * the thread, operations wait (pending, and shown over the index) until a `commit`, and what peers send meanwhile
 * comes before them.
 */
export class InlineEngine implements EngineClient {
  readonly events = new Emitter<EngineEvents>();
  readonly ready: Promise<EngineReady>;
  reader: RegisterReader | undefined;
  /** The inodes of all operations since the start. */
  readonly handed = new Set<InodeId>();
  private readonly parts: InlineParts;
  private readonly opening: Promise<{ engine: Engine; database: Database; history: HistoryLog | undefined }>;
  private queue: Operation[] = [];
  private durable: Heads = [];
  private closing: Promise<void> | undefined;

  constructor(options: EngineOptions, parts: InlineParts) {
    this.parts = parts;
    this.opening = this.open(options);
    this.ready = this.opening.then(({ engine }) => this.begin(engine));
    this.ready.catch(() => {});
    this.events.on('durable', ({ heads }) => {
      this.durable = heads;
    });
  }

  get pending(): number {
    return this.queue.length;
  }

  heads(): Heads {
    return this.durable;
  }

  apply(operations: readonly Operation[]): void {
    this.queue.push(...operations);
    for (const { writes } of operations) for (const { inode } of writes) this.handed.add(inode);
  }

  async commit(): Promise<Heads> {
    const { engine } = await this.opening;
    while (this.queue.length > 0 && engine.founded) {
      const group = this.queue.slice(0, this.parts.groupSize());
      engine.apply(group);
      this.queue.splice(0, group.length);
      await engine.settle();
    }
    return this.durable;
  }

  forgetHistory(periodMs: number): Promise<void> {
    return this.with((engine) => engine.forgetHistory(periodMs));
  }

  contains(heads: Heads): Promise<boolean> {
    return this.with((engine) => engine.contains(heads));
  }

  generate(peer: PodId): Promise<Uint8Array | undefined> {
    return this.with((engine) => engine.generate(peer));
  }

  receive(peer: PodId, message: Uint8Array): Promise<Heads> {
    return this.with((engine) => engine.receive(peer, Uint8Array.from(message)));
  }

  applyChanges(changes: readonly Uint8Array[]): Promise<Heads> {
    return this.with((engine) => engine.applyChanges(changes.map((change) => Uint8Array.from(change))));
  }

  disconnect(peer: PodId): Promise<void> {
    return this.with((engine) => engine.disconnect(peer));
  }

  snapshotForPeer(): Promise<Uint8Array | undefined> {
    return this.with((engine) => engine.snapshotForPeer());
  }

  adoptSnapshot(snapshot: Uint8Array): Promise<Heads> {
    return this.with((engine) => engine.adoptSnapshot(Uint8Array.from(snapshot)));
  }

  /** Now instead of after thousands of changes. */
  snapshot(): Promise<void> {
    return this.with((engine) => engine.snapshot());
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async open(options: EngineOptions) {
    const { clock, random } = this.parts;
    const database = openDatabase(options.database, { flushed: false });
    const history = this.parts.history
      ? await openHistoryLog(join(options.folder, '..', 'history'), options.log, () => clock.monotonicMs())
      : undefined;
    const engine = await Engine.open({
      folder: options.folder,
      actor: makeActor(options.podId, options.podName, random),
      network: options.network,
      founder: options.founder,
      database,
      makeIndexer: (store, reader) => {
        this.reader = reader;
        const indexer =
          history === undefined ? makeIndexer(store, reader) : makeIndexer(store, reader, clock, history);
        return checkedIndexer(indexer, reader);
      },
      events: this.events,
      clock,
      log: options.log,
      disk: this.parts.disk ?? NO_FLUSH,
    }).catch(async (error) => {
      await history?.close();
      await database.close();
      throw error;
    });
    return { engine, database, history };
  }

  private begin(engine: Engine): EngineReady {
    if (engine.condition !== undefined && this.parts.damaged === undefined)
      throw new WormholeError('corrupt', engine.condition.reason);
    if (engine.condition !== undefined) this.parts.damaged?.(engine.condition);
    const { heads, seq } = engine.durable;
    this.events.emit('echo', { seq, change: { inodes: [], names: [] }, heads, remote: false });
    this.events.emit('durable', { heads, seq });
    this.events.emit('state', { state: engine.founded ? 'ready' : 'waiting' });
    return { heads, appliedSeq: engine.appliedSeq };
  }

  private async with<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const { engine } = await this.opening;
    return work(engine);
  }

  private async end(): Promise<void> {
    const { engine, database, history } = await this.opening;
    await engine.close();
    await history?.close();
    await database.close();
  }
}

/** The power never fails in here. */
const NO_FLUSH: LogDisk = {
  ...systemLogDisk,
  sync: () => Promise.resolve(),
  syncFolder: () => Promise.resolve(),
};

/** What the index is told of registers must be what the document answers. */
function checkedIndexer(indexer: Indexer, reader: RegisterReader): Indexer {
  const update = indexer.update.bind(indexer);
  indexer.update = (change) => {
    for (const [inode, registers] of change.known) assert.deepEqual(registers, reader.read(inode), inode);
    return update(change);
  };
  return indexer;
}
