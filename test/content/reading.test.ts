import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { LIMITS, sha256, WormholeError } from '../../src/base/index.js';
import type { ChunkSource } from '../../src/content/content.js';
import { encodeManifest, packEntries } from '../../src/content/manifest.js';
import { openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const MiB = 1024 * 1024;

interface Request {
  id: string;
  urgent: boolean;
  signal: AbortSignal;
  answer(bytes?: Uint8Array): void;
  fail(error: Error): void;
}

/** A source whose answers the test gives by hand. */
class ManualSource implements ChunkSource {
  readonly chunks = new Map<string, Uint8Array>();
  readonly open: Request[] = [];
  readonly all: Request[] = [];

  fetch(id: string, { urgent, signal }: { urgent: boolean; signal?: AbortSignal }): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const request: Request = {
        id,
        urgent,
        signal: signal as AbortSignal,
        answer: (bytes = this.chunks.get(id)) => {
          this.open.splice(this.open.indexOf(request), 1);
          resolve(bytes as Uint8Array);
        },
        fail: reject,
      };
      signal?.addEventListener('abort', () => {
        this.open.splice(this.open.indexOf(request), 1);
        reject(signal.reason);
      });
      this.open.push(request);
      this.all.push(request);
    });
  }

  /** A content of so many chunks of 1 MiB, which this source has. */
  content(count: number): { content: string; size: number; chunks: Buffer[] } {
    const chunks = Array.from({ length: count }, (_, i) => randomBytesOf(MiB, i + 1));
    const refs = chunks.map((bytes) => ({ id: sha256(bytes), length: bytes.length }));
    const manifest = encodeManifest({ level: 0, entries: packEntries(refs) });
    for (const bytes of [...chunks, manifest]) this.chunks.set(sha256(bytes), bytes);
    return { content: `m${sha256(manifest)}`, size: count * MiB, chunks };
  }
}

async function remote(t: TestContext, count: number) {
  const source = new ManualSource();
  const made = source.content(count);
  const opened = await openStore(t, temporaryFolder(t), { source });
  return { source, ...made, ...opened };
}

const ANSWER_MS = 50;

/** Answers requests in order until the promise is settled: none that it does not need, unless storing takes long. */
async function serve<T>(source: ManualSource, promise: T | Promise<T>): Promise<T> {
  let done = false;
  const settled = Promise.resolve(promise).finally(() => {
    done = true;
  });
  settled.catch(() => {});
  while (!done) {
    source.open[0]?.answer();
    await Promise.race([settled, delay(ANSWER_MS)]);
  }
  return settled;
}

test('the first chunk is asked for urgently and alone, and read again without a promise', async (t) => {
  const { source, store, content, size, chunks } = await remote(t, 8);
  const file = store.open('r', content, size);
  const reading = file.read(10, 100);
  assert.ok(reading instanceof Promise);
  await turn();
  assert.deepEqual(
    source.open.map(({ urgent }) => urgent),
    [true],
    'the manifest first',
  );
  assert.deepEqual(await serve(source, reading), chunks[0]?.subarray(10, 110));
  assert.equal(source.all.length, 2);
  assert.ok(!(file.read(500_000, 1000) instanceof Promise));
});

test('a sequential reader has more and more on the way, within its bounds', async (t) => {
  const { source, store, content, size } = await remote(t, 40);
  const file = store.open('r', content, size);
  const ahead: number[] = [];
  for (let at = 0; at < 12 * MiB && (ahead.at(-1) ?? 0) < 8; at += 256 * 1024) {
    await serve(source, file.read(at, 256 * 1024));
    await turn();
    ahead.push(source.open.length);
  }
  assert.equal(ahead[0], 0, 'nothing after the first read');
  assert.ok(Math.max(...ahead) >= 8, ahead.join());
  assert.ok(Math.max(...ahead) * MiB <= LIMITS.readAheadBytesMax, ahead.join());
  assert.ok(source.open.every(({ urgent }) => !urgent));
  const pending = [...source.open];
  file.close();
  await turn();
  assert.ok(pending.length > 0 && pending.every(({ signal }) => signal.aborted), 'closing gives them up');
});

test('a reader that jumps has nothing fetched ahead', async (t) => {
  const { source, store, content, size } = await remote(t, 30);
  const file = store.open('r', content, size);
  for (const chunk of [20, 3, 11, 27, 7, 15]) await serve(source, file.read(chunk * MiB + 5, 1000));
  assert.equal(source.all.length, 1 + 6);
});

test('who asks for the same chunk at the same time shares one fetch, and may give up alone', async (t) => {
  const { source, store, content, size, chunks } = await remote(t, 2);
  const file = store.open('r', content, size);
  await serve(source, file.read(MiB, 10)); // the manifest and the second chunk
  const controller = new AbortController();
  const impatient = Promise.resolve(file.read(0, 10, controller.signal));
  impatient.catch(() => {});
  const patient = Promise.resolve(store.open('r2', content, size).read(20, 10));
  while (source.open.length === 0) await turn();
  assert.equal(source.open.length, 1);
  controller.abort();
  await assert.rejects(impatient, { code: 'interrupted' });
  assert.equal(source.open[0]?.signal.aborted, false, 'another one waits for it');
  source.open[0]?.answer();
  assert.deepEqual(await patient, chunks[0]?.subarray(20, 30));
});

