/** A disk that takes a second for each flush holds up those who ask for a flush, and nobody else. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, rename, rmdir, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { seededBytes } from '../durability/random.js';
import { RecordedDisk } from '../durability/recorded-disk.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const DISK_BYTES = 256 * 1024 * 1024;
const FLUSH_MS = 1_000;
/** While so many flushes are made, metadata is worked on. */
const FLUSHES = 6;
/** Of another pod, each a chunk in a file of its own: more than there are threads in the pool. */
const ARRIVING = 40;
const ARRIVING_BYTES = 200_000;

let folder: string;
let lan: TestNetwork;
let disk: RecordedDisk;
let pods: TestPod[] = [];

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-slow-disk-'));
  mkdirSync(join(folder, 'disk'));
  disk = await RecordedDisk.make(join(folder, 'disk'), DISK_BYTES);
  lan = makeNetwork(2);
});

after(async () => {
  if (skip) return;
  await disk.slow(0);
  await endAll(pods);
  await lan.remove();
  await disk.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('a disk that takes a second for each flush does not hold up names and attributes', {
  skip,
}, async () => {
  const a = new TestPod(lan.hosts[0], 'alpha', folder, join(disk.folder, 'home'));
  const b = new TestPod(lan.hosts[1], 'beta', folder);
  await a.create('slow');
  await b.join(a);
  pods = [a, b];
  await mkdir(a.path('here'));
  await eventually(async () => void (await stat(b.path('here'))));
  await disk.slow(FLUSH_MS);
  // Chunks that come and go to disk, and somebody who waits for it.
  for (let index = 0; index < ARRIVING; index++)
    await writeFile(b.path(`arriving-${index}`), seededBytes(ARRIVING_BYTES, index));
  const stop = new AbortController();
  const synced = syncing(a.path('synced'), stop.signal);
  const passed = new Map<number, number>();
  for (let round = 0; ; round++) {
    const flushes = await disk.slow(FLUSH_MS);
    if (flushes >= FLUSHES) break;
    await names(a.path('here'), round);
    passed.set(flushes, (passed.get(flushes) ?? 0) + 1);
  }
  await disk.slow(0);
  stop.abort();
  await synced;
  const rounds = [...passed.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `${rounds} rounds of 9 operations beside ${FLUSHES} slow flushes, by flush: ${[...passed.values()]}`,
  );
  assert.ok(rounds * 9 > FLUSHES * 10, `${rounds} rounds`);
  await eventually(async () => {
    assert.equal((await readdir(a.mount)).filter((name) => name.startsWith('arriving')).length, ARRIVING);
  });
});

/** What programs do to names and attributes. */
async function names(at: string, round: number): Promise<void> {
  const path = (name: string) => join(at, `${name}-${round}`);
  await writeFile(path('new'), 'hello');
  await stat(path('new'));
  await stat(path('none')).catch(() => {});
  await rename(path('new'), path('renamed'));
  await mkdir(path('folder'));
  assert.ok((await readdir(at)).length >= 2);
  await statfs(at);
  await rmdir(path('folder'));
  await unlink(path('renamed'));
}

async function syncing(path: string, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let index = 0; !signal.aborted; index++) {
      await file.write(seededBytes(2_000, index), 0, 2_000, index * 2_000);
      await file.sync();
    }
  } finally {
    await file.close();
  }
}
