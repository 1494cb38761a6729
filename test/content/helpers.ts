import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Clock, makeLog, sha256, systemClock, WormholeError } from '../../src/base/index.js';
import type { ChunkSource } from '../../src/content/content.js';
import { type ContentStoreOptions, openContentStore } from '../../src/content/index.js';
import { LocalContentStore } from '../../src/content/store.js';
import { openDatabase } from '../../src/store/index.js';

const cleanups = new WeakMap<TestContext, (() => unknown)[]>();

/** Has work done when the test ends, the last added first (the runner's own hooks begin with the first). */
export function atEnd(t: TestContext, work: () => unknown): void {
  const known = cleanups.get(t);
  if (known !== undefined) {
    known.push(work);
    return;
  }
  const list = [work];
  cleanups.set(t, list);
  t.after(async () => {
    for (const one of list.reverse()) await one();
  });
}

/** A folder that goes with the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-content-'));
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store with a database of its own; `close` closes both, at the latest when the test ends. */
export async function openStore(
  t: TestContext,
  folder: string,
  options: Partial<ContentStoreOptions> = {},
): Promise<{ store: LocalContentStore; lines: string[]; close(): Promise<void> }> {
  const lines: string[] = [];
  const database = openDatabase(join(folder, 'db'), { mapBytes: 2 ** 32 });
  const store = await openContentStore({
    folder: join(folder, 'content'),
    database,
    log: makeLog((line) => lines.push(line), 'debug'),
    limits: { freeFloorBytes: 0, reserveBytes: 1024 * 1024 },
    ...options,
  });
  if (!(store instanceof LocalContentStore)) throw new Error('another kind of store');
  const close = async () => {
    await store.close();
    await database.close();
  };
  atEnd(t, close);
  return { store, lines, close };
}

/** A clock whose time a test moves on. */
export interface MovableClock extends Clock {
  pass(ms: number): void;
}

export function movableClock(): MovableClock {
  let ahead = 0;
  return {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + ahead,
    pass: (ms) => {
      ahead += ms;
    },
  };
}

/** Bytes that look random, the same for the same seed. */
export function randomBytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761 + 1) | 0;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  for (; at < length; at++) bytes[at] = state >>> (at % 4);
  return bytes;
}

/** A source that has what it was given, and counts who asks. */
export class MapSource implements ChunkSource {
  readonly chunks = new Map<string, Uint8Array>();
  readonly asked: string[] = [];
  delayMs = 0;

  add(bytes: Uint8Array): string {
    const id = sha256(bytes);
    this.chunks.set(id, bytes);
    return id;
  }

  async fetch(id: string, { signal }: { urgent: boolean; signal?: AbortSignal }): Promise<Uint8Array> {
    this.asked.push(id);
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (signal?.aborted) throw new WormholeError('interrupted', 'given up');
    const bytes = this.chunks.get(id);
    if (bytes === undefined) throw new WormholeError('unreachable', 'nobody has it');
    return bytes;
  }
}

/** Everything that a store holds of a content, for a source. */
export async function copyTo(source: MapSource, store: LocalContentStore, content: string): Promise<void> {
  for (const { id } of await store.chunksOf(content)) {
    const bytes = await store.get(id);
    if (bytes !== undefined) source.chunks.set(id, bytes);
  }
}
