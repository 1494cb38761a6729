import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Emitter, type Random, silentLog, systemClock } from '../../../src/base/index.js';
import { openDatabase } from '../../../src/store/index.js';
import { makeActor } from '../../../src/tree/engine/actor.js';
import type { EngineEvents } from '../../../src/tree/engine/client.js';
import { Engine, type EngineParts } from '../../../src/tree/engine/engine.js';
import { foundingOf } from '../../../src/tree/engine/founding.js';
import type { Indexer, RegisterReader } from '../../../src/tree/engine/indexer.js';
import type { Data, Heads, InodeId, Operation, Registers, RegisterWrite } from '../../../src/tree/schema.js';

export const NETWORK = new Uint8Array([1, 2, 3, 4]);

export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'wormhole-engine-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A 64-digit pod id that begins with these two hexadecimal digits. */
export function podId(start: string): string {
  return start.padEnd(64, '5');
}

/** Replays: the n-th call gives the same bytes. */
export function seededRandom(seed: number): Random {
  let state = seed;
  return {
    bytes: (length) =>
      Uint8Array.from({ length }, () => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return (state >> 16) & 255;
      }),
  };
}

/** An index that only remembers: what the engine told it, and the registers as they were then. */
export class MemoryIndexer implements Indexer {
  readonly rows = new Map<InodeId, Registers>();
  readonly calls: { kind: 'update' | 'rebuild'; touched: InodeId[] }[] = [];
  stamped: { heads: Heads; seq: number } = { heads: [], seq: 0 };
  places = new Map<string, { parent: InodeId; name: string }>();
  /** Throws before an update does anything. */
  failWith: Error | undefined;
  reader!: RegisterReader;

  stamp(): { heads: Heads; seq: number } {
    return this.stamped;
  }

  registers(inode: InodeId): Registers | undefined {
    return this.rows.get(inode);
  }

  /** What need not be read must be what reading gives. */
  update({ touched, known, heads, seq }: Parameters<Indexer['update']>[0]) {
    if (this.failWith !== undefined) throw this.failWith;
    const inodes = [...touched];
    for (const [inode, registers] of known) assert.deepEqual(registers, this.reader.read(inode));
    this.calls.push({ kind: 'update', touched: inodes });
    for (const inode of inodes) this.take(inode);
    this.stamped = { heads, seq };
    return { inodes, names: [] };
  }

  rebuild({ heads, seq }: Parameters<Indexer['rebuild']>[0]): void {
    this.calls.push({ kind: 'rebuild', touched: [] });
    this.rows.clear();
    for (const { inode, registers } of this.reader.all()) {
      assert.deepEqual(registers, this.reader.read(inode));
      this.take(inode);
    }
    this.stamped = { heads, seq };
  }

  shownConflict(inode: InodeId, version: string) {
    return this.places.get(`${inode}~${version}`);
  }

  private take(inode: InodeId): void {
    const registers = this.reader.read(inode);
    if (registers === undefined) this.rows.delete(inode);
    else this.rows.set(inode, registers);
  }
}

export interface Pod {
  engine: Engine;
  indexer: MemoryIndexer;
  events: { name: keyof EngineEvents; value: EngineEvents[keyof EngineEvents] }[];
  /** Changes that were given out to peers; a founder's begin with the document's first. */
  sent: Uint8Array[];
  read(inode: InodeId): Registers | undefined;
  apply(...writes: RegisterWrite[]): void;
  close(): Promise<void>;
}

export interface PodOptions {
  name?: string;
  founder?: boolean;
  seed?: number;
  network?: Uint8Array;
  indexer?: MemoryIndexer;
  disk?: NonNullable<EngineParts['disk']>;
  anew?: boolean;
}

let starts = 0;

/** Opens an engine in a folder, in this thread. Every start has its own actor. */
export async function openPod(folder: string, options: PodOptions = {}): Promise<Pod> {
  const { name = 'aa', founder = name === 'aa', network = NETWORK } = options;
  const indexer = options.indexer ?? new MemoryIndexer();
  const events = new Emitter<EngineEvents>();
  const seen: Pod['events'] = [];
  const sent: Uint8Array[] = founder ? [foundingOf(network).change] : [];
  for (const event of ['echo', 'shown', 'changes', 'durable', 'state'] as const) {
    events.on(event, (value) => seen.push({ name: event, value }));
  }
  events.on('changes', ({ changes }) => sent.push(...changes));
  const database = openDatabase(join(folder, 'index'));
  const parts: EngineParts = {
    folder: join(folder, 'document'),
    actor: makeActor(podId(name), `pod-${name}`, seededRandom(options.seed ?? ++starts * 7919)),
    network,
    founder,
    database,
    makeIndexer: (_, reader) => {
      indexer.reader = reader;
      return indexer;
    },
    events,
    clock: systemClock,
    log: silentLog,
    ...(options.disk === undefined ? {} : { disk: options.disk }),
    anew: options.anew ?? false,
  };
  const engine = await Engine.open(parts).catch(async (error) => {
    await database.close();
    throw error;
  });
  return {
    engine,
    indexer,
    events: seen,
    sent,
    read: (inode) => indexer.reader.read(inode),
    apply: (...writes) => engine.apply([operation(engine.appliedSeq + 1, writes, engine.appliedSeq)]),
    close: async () => {
      await engine.close();
      await database.close();
    },
  };
}

export function operation(seq: number, writes: RegisterWrite[], seen = seq - 1): Operation {
  return { seq, seen, time: BigInt(seq), writes };
}

export function file(content: string, size = content.length): Data {
  return { kind: 'file', size, mtime: 5n, content, mode: 0o644 };
}

export function created(inode: InodeId, name: string, content = 'c0', parent = 'root/0'): RegisterWrite {
  return { inode, l: { parent, name }, d: file(content) };
}

/** Two pods tell each other everything by the sync protocol. @returns the messages it took */
export async function converse(a: Pod, b: Pod): Promise<number> {
  let messages = 0;
  for (let quiet = 0; quiet < 2; ) {
    quiet = 0;
    for (const [from, to, by, of] of [
      [a, b, 'peer-a', 'peer-b'],
      [b, a, 'peer-b', 'peer-a'],
    ] as const) {
      const message = await from.engine.generate(of);
      if (message === undefined) quiet++;
      else {
        messages++;
        await to.engine.receive(by, message);
      }
    }
  }
  return messages;
}
