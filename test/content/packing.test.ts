import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256, silentLog } from '../../src/base/index.js';
import { chunkFolders, FileChunks, prepareChunkFolders } from '../../src/content/chunks/file-chunks.js';
import { isPacked, pack, unpack, unpackNow } from '../../src/content/chunks/packing.js';
import { VerifiedChunks } from '../../src/content/chunks/verified-chunks.js';
import { MapSource, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const KiB = 1024;

/** Text of 600 KiB, the same for the same seed. */
function text(seed: number): Buffer {
  const words = Array.from({ length: 64 }, (_, i) => randomBytesOf(3 + (i % 7), seed + i).toString('hex'));
  const picks = randomBytesOf(100_000, seed);
  const lines = Array.from(picks, (pick, i) => `${words[pick % 64]}${i % 9 === 0 ? '\n' : ' '}`);
  return Buffer.from(lines.join('')).subarray(0, 600 * KiB);
}

test('what shrinks is packed and comes back, what does not stays as it is', async () => {
  for (const bytes of [text(1), Buffer.alloc(4096 * KiB, 7), Buffer.alloc(100 * KiB)]) {
    const packed = pack(bytes);
    assert.ok(isPacked(packed));
    assert.ok(packed.length < bytes.length / 2);
    assert.equal(Buffer.compare(await unpack(packed), bytes), 0);
    assert.equal(Buffer.compare(unpackNow(packed), bytes), 0);
  }
  const noise = randomBytesOf(300 * KiB, 1);
  assert.equal(pack(noise), noise);
  // It shrinks in the middle only: not worth it as a whole.
  const mixed = Buffer.concat([
    randomBytesOf(500 * KiB, 2),
    Buffer.alloc(20 * KiB),
    randomBytesOf(500 * KiB, 3),
  ]);
  assert.equal(pack(mixed), mixed);
});

test('bytes that are not a packed chunk, or claim to be a huge one, are refused', async () => {
  const packed = Buffer.from(pack(text(1)));
  const wrong: Buffer[] = [packed.subarray(0, 8), packed.subarray(0, packed.length / 2)];
  const [huge, empty, short] = [Buffer.from(packed), Buffer.from(packed), Buffer.from(packed)];
  huge.writeUInt32BE(0xffffffff, 4);
  empty.writeUInt32BE(0, 4);
  short.writeUInt32BE(1000, 4);
  for (const each of [...wrong, huge, empty, short]) {
    await assert.rejects(unpack(each), { code: 'corrupt' });
    assert.throws(() => unpackNow(each), { code: 'corrupt' });
  }
});

test('a chunk that looks packed is kept apart from one that is, however it comes', async (t) => {
  const folders = chunkFolders(temporaryFolder(t));
  await prepareChunkFolders(folders);
  const files = new FileChunks(folders, 'm');
  const gate = new VerifiedChunks(files, { add: () => {} }, silentLog);
  const inner = text(5);
  // Somebody stores one of our own files.
  const looks = Buffer.from(pack(inner));
  for (const [id, put] of [
    [sha256(looks), looks],
    [sha256(inner), looks],
  ] as const) {
    await gate.put(id, put, { durable: true });
    const [got, now] = [await gate.get(id), gate.getNow(id)];
    assert.equal(sha256(got as Uint8Array), id);
    assert.equal(sha256(now as Uint8Array), id);
    // And what is sent of it is taken by the next one.
    const sent = (await gate.stored(id)) as Uint8Array;
    const verified = await gate.verify(id, sent);
    assert.equal(sha256(verified?.bytes as Uint8Array), id);
  }
});

test('what is written is stored packed, read as it was, sent packed, and stored so by who gets it', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder, {
    limits: { freeFloorBytes: 0, reserveBytes: 1024 * KiB, memoryBytes: 1 },
  });
  const bytes = Buffer.concat([text(1), text(2), text(3)]);
  const file = store.open('w', '', 0);
  await file.write(0, bytes);
  const { content, newBytes } = await file.publish();
  await file.close();
  assert.ok(newBytes < bytes.length / 2);
  const source = new MapSource();
  for (const { id, length } of await store.chunksOf(content)) {
    const sent = (await store.stored(id)) as Uint8Array;
    if (length > 64 * KiB) {
      const path = join(folder, 'content', 'chunks', id.slice(0, 2), id.slice(2));
      assert.equal(statSync(path).size, sent.length);
      assert.ok(isPacked(readFileSync(path)));
    }
    source.chunks.set(id, sent);
  }
  const other = await openStore(t, temporaryFolder(t), { source });
  const copy = other.store.open('r', content, bytes.length);
  assert.equal(Buffer.compare(await copy.read(0, bytes.length), bytes), 0);
  await other.store['parts'].writeBehind.idle();
  assert.ok(other.store.usage().bytes < bytes.length / 2);
  assert.equal(other.store.usage().bytes, other.store.usage().cachedBytes);
});

test('a packed chunk that rots is set aside like any other', async (t) => {
  const folder = temporaryFolder(t);
  const folders = chunkFolders(folder);
  await prepareChunkFolders(folders);
  const counted: number[] = [];
  const gate = new VerifiedChunks(
    new FileChunks(folders, 'm'),
    { add: (_, bytes) => counted.push(bytes) },
    silentLog,
  );
  const bytes = text(9);
  const id = sha256(bytes);
  for (const at of [2, 6, 5000]) {
    await gate.put(id, pack(bytes), { durable: true });
    const path = join(folder, 'chunks', id.slice(0, 2), id.slice(2));
    const rotten = readFileSync(path);
    rotten[at] = (rotten[at] as number) ^ 0x20;
    writeFileSync(path, rotten);
    assert.equal(gate.getNow(id), undefined);
    assert.equal(await gate.get(id), undefined);
    assert.equal(gate.has(id), false);
    assert.equal(gate.wasRotten(id), true);
  }
  assert.equal(
    counted.reduce((sum, each) => sum + each, 0),
    0,
  );
});
