import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import type { OpenContent } from '../../src/content/content.js';
import { atEnd, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const MiB = 1024 * 1024;
const LIMITS = { freeFloorBytes: 6 * MiB, reserveBytes: MiB, cacheBytes: 4 * MiB };

/** A disk of its own, or undefined (and the reason printed) where that is not permitted. */
function smallDisk(t: TestContext, bytes: number): string | undefined {
  const folder = temporaryFolder(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'wormhole-test', folder], { stdio: 'pipe' });
  } catch (error) {
    t.skip(`no tmpfs can be mounted here: ${String(error).split('\n')[0]}`);
    return undefined;
  }
  atEnd(t, () => execFileSync('umount', ['-l', folder]));
  return folder;
}

/** Fills what is left with a file that is not ours. */
function fillDisk(folder: string): () => void {
  const path = join(folder, 'filler');
  const block = Buffer.alloc(64 * 1024, 1);
  for (let size = block.length; size > 0; size >>= 1) {
    try {
      for (;;) writeFileSync(path, block.subarray(0, size), { flag: 'a' });
    } catch {
      // Full, to within a smaller piece.
    }
  }
  return () => rmSync(path);
}

async function isFull(work: () => unknown): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    assert.ok(error instanceof WormholeError && error.code === 'full', String(error));
    return true;
  }
}

interface Kept {
  file: OpenContent;
  bytes: Buffer;
}

test('a disk that fills up refuses new writes, keeps every promise, and works again when there is room', async (t) => {
  const disk = smallDisk(t, 40 * MiB);
  if (disk === undefined) return;
  const { store, close } = await openStore(t, disk, { limits: LIMITS });
  const kept: { content: string; size: number; bytes: Buffer }[] = [];
  const staged: Kept[] = [];
  let refused = false;
  for (let i = 0; i < 2000 && !refused; i++) {
    const bytes = randomBytesOf(i % 3 === 0 ? 700_000 : 30_000, i);
    const file = store.open(`${i}`, '', 0);
    refused = await isFull(() => file.write(0, bytes));
    if (refused) {
      await file.close(true);
      continue;
    }
    await file.save();
    // Publishing may need more than there is; then the file stays staged.
    const later = await isFull(async () => kept.push({ bytes, ...(await file.publish()) }));
    if (later) staged.push({ file, bytes });
    else await file.close();
  }
  assert.ok(refused && kept.length > 10, `${kept.length} files were written`);
  for (const { file, bytes } of staged) {
    assert.equal(Buffer.compare(await file.read(0, bytes.length), bytes), 0);
  }
  for (const { content, size, bytes } of kept) {
    assert.equal(Buffer.compare(await store.open('r', content, size).read(0, size), bytes), 0);
  }
  assert.ok(await isFull(() => store.open('more', '', 0).write(0, randomBytesOf(40 * MiB, 1))));

  // Space comes back, here by remounting larger as a user would by deleting something.
  execFileSync('mount', ['-o', 'remount,size=80m', disk]);
  for (const { file } of staged) {
    await file.publish();
    await file.close();
  }
  const file = store.open('again', '', 0);
  const bytes = randomBytesOf(3 * MiB, 5);
  await file.write(0, bytes);
  const { content, size } = await file.publish();
  await file.close();
  await close();
  const later = await openStore(t, disk, { limits: LIMITS });
  assert.equal(Buffer.compare(await later.store.open('r', content, size).read(0, size), bytes), 0);
});

test('what write() took can be saved, although others fill the disk before', async (t) => {
  const disk = smallDisk(t, 32 * MiB);
  if (disk === undefined) return;
  const { store, close } = await openStore(t, disk, { limits: LIMITS });
  const files: Kept[] = [];
  for (let i = 0; i < 12; i++) {
    const bytes = randomBytesOf(20_000, i);
    const file = store.open(`${i}`, '', 0);
    await file.write(0, bytes);
    files.push({ file, bytes });
  }
  const free = fillDisk(disk);
  assert.ok(store.usage().freeBytes < 4096);
  const published = [];
  for (const { file, bytes } of files) {
    await file.save();
    published.push({ bytes, ...(await file.publish()) });
    await file.close();
  }
  assert.ok(
    await isFull(() => store.open('more', '', 0).write(0, randomBytesOf(100, 1))),
    'it goes on taking bytes',
  );
  for (const { content, size, bytes } of published) {
    assert.equal(Buffer.compare(await store.open('r', content, size).read(0, size), bytes), 0);
  }
  free();
  const file = store.open('again', '', 0);
  await file.write(0, randomBytesOf(100, 2));
  await file.publish();
  await close();
  const later = await openStore(t, disk, { limits: LIMITS });
  for (const { content, size, bytes } of published) {
    assert.equal(Buffer.compare(await later.store.open('r', content, size).read(0, size), bytes), 0);
  }
});

test('a large file that cannot be published for want of space stays staged, whole', async (t) => {
  const disk = smallDisk(t, 32 * MiB);
  if (disk === undefined) return;
  const { store } = await openStore(t, disk, { limits: LIMITS });
  const bytes = randomBytesOf(5 * MiB, 3);
  const file = store.open('file', '', 0);
  await file.write(0, bytes);
  await file.save();
  const free = fillDisk(disk);
  assert.ok(await isFull(() => file.publish()));
  assert.equal(file.dirty, true);
  assert.equal(Buffer.compare(await file.read(0, bytes.length), bytes), 0);
  free();
  const { content, size } = await file.publish();
  await file.close();
  assert.equal(Buffer.compare(await store.open('r', content, size).read(0, size), bytes), 0);
});

test('on a full disk what others hold is read without being cached', async (t) => {
  const disk = smallDisk(t, 32 * MiB);
  if (disk === undefined) return;
  const { MapSource } = await import('./helpers.js');
  const source = new MapSource();
  const bytes = randomBytesOf(900_000, 4);
  const id = source.add(bytes);
  const { store } = await openStore(t, disk, { limits: LIMITS, source });
  const free = fillDisk(disk);
  assert.equal(Buffer.compare(await store.open('r', `c${id}`, bytes.length).read(0, bytes.length), bytes), 0);
  free();
});
