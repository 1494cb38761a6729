import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256, WormholeError } from '../../src/base/index.js';
import { copyTo, MapSource, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const MiB = 1024 * 1024;

test('a small file is written, published at once, and read again after a restart', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const data = randomBytesOf(4096, 1);
  const file = first.store.open('inode', '', 0);
  assert.equal(file.dirty, false);
  file.write(0, data);
  assert.equal(file.dirty, true);
  file.save();
  const published = file.publish();
  assert.ok(!(published instanceof Promise));
  assert.deepEqual(published, { content: `c${sha256(data)}`, size: 4096, newChunks: 1, newBytes: 4096 });
  assert.equal(file.dirty, false);
  assert.deepEqual(file.read(100, 200), data.subarray(100, 300));
  await file.close();
  await first.close();

  const second = await openStore(t, folder);
  assert.deepEqual(second.store.recovered(), []);
  const again = second.store.open('inode', published.content, 4096).read(0, 9999);
  assert.deepEqual(again, data);
  assert.equal(second.store.presence(published.content), 'here');
  assert.equal(second.store.usage().chunks, 1);
  assert.equal(second.store.usage().bytes, 4096);
  await second.close();
});

test('a large file is staged, published by the thread, and read again after a restart', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const data = randomBytesOf(10 * MiB + 12345, 2);
  const file = first.store.open('inode', '', 0);
  for (let at = 0; at < data.length; at += MiB) await file.write(at, data.subarray(at, at + MiB));
  assert.equal(file.size, data.length);
  assert.deepEqual(
    Buffer.from(await file.read(5 * MiB - 7, 1000)),
    data.subarray(5 * MiB - 7, 5 * MiB + 993),
  );
  await file.save();
  const published = await file.publish();
  assert.match(published.content, /^m/);
  assert.equal(published.size, data.length);
  assert.equal(file.dirty, false);
  const refs = await first.store.chunksOf(published.content);
  assert.equal(
    refs.slice(1).reduce((sum, ref) => sum + ref.length, 0),
    data.length,
  );
  await file.close();
  await first.close();
  assert.deepEqual(readdirSync(join(folder, 'content', 'staging')), []);
  assert.deepEqual(readdirSync(join(folder, 'content', 'temporary')), []);

  const second = await openStore(t, folder);
  const reader = second.store.open('inode', published.content, published.size);
  for (let at = 0; at < data.length; at += 128 * 1024) {
    const bytes = await reader.read(at, 128 * 1024);
    assert.equal(Buffer.compare(bytes, data.subarray(at, at + 128 * 1024)), 0);
  }
  await second.close();
});

test('what is not here is fetched, verified, cached, and not fetched again', async (t) => {
  const one = await openStore(t, temporaryFolder(t));
  const data = randomBytesOf(6 * MiB, 3);
  const file = one.store.open('inode', '', 0);
  await file.write(0, data);
  const { content, size } = await file.publish();
  const source = new MapSource();
  await copyTo(source, one.store, content);
  await one.close();

  const folder = temporaryFolder(t);
  const two = await openStore(t, folder, { source });
  assert.equal(two.store.presence(content), 'remote');
  const reader = two.store.open('inode', content, size);
  const bytes = Buffer.concat([await reader.read(0, MiB), await reader.read(MiB, size)]);
  assert.equal(Buffer.compare(bytes, data), 0);
  assert.equal(new Set(source.asked).size, source.asked.length, 'each chunk is fetched once');
  await reader.close();
  await two.close();

  const three = await openStore(t, folder);
  assert.equal(three.store.presence(content), 'cached');
  const local = await three.store.open('inode', content, size).read(0, size);
  assert.equal(Buffer.compare(local, data), 0);
  await three.close();
});

test('without a source what is not here is unreachable', async (t) => {
  const { store, close } = await openStore(t, temporaryFolder(t));
  const file = store.open('inode', `c${'ab'.repeat(32)}`, 10);
  await assert.rejects(
    async () => file.read(0, 10),
    (error) => error instanceof WormholeError && error.code === 'unreachable',
  );
  await close();
});