test('when the last reader gives up the fetch ends, and the next reader begins a new one', async (t) => {
  const { source, store, content, size, chunks } = await remote(t, 2);
  const file = store.open('r', content, size);
  await serve(source, file.read(MiB, 10));
  const controller = new AbortController();
  const reading = Promise.resolve(file.read(0, 10, controller.signal));
  reading.catch(() => {});
  while (source.open.length === 0) await turn();
  const [request] = source.open as [Request];
  controller.abort();
  await assert.rejects(reading, { code: 'interrupted' });
  const again = file.read(0, 10);
  assert.equal(request.signal.aborted, true);
  assert.deepEqual(await serve(source, again), chunks[0]?.subarray(0, 10));
});

test('wrong bytes of a source are refused: another answer is asked for, and then it is an error', async (t) => {
  const { source, store, content, size, chunks } = await remote(t, 2);
  const file = store.open('r', content, size);
  await serve(source, file.read(MiB, 10));
  const reading = Promise.resolve(file.read(0, 10));
  await turn();
  source.open[0]?.answer(randomBytesOf(MiB, 77));
  while (source.open.length === 0) await turn();
  assert.deepEqual(await serve(source, reading), chunks[0]?.subarray(0, 10));

  const other = await remote(t, 2);
  for (const id of other.source.chunks.keys()) {
    if (!other.content.endsWith(id)) other.source.chunks.set(id, randomBytesOf(LIMITS.chunkBytesMax + 1, 5));
  }
  const bad = other.store.open('r', other.content, other.size).read(0, 10);
  await assert.rejects(serve(other.source, bad), { code: 'corrupt' });
});

test('a manifest that does not fit the size, or is none, is refused', async (t) => {
  const { source, store, content, size, chunks } = await remote(t, 2);
  await assert.rejects(serve(source, store.open('r', content, size + 1).read(0, 10)), { code: 'corrupt' });
  const noManifest = `m${sha256(chunks[0] as Buffer)}`;
  await assert.rejects(serve(source, store.open('r', noManifest, size).read(0, 10)), { code: 'corrupt' });
  const shortChunk = `c${sha256(chunks[0] as Buffer)}`;
  await assert.rejects(async () => store.open('r', shortChunk, 5).read(0, 5), { code: 'corrupt' });
  for (const name of ['x', 'c', 'm12', `c${'zz'.repeat(32)}`]) {
    await assert.rejects(async () => store.open('r', name, 5).read(0, 5), { code: 'corrupt' });
  }
});

test('closing the store ends what is being fetched', async (t) => {
  const { source, store, content, size, close } = await remote(t, 2);
  const reading = Promise.resolve(store.open('r', content, size).read(0, 10));
  reading.catch(() => {});
  await turn();
  assert.equal(source.open.length, 1);
  await close();
  await assert.rejects(reading, (error) => error instanceof WormholeError);
  assert.throws(() => store.open('r', content, size), { code: 'closed' });
});

test('contents too long for one manifest have two levels', async (t) => {
  const source = new ManualSource();
  const bytes = randomBytesOf(1000, 1);
  source.chunks.set(sha256(bytes), bytes);
  const below = [3, 2].map((count) => {
    const refs = Array(count).fill({ id: sha256(bytes), length: 1000 });
    return encodeManifest({ level: 0, entries: packEntries(refs) });
  });
  const top = encodeManifest({
    level: 1,
    entries: packEntries(below.map((part, i) => ({ id: sha256(part), length: [3000, 2000][i] as number }))),
  });
  for (const part of [...below, top]) source.chunks.set(sha256(part), part);
  const { store } = await openStore(t, temporaryFolder(t), { source });
  const content = `m${sha256(top)}`;
  const found = await serve(source, store.open('r', content, 5000).read(2500, 1000));
  assert.deepEqual(found, Buffer.concat([bytes.subarray(500), bytes.subarray(0, 500)]));
  const refs = await store.chunksOf(content, 5000);
  assert.equal(refs.length, 3 + 5);
});

test('what is not to be cached is read and not stored, unless somebody reads it at the same time who caches', async (t) => {
  const { source, store, content, size, chunks } = await remote(t, 3);
  const ids = chunks.map((bytes) => sha256(bytes));
  const passing = store.open('p', content, size, { cache: false });
  for (const [i, bytes] of chunks.entries()) {
    const read = await serve(source, passing.read(i * MiB, MiB));
    assert.ok(bytes.equals(read));
  }
  await store.close();
  for (const id of ids) assert.ok(!store.has(id));
  const other = await remote(t, 1);
  const quiet = other.store.open('q', other.content, other.size, { cache: false });
  const usual = other.store.open('u', other.content, other.size);
  await serve(other.source, Promise.all([quiet.read(0, MiB), usual.read(0, MiB)]));
  await other.store.close();
  assert.equal(other.store.presence(other.content), 'cached');
});
