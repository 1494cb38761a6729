import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256, silentLog } from '../../src/base/index.js';
import { CombinedChunks } from '../../src/content/chunks/combined-chunks.js';
import { chunkFolders, FileChunks, prepareChunkFolders } from '../../src/content/chunks/file-chunks.js';
import { SmallChunks } from '../../src/content/chunks/small-chunks.js';
import { VerifiedChunks } from '../../src/content/chunks/verified-chunks.js';
import { openDatabase, openRecordLog } from '../../src/store/index.js';
import { chunksContract, lastingContract } from './chunks-contract.js';
import { atEnd, openStore, randomBytesOf, temporaryFolder } from './helpers.js';
import { MemoryChunks } from './memory-chunks.js';

const KiB = 1024;
const SMALL = [1, 2, 4096, 64 * KiB];
const LARGE = [64 * KiB + 1, 300 * KiB, 4096 * KiB];
const counter = { add: () => {} };

async function smallChunks(t: TestContext, folder: string): Promise<SmallChunks> {
  const database = openDatabase(join(folder, 'db'), { mapBytes: 2 ** 32 });
  const { log } = await openRecordLog(join(folder, 'log'));
  atEnd(t, async () => {
    await log.close();
    await database.close();
  });
  const chunks = new SmallChunks({ database, log, warn: assert.ifError });
  chunks.recover();
  return chunks;
}

/** What another process would open: the log as it lies there, and a database that has nothing yet. */
async function copyOfLog(t: TestContext, folder: string): Promise<string> {
  const copy = temporaryFolder(t);
  const log = await openRecordLog(join(copy, 'log'));
  const { log: original } = await openRecordLog(join(folder, 'log'));
  for (const { record } of original.read(0)) log.log.append(record);
  await original.close();
  await log.log.close();
  return copy;
}

async function fileChunks(folder: string): Promise<FileChunks> {
  const folders = chunkFolders(folder);
  await prepareChunkFolders(folders);
  return new FileChunks(folders, 'm');
}

chunksContract('memory', [...SMALL, ...LARGE], async () => ({ chunks: new MemoryChunks() }));

lastingContract('database', SMALL, async (t) => {
  const folder = temporaryFolder(t);
  const chunks = await smallChunks(t, folder);
  return { chunks, reopen: async () => smallChunks(t, await copyOfLog(t, folder)) };
});

lastingContract('files', LARGE, async (t) => {
  const folder = temporaryFolder(t);
  return { chunks: await fileChunks(folder), reopen: () => fileChunks(folder) };
});

chunksContract('small and large', [...SMALL, ...LARGE], async (t) => {
  const folder = temporaryFolder(t);
  const small = await smallChunks(t, folder);
  return { chunks: new CombinedChunks(small, await fileChunks(folder)) };
});

chunksContract('cached', [...SMALL, ...LARGE], async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  const { chunks } = store['parts'];
  return {
    chunks: {
      has: (id) => store.has(id),
      get: (id) => store.get(id),
      stored: (id) => store.stored(id),
      getNow: (id) => chunks.getNow(id),
      put: (id, bytes, { durable }) => store.put(id, bytes, { keep: durable }),
      // Only what need not be here is ever evicted.
      remove: async (id) => {
        await store.release(id);
        await store.evict(id);
      },
      setAside: (id) => chunks.setAside(id),
      length: (id) => chunks.length(id),
      ids: () => store.chunkIds(),
      flush: () => store.flush(),
    },
  };
});

chunksContract('verified', [...SMALL, ...LARGE], async () => ({
  chunks: new VerifiedChunks(new MemoryChunks(), counter, silentLog),
}));

test('small chunks move from the log to the database, and the log gets empty', async (t) => {
  const folder = temporaryFolder(t);
  const database = openDatabase(join(folder, 'db'), { mapBytes: 2 ** 32 });
  const { log } = await openRecordLog(join(folder, 'log'));
  atEnd(t, async () => {
    await log.close();
    await database.close();
  });
  const chunks = new SmallChunks({ database, log, warn: assert.ifError });
  const samples = Array.from({ length: 50 }, (_, i) => randomBytesOf(1000 + i, i));
  for (const bytes of samples) chunks.put(sha256(bytes), bytes, { durable: true });
  assert.equal(log.next - log.first, 50);
  await chunks.move();
  assert.equal(log.next - log.first, 0);
  assert.equal(database.table('content.small').count(), 50);
  for (const bytes of samples) {
    assert.equal(Buffer.compare(chunks.get(sha256(bytes)) as Uint8Array, bytes), 0);
  }
});

test('the gate refuses bytes that are not what they are called', async () => {
  const memory = new MemoryChunks();
  const gate = new VerifiedChunks(memory, counter, silentLog);
  for (const size of [10, 200 * KiB]) {
    const bytes = randomBytesOf(size, size);
    const wrong = Buffer.from(bytes);
    wrong[5] = (wrong[5] as number) ^ 1;
    await assert.rejects(async () => gate.put(sha256(bytes), wrong, { durable: true }), { code: 'corrupt' });
    assert.equal(gate.has(sha256(bytes)), false);
  }
});

test('the gate sets aside what rotted, and takes it anew', async () => {
  const memory = new MemoryChunks();
  const counted: number[] = [];
  const gate = new VerifiedChunks(memory, { add: (n) => counted.push(n) }, silentLog);
  for (const size of [10, 200 * KiB]) {
    const bytes = randomBytesOf(size, size);
    const id = sha256(bytes);
    await gate.put(id, bytes, { durable: true });
    const rotten = Buffer.from(bytes);
    rotten[3] = (rotten[3] as number) ^ 0x40;
    memory.chunks.set(id, rotten);
    assert.equal(await gate.get(id), undefined);
    assert.equal(gate.has(id), false);
    assert.equal(gate.wasRotten(id), true);
    assert.deepEqual(memory.aside.get(id), rotten);
    await gate.put(id, bytes, { durable: true });
    assert.equal(gate.wasRotten(id), false);
    assert.deepEqual(await gate.get(id), bytes);
  }
  assert.deepEqual(counted, [1, -1, 1, 1, -1, 1]);
});

test('the gate writes a small chunk anew where what lies there has rotted', () => {
  const memory = new MemoryChunks();
  const gate = new VerifiedChunks(memory, counter, silentLog);
  const bytes = randomBytesOf(4096, 5);
  const durable = () => true;
  assert.equal(gate.add(bytes, durable).isNew, true);
  assert.equal(gate.add(bytes, durable).isNew, false);
  memory.chunks.set(sha256(bytes), randomBytesOf(4096, 6));
  assert.equal(gate.add(bytes, durable).isNew, true);
  assert.deepEqual(memory.get(sha256(bytes)), bytes);
});

test('a chunk file is never seen half written, and half written ones go at the next start', async (t) => {
  const folder = temporaryFolder(t);
  const chunks = await fileChunks(folder);
  const bytes = randomBytesOf(300 * KiB, 1);
  const id = sha256(bytes);
  writeFileSync(join(folder, 'temporary', 'm99'), bytes.subarray(0, 1000));
  await chunks.put(id, bytes, { durable: true });
  assert.deepEqual(readFileSync(join(folder, 'chunks', id.slice(0, 2), id.slice(2))), bytes);
  assert.deepEqual(readdirSync(join(folder, 'temporary')), ['m99']);
  await fileChunks(folder);
  assert.deepEqual(readdirSync(join(folder, 'temporary')), []);
});
