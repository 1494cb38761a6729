import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import {
  type Clock,
  Emitter,
  type Log,
  type LogLevel,
  messageOf,
  plainError,
  type Random,
  systemClock,
  systemRandom,
  WormholeError,
} from '../../base/index.js';
import { type Database, openDatabase, spoilUnflushed } from '../../store/index.js';
import { openHistoryLog } from '../history/history-log.js';
import { makeIndexer } from '../index/indexer.js';
import { INDEX_DATABASE_TABLES } from '../index-database.js';
import type { Operation } from '../schema.js';
import { makeActor } from './actor.js';
import { isDead } from './automerge.js';
import type { EngineEvents, EngineReady } from './client.js';
import { Engine } from './engine.js';
import { groupLength } from './grouping.js';
import type { EngineEvent, FromThread, ThreadSettings, ToThread } from './protocol.js';

const RETRY_WHEN_FULL_MS = 1_000;
const IDLE_MS = 1_000;

/** What the thread takes from the world; a simulation hands in another. */
export interface ThreadWorld {
  clock: Clock;
  random: Random;
  openDatabase(folder: string): Database;
  /** Ends the thread. */
  exit(code: number): void;
}

/** The main thread, as this one sees it. */
export interface Port {
  on(event: 'message', listener: (message: ToThread) => void): unknown;
  postMessage(messages: readonly FromThread[], transfer: readonly ArrayBuffer[]): void;
}

/** The document's thread: takes messages in order, one piece of work at a time. */
class EngineThread {
  private readonly engine: Engine;
  /** What this thread has open, in the order in which it is closed. */
  private readonly stores: readonly { close(): Promise<void> }[];
  private readonly out: Outbox;
  private readonly log: Log;
  private readonly exit: (code: number) => void;
  /** Operations that cannot go in yet: a joiner's document is empty, or the disk is full. */
  private held: Operation[] = [];
  private retry: NodeJS.Timeout | undefined;
  private idle: NodeJS.Timeout | undefined;
  private shown: EngineEvents['state']['state'] = 'loading';

  constructor(
    engine: Engine,
    stores: readonly { close(): Promise<void> }[],
    port: Port,
    out: Outbox,
    log: Log,
    exit: (code: number) => void,
  ) {
    this.engine = engine;
    this.stores = stores;
    this.out = out;
    this.log = log;
    this.exit = exit;
    port.on('message', (message: ToThread) => this.take(message));
    this.work();
  }

  private take(message: ToThread): void {
    if (message.kind === 'apply') {
      this.held.push(...message.operations);
      this.work();
      this.out.send({ kind: 'applied' });
    } else if (message.kind === 'request') {
      this.answer(message).catch((error) => this.fail(error));
    } else {
      this.close().catch((error) => this.fail(error));
    }
  }

