import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.js';
import type { LocalContentStore } from '../../src/content/store.js';
import { openDatabase } from '../../src/store/index.js';
import { copyTo, MapSource, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

interface Sample {
  content: string;
  size: number;
  bytes: Buffer;
}

const SIZES = [500, 40_000, 90_000, 700_000, 3_000_000];

async function fill(store: LocalContentStore): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const [i, size] of SIZES.entries()) {
    const bytes = randomBytesOf(size, i + 20);
    const file = store.open(`${i}`, '', 0);
    await file.write(0, bytes);
    samples.push({ bytes, ...(await file.publish()) });
    await file.close();
  }
  return samples;
}

/** Turns one bit of every stored chunk. */
async function rot(folder: string, ids: { id: string; length: number }[]): Promise<void> {
  const database = openDatabase(join(folder, 'db'), { mapBytes: 2 ** 32 });
  for (const { id, length } of ids) {
    const at = Math.floor(length / 3);
    if (length <= LIMITS.smallFileBytesMax) {
      const value = Buffer.from(database.table('content.small').get(id) as Uint8Array);
      value[at] = (value[at] as number) ^ 4;
      await database.write([{ table: 'content.small', key: id, value }]);
    } else flipInFile(join(folder, 'content', 'chunks', id.slice(0, 2), id.slice(2)), at);
  }
  await database.close();
}

function flipInFile(path: string, at: number): void {
  const descriptor = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(descriptor, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 4;
  writeSync(descriptor, byte, 0, 1, at);
  closeSync(descriptor);
}

async function chunksOf(store: LocalContentStore, samples: Sample[]) {
  const refs = new Map<string, number>();
  for (const { content, size } of samples) {
    for (const { id, length } of await store.chunksOf(content, size)) refs.set(id, length);
  }
  return [...refs].map(([id, length]) => ({ id, length }));
}

test('rotten chunks are set aside and fetched anew, and readers never see them', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const samples = await fill(first.store);
  const source = new MapSource();
  for (const { content } of samples) await copyTo(source, first.store, content);
  const refs = await chunksOf(first.store, samples);
  await first.close();
  await rot(folder, refs);

  const second = await openStore(t, folder, { source });
  for (const { content, size, bytes } of samples) {
    const reader = second.store.open('reader', content, size);
    assert.equal(Buffer.compare(await reader.read(0, size), bytes), 0);
  }
  assert.equal(new Set(source.asked).size, refs.length, 'every chunk was fetched anew');
  assert.ok(second.lines.some((line) => line.includes('does not hash to its id')));
  await second.close();
  const large = refs.filter(({ length }) => length > LIMITS.smallFileBytesMax);
  assert.deepEqual(readdirSync(join(folder, 'content', 'damaged')).sort(), large.map(({ id }) => id).sort());

  const third = await openStore(t, folder);
  for (const { content, size, bytes } of samples) {
    assert.equal(third.store.presence(content), 'here', 'what was to be kept is kept again');
    const reader = third.store.open('reader', content, size);
    assert.equal(Buffer.compare(await reader.read(0, size), bytes), 0);
  }
});

test('without another holder a rotten chunk is an error, and never wrong bytes', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const samples = await fill(first.store);
  const refs = await chunksOf(first.store, samples);
  await first.close();
  await rot(folder, refs);
  const second = await openStore(t, folder);
  for (const { content, size } of samples) {
    await assert.rejects(async () => second.store.open('reader', content, size).read(0, size), {
      code: 'corrupt',
    });
  }
  for (const { id } of refs) assert.equal(await second.store.get(id), undefined);
});

test('bits that turn while many read are never seen', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const samples = await fill(first.store);
  const source = new MapSource();
  for (const { content } of samples) await copyTo(source, first.store, content);
  const refs = await chunksOf(first.store, samples);
  await first.close();

  // From memory nothing would be read again.
  const limits = { freeFloorBytes: 0, reserveBytes: 1024 * 1024, memoryBytes: 1 };
  const { store, lines } = await openStore(t, folder, { source, limits });
  const large = refs.filter(({ length }) => length > LIMITS.smallFileBytesMax);
  for (let round = 0; round < 20; round++) {
    const { id, length } = large[round % large.length] as { id: string; length: number };
    const reads = samples.map(async ({ content, size, bytes }) => {
      const reader = store.open('reader', content, size);
      for (let at = 0; at < size; at += 128 * 1024) {
        const part = await reader.read(at, 128 * 1024);
        assert.equal(Buffer.compare(part, bytes.subarray(at, at + 128 * 1024)), 0);
      }
      await reader.close();
    });
    try {
      flipInFile(join(folder, 'content', 'chunks', id.slice(0, 2), id.slice(2)), (round * 7919) % length);
    } catch {
      // It is being fetched anew after an earlier round.
    }
    await Promise.all(reads);
  }
  assert.ok(
    lines.filter((line) => line.includes('does not hash to its id')).length > 3,
    'nothing was ever rotten',
  );
});

test('a publication is not built on rotten chunks that it finds', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const samples = await fill(first.store);
  const refs = await chunksOf(first.store, samples);
  await first.close();
  await rot(folder, refs);
  const second = await openStore(t, folder);
  const again = await fill(second.store);
  assert.deepEqual(
    again.map(({ content }) => content),
    samples.map(({ content }) => content),
  );
  await second.close();
  const third = await openStore(t, folder);
  for (const { content, size, bytes } of samples) {
    assert.equal(Buffer.compare(await third.store.open('reader', content, size).read(0, size), bytes), 0);
  }
});
