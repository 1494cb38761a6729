import assert from 'node:assert/strict';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import type { LocalContentStore } from '../../src/content/store.js';
import { until } from '../sync/memory-links.js';
import { MapSource, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const KiB = 1024;
const LIMITS = { freeFloorBytes: 0, reserveBytes: 1024 * KiB, cacheBytes: 1000 * KiB };

async function readAll(store: LocalContentStore, chunks: Buffer[]): Promise<void> {
  for (const bytes of chunks) {
    const file = store.open('r', `c${sha256(bytes)}`, bytes.length);
    assert.equal(Buffer.compare(await file.read(0, bytes.length), bytes), 0);
    await file.close();
  }
  // Readers do not wait for the disk, what is asserted afterwards does.
  await store['parts'].writeBehind.idle();
}

function chunksFor(source: MapSource, count: number, size: number, seed: number): Buffer[] {
  const chunks = Array.from({ length: count }, (_, i) => randomBytesOf(size + i, seed + i));
  for (const bytes of chunks) source.add(bytes);
  return chunks;
}

const presences = (store: LocalContentStore, chunks: Buffer[]) =>
  chunks.map((bytes) => store.presence(`c${sha256(bytes)}`));

test('the cache keeps to its bytes and lets go of what was used least lately, also after a restart', async (t) => {
  const folder = temporaryFolder(t);
  const source = new MapSource();
  const chunks = chunksFor(source, 4, 200 * KiB, 1);
  const first = await openStore(t, folder, { source, limits: LIMITS });
  await readAll(first.store, chunks);
  await first.close();
  assert.equal(source.asked.length, 4);

  const second = await openStore(t, folder, { source, limits: { ...LIMITS, memoryBytes: 1 } });
  assert.deepEqual(presences(second.store, chunks), ['cached', 'cached', 'cached', 'cached']);
  assert.ok(second.store.usage().cachedBytes > 800 * KiB);
  await readAll(second.store, chunks.slice(0, 1)); // now the first is not the oldest any more
  await readAll(second.store, chunksFor(source, 2, 200 * KiB, 50));
  await second.close();

  const third = await openStore(t, folder, { source, limits: LIMITS });
  assert.deepEqual(presences(third.store, chunks), ['cached', 'remote', 'remote', 'cached']);
  assert.ok(third.store.usage().cachedBytes <= LIMITS.cacheBytes);
  const gone = sha256(chunks[1] as Buffer);
  assert.equal(existsSync(join(folder, 'content', 'chunks', gone.slice(0, 2), gone.slice(2))), false);
});

test('what is kept, or was written here, is never evicted', async (t) => {
  const folder = temporaryFolder(t);
  const source = new MapSource();
  const { store } = await openStore(t, folder, { source, limits: LIMITS });
  const written = randomBytesOf(300 * KiB, 99);
  const file = store.open('w', '', 0);
  await file.write(0, written);
  await file.publish();
  const [cached, kept, put] = chunksFor(source, 3, 100 * KiB, 7) as [Buffer, Buffer, Buffer];
  await readAll(store, [cached]);
  await store.keep(sha256(cached)); // was evictable until now
  await store.keep(sha256(kept)); // was not here
  await store.put(sha256(put), put, { keep: true });
  await store.flush();
  await readAll(store, chunksFor(source, 12, 200 * KiB, 200));
  assert.deepEqual(presences(store, [written, cached, kept, put]), ['here', 'here', 'here', 'here']);
  assert.ok(store.usage().cachedBytes <= LIMITS.cacheBytes);

  await store.release(sha256(kept));
  assert.deepEqual(presences(store, [kept]), ['cached']);
  await readAll(store, chunksFor(source, 12, 200 * KiB, 300));
  assert.deepEqual(presences(store, [kept]), ['remote']);
});

test('writing what the cache holds makes it permanent', async (t) => {
  const source = new MapSource();
  const { store } = await openStore(t, temporaryFolder(t), { source, limits: LIMITS });
  const chunks = [...chunksFor(source, 1, 300 * KiB, 1), ...chunksFor(source, 1, 3 * KiB, 2)];
  await readAll(store, chunks);
  for (const bytes of chunks) {
    const file = store.open('w', '', 0);
    await file.write(0, bytes);
    await file.publish();
    await file.close();
  }
  assert.deepEqual(presences(store, chunks), ['here', 'here']);
  await readAll(store, chunksFor(source, 12, 200 * KiB, 300));
  assert.deepEqual(presences(store, chunks), ['here', 'here']);
});

test('a cache that is to be smaller lets go of the oldest at once, and a larger one takes more', async (t) => {
  const source = new MapSource();
  const { store } = await openStore(t, temporaryFolder(t), { source, limits: LIMITS });
  const chunks = chunksFor(source, 20, 100 * KiB, 1);
  // What is read is stored behind the reader, in any order: the last is read when the others are stored.
  await readAll(store, chunks.slice(0, 7));
  await until(() => presences(store, chunks.slice(0, 7)).every((presence) => presence === 'cached'));
  await readAll(store, chunks.slice(7, 8));
  await until(() => presences(store, chunks.slice(7, 8))[0] === 'cached');
  store.resizeCache(350 * KiB);
  assert.ok(store.usage().cachedBytes <= 350 * KiB);
  assert.equal(presences(store, chunks.slice(7, 8))[0], 'cached', 'the last one stays');
  store.resizeCache(1600 * KiB);
  await readAll(store, chunks.slice(8));
  await until(() => store.usage().cachedBytes > LIMITS.cacheBytes);
});

test('a chunk larger than the cache is read and not stored', async (t) => {
  const source = new MapSource();
  const limits = { ...LIMITS, cacheBytes: 10 * KiB };
  const { store, close } = await openStore(t, temporaryFolder(t), { source, limits });
  const chunks = chunksFor(source, 2, 200 * KiB, 1);
  await readAll(store, chunks);
  await close();
  assert.equal(store.usage().chunks, 0);
});

test('wrong bytes are refused at the door', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  for (const keep of [true, false]) {
    await assert.rejects(store.put('ab'.repeat(32), randomBytesOf(100, 1), { keep }), { code: 'corrupt' });
  }
  assert.equal(store.has('ab'.repeat(32)), false);
});

test('what was only cached is durable as soon as it is written here, or kept', async (t) => {
  const folder = temporaryFolder(t);
  const source = new MapSource();
  const { store } = await openStore(t, folder, { source, limits: LIMITS });
  const [written, kept] = chunksFor(source, 2, 3 * KiB, 2) as [Buffer, Buffer];
  await readAll(store, [written, kept]);
  const file = store.open('w', '', 0);
  file.write(0, written);
  file.publish();
  await store.keep(sha256(kept));
  await store.flush();
  const copy = temporaryFolder(t);
  cpSync(folder, copy, { recursive: true });
  const { store: later } = await openStore(t, copy);
  assert.deepEqual(presences(later, [written, kept]), ['here', 'here']);
});