  /** Puts in what is held, as far as it can be, and sees to its durability. */
  private work(): void {
    try {
      if (this.engine.stalled) this.engine.retry();
      while (this.held.length > 0 && this.engine.founded) {
        this.engine.apply(this.held.splice(0, groupLength(this.held, 0)));
      }
    } catch (error) {
      if (isFull(error)) this.waitForSpace();
      else this.fail(error);
      return;
    }
    this.show(this.engine.founded ? 'ready' : 'waiting');
    this.engine.settle().catch((error) => {
      // What is full now was said, and is tried again, by whoever wrote it.
      if (!isFull(error)) this.fail(error);
    });
    this.tidy(false);
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.tidy(true), IDLE_MS);
  }

  private async answer({ id, method, argument }: Extract<ToThread, { kind: 'request' }>): Promise<void> {
    try {
      const call = this.engine[method] as (...values: unknown[]) => Promise<unknown>;
      const value = await call.apply(this.engine, [...argument]);
      const transfer = method === 'snapshotForPeer' && value instanceof Uint8Array ? [value.buffer] : [];
      this.out.send({ kind: 'answer', id, value }, transfer as ArrayBuffer[]);
    } catch (error) {
      if (isDead(error) || codeOf(error) === 'io') throw error;
      this.out.send({ kind: 'refusal', id, error: plainError(error) });
    }
    this.work();
  }

  private waitForSpace(): void {
    this.show('full', 'the disk is full: free some space');
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.work(), RETRY_WHEN_FULL_MS);
  }

  private show(state: EngineEvents['state']['state'], reason?: string): void {
    if (this.shown === state) return;
    this.shown = state;
    const value = reason === undefined ? { state } : { state, reason };
    this.out.send({ kind: 'event', event: { name: 'state', value } });
  }

  private tidy(idle: boolean): void {
    this.engine.tidy(idle).catch((error) => {
      if (isDead(error)) this.fail(error);
      else this.log.warn('no snapshot could be taken; the change log grows on', { reason: messageOf(error) });
    });
  }

  private async close(): Promise<void> {
    clearTimeout(this.retry);
    clearTimeout(this.idle);
    // What a full disk keeps out stays in the journal.
    try {
      if (this.engine.founded && !this.engine.stalled) this.engine.apply(this.held);
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    try {
      await this.engine.close();
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    for (const store of this.stores) await store.close();
    this.out.flush();
    this.exit(0);
  }

  private fail(error: unknown): void {
    fail(this.out, error, this.exit);
  }
}

function isFull(error: unknown): boolean {
  return codeOf(error) === 'full';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof WormholeError ? error.code : undefined;
}

/** What is said in one piece of work goes as one message: each costs both threads a wake-up. */
class Outbox {
  private readonly port: Port;
  private messages: FromThread[] = [];
  private transfer: ArrayBuffer[] = [];

  constructor(port: Port) {
    this.port = port;
  }

  send(message: FromThread, transfer: readonly ArrayBuffer[] = []): void {
    if (this.messages.length === 0) queueMicrotask(() => this.flush());
    this.messages.push(message);
    this.transfer.push(...transfer);
  }

  flush(): void {
    if (this.messages.length === 0) return;
    this.port.postMessage(this.messages, this.transfer);
    this.messages = [];
    this.transfer = [];
  }
}

/** Ends the thread and says why: a new one begins from snapshot and log. */
function fail(out: Outbox, error: unknown, exit: (code: number) => void): void {
  const code = codeOf(error);
  const curable = code !== 'newer-format' && code !== 'corrupt';
  out.send({ kind: 'fatal', error: plainError(error), curable });
  out.flush();
  exit(1);
}

function forwardingLog(out: Outbox, part = ''): Log {
  const entry = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) => {
    const plain = Object.entries(fields ?? {}).map(([key, value]) => [
      key,
      value instanceof Error ? value.message : value,
    ]);
    out.send({ kind: 'log', level, part, message, fields: Object.fromEntries(plain) });
  };
  return {
    debug: entry('debug'),
    info: entry('info'),
    warn: entry('warn'),
    error: entry('error'),
    part: (name) => forwardingLog(out, part === '' ? name : `${part}.${name}`),
  };
}

function forwardEvents(events: Emitter<EngineEvents>, out: Outbox): void {
  const forward = (event: EngineEvent) => out.send({ kind: 'event', event });
  events.on('echo', (value) => forward({ name: 'echo', value }));
  // By themselves, so that the other thread can do something else in between.
  events.on('shown', (value) => {
    out.flush();
    forward({ name: 'shown', value });
  });
  events.on('changes', (value) => forward({ name: 'changes', value }));
  events.on('durable', (value) => forward({ name: 'durable', value }));
}

/** Programs wait for the mount's thread, nobody for this one: where cores are few, that one goes first. On Linux
 *  the call is for the calling thread alone. */
function giveWay(): void {
  try {
    setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It stays as it is.
  }
}

/** Serves the thread that started this one, over a port. */
export function serveEngine(port: Port, settings: ThreadSettings, world: ThreadWorld): void {
  const out = new Outbox(port);
  open(port, out, settings, world).catch((error) => fail(out, error, world.exit));
}

async function open(port: Port, out: Outbox, settings: ThreadSettings, world: ThreadWorld): Promise<void> {
  const { clock, random } = world;
  const log = forwardingLog(out);
  const database = world.openDatabase(settings.database);
  const events = new Emitter<EngineEvents>();
  forwardEvents(events, out);
  const history = await openHistoryLog(join(settings.folder, '..', 'history'), log.part('history'), () =>
    clock.monotonicMs(),
  );
  const engine = await Engine.open({
    folder: settings.folder,
    actor: makeActor(settings.podId, settings.podName, random),
    network: settings.network,
    founder: settings.founder,
    anew: settings.anew,
    database,
    makeIndexer: (indexDatabase, reader, indexClock) =>
      makeIndexer(indexDatabase, reader, indexClock, history),
    events,
    clock,
    log,
  });
  const ready: EngineReady = { heads: engine.durable.heads, appliedSeq: engine.appliedSeq };
  if (engine.condition !== undefined) ready.condition = engine.condition;
  out.send({ kind: 'ready', ready });
  // By itself: whoever waited for it begins to listen before anything else is said.
  out.flush();
  new EngineThread(engine, [history, database], port, out, log, world.exit);
}

if (parentPort !== null) {
  giveWay();
  serveEngine(parentPort, workerData as ThreadSettings, {
    clock: systemClock,
    random: systemRandom,
    openDatabase: (folder) =>
      openDatabase(folder, {
        flushed: false,
        tables: INDEX_DATABASE_TABLES,
        onDamage: () => spoilUnflushed(folder),
      }),
    exit: (code) => process.exit(code),
  });
}
