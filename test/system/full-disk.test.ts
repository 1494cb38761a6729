/** A pod on a small disk of its own: full to the last byte, without inodes, gone read-only; nothing acknowledged is lost. */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { seededBytes } from '../durability/random.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, must, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const DISK_BYTES = 220 * 1024 * 1024;
/** A store takes some three hundred, and one for each large chunk. */
const INODES = 420;

let folder: string;
let disk: string;
let lan: TestNetwork;
let pod: TestPod;
/** What was closed, by name. */
const files = new Map<string, Buffer>();

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-full-disk-'));
  lan = makeNetwork(2);
  disk = join(folder, 'disk');
  mkdirSync(disk);
  await must(undefined, ['truncate', '-s', `${DISK_BYTES}`, join(folder, 'image')]);
  await must(undefined, ['mkfs.ext4', '-q', '-F', '-m', '0', '-N', `${INODES}`, join(folder, 'image')]);
  await mountDisk();
  pod = new TestPod(lan.hosts[0], 'full', folder, join(disk, 'home'));
  await pod.create('full');
  for (let index = 0; index < 8; index++) put(`file-${index}`, index % 2 === 0 ? 90_000 : 2_000);
  await pod.ok('sync', '--wait', '--timeout', '30s');
});

after(async () => {
  if (skip) return;
  await endAll([pod]);
  await lan.remove();
  await must(undefined, ['umount', '-l', disk]);
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  if (skip) return;
  assert.ok(files.size >= 8, 'something was acknowledged before');
});

async function mountDisk(): Promise<void> {
  await must(undefined, ['mount', '-o', 'loop', join(folder, 'image'), disk]);
}

function put(name: string, length: number): void {
  const bytes = seededBytes(length, files.size + length);
  writeFileSync(pod.path(name), bytes);
  files.set(name, bytes);
}

function allIsThere(): void {
  for (const [name, bytes] of files) assert.ok(readFileSync(pod.path(name)).equals(bytes), name);
}

/** @returns whether write() or close() took it */
function tryPut(name: string, length: number): boolean {
  try {
    put(name, length);
    return true;
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'ENOSPC', String(error));
    return false;
  }
}

/** Takes every block that is left. */
function fillBytes(): () => void {
  const path = join(disk, 'filler');
  const fd = openSync(path, 'w');
  for (let size = 4 * 1024 * 1024; size >= 512; size >>= 1) {
    const block = Buffer.alloc(size, 1);
    try {
      for (;;) if (writeSync(fd, block) < size) break;
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, 'ENOSPC');
    }
  }
  closeSync(fd);
  return () => rmSync(path);
}

/** Takes every inode that is left. @returns how many, and how to give them back */
function fillInodes(): { taken: number; free: () => void } {
  const path = join(disk, 'inodes');
  mkdirSync(path);
  let taken = 0;
  try {
    for (; ; taken++) writeFileSync(join(path, `${taken}`), '');
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'ENOSPC');
  }
  return { taken, free: () => rmSync(path, { recursive: true }) };
}

/** What is wrong is said, once the document has loaded. */
async function degraded(said: RegExp): Promise<void> {
  await eventually(async () => {
    const { state, warnings } = await pod.status();
    assert.equal(state, 'degraded');
    assert.ok(
      warnings.some((warning) => said.test(warning)),
      warnings.join('\n'),
    );
  }, 30_000);
}

async function worksAgain(name: string): Promise<void> {
  await eventually(() => assert.ok(tryPut(name, 100_000)));
  await eventually(async () => {
    const { state, unpublished } = await pod.status();
    assert.deepEqual([state, unpublished], ['running', 0]);
  }, 30_000);
  allIsThere();
}

test('a pod starts on a disk that is full to the last byte: its files can be read and deleted, and it says so', {
  skip,
}, async () => {
  await pod.ok('down');
  const free = fillBytes();
  await pod.up();
  allIsThere();
  await degraded(/^The disk of .* is full/);
  assert.ok(!tryPut('more', 200_000), 'there is no room');
  rmSync(pod.path('more'), { force: true });
  rmSync(pod.path('file-7'));
  files.delete('file-7');
  allIsThere();
  // Once more, with what was held back in use by others.
  await pod.wh('down');
  const freeRest = fillRest();
  await pod.up();
  allIsThere();
  freeRest();
  free();
  await worksAgain('room-again');
});

/** What was given up is taken as well. */
function fillRest(): () => void {
  const path = join(disk, 'rest');
  try {
    for (;;) writeFileSync(path, Buffer.alloc(4096, 2), { flag: 'a' });
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'ENOSPC');
  }
  return () => rmSync(path);
}

test('without inodes nothing is lost, and all goes on when there are some', { skip }, async () => {
  const { taken, free } = fillInodes();
  assert.ok(taken > 0);
  const before = files.size;
  // A small one needs none; large ones are told, or wait until they can be stored.
  for (let index = 0; index < 6; index++) tryPut(`inode-${index}`, index % 2 === 0 ? 300_000 : 1_500);
  assert.ok(files.size < before + 6 || (await pod.status()).unpublished > 0, 'inodes were wanted');
  allIsThere();
  await degraded(/^The disk of .* is full/);
  rmSync(pod.path('file-5'));
  files.delete('file-5');
  await pod.wh('down');
  await pod.up();
  allIsThere();
  free();
  for (let index = 0; index < 6; index++)
    if (!files.has(`inode-${index}`)) rmSync(pod.path(`inode-${index}`), { force: true });
  await worksAgain('inodes-again');
});

test('a pod that is full takes no copies and says so; nobody lets go of theirs; later it takes them', {
  skip,
}, async () => {
  const other = new TestPod(lan.hosts[1], 'other', folder);
  await other.join(pod);
  try {
    await other.ok('sync', '--wait', '--timeout', '60s');
    const free = fillBytes();
    const asked = new Map([1, 2, 3].map((index) => [`copy-${index}`, seededBytes(400_000, index)]));
    for (const [name, bytes] of asked) writeFileSync(other.path(name), bytes);
    assert.equal((await other.wh('sync', '--wait', '--copies', '2', '--timeout', '4s')).code, 3);
    const { state, warnings } = await pod.status();
    assert.equal(state, 'degraded');
    assert.ok(
      warnings.some((warning) => /is full/.test(warning)),
      warnings.join('\n'),
    );
    assert.ok((await other.status()).underReplicated >= asked.size);
    for (const name of asked.keys()) {
      const { chunks } = await other.inspect(`/${name}`);
      assert.ok(
        chunks.every(({ here }) => here),
        `${name} is still where it was written`,
      );
    }
    allIsThere();
    free();
    // It tells the others every ten seconds how it is.
    await eventually(
      async () => void (await other.ok('sync', '--wait', '--copies', '2', '--timeout', '10s')),
      60_000,
    );
    for (const [name, bytes] of asked) files.set(name, bytes);
    allIsThere();
  } finally {
    await endAll([other]);
  }
});

test('a store that goes read-only: writing is an error, reading goes on; remounted, all is there', {
  skip,
}, async () => {
  // As the kernel does when it finds the file system damaged.
  await must(undefined, ['mount', '-o', 'remount,abort', disk]);
  assert.throws(() => writeFileSync(join(disk, 'probe'), ''), { code: 'EROFS' }, 'the fault struck');
  const refused = ['ro-small', 'ro-large'].filter((name, index) => {
    try {
      writeFileSync(pod.path(name), seededBytes(index === 0 ? 500 : 300_000, 1));
      return false;
    } catch (error) {
      assert.ok(
        ['EIO', 'EROFS', 'ENOSPC'].includes(String((error as { code?: unknown }).code)),
        String(error),
      );
      return true;
    }
  });
  assert.equal(refused.length, 2, 'nothing is acknowledged that cannot be kept');
  allIsThere();
  await pod.wh('down');
  await must(undefined, ['umount', disk]);
  await mountDisk();
  await pod.up();
  for (const name of refused) rmSync(pod.path(name), { force: true });
  await worksAgain('writable-again');
});
