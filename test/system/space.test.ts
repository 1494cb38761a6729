/** What takes space and what frees it, as users see it: copies, holes, pins, eviction, and what fsck finds. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Evicted, Fsck, Inspection, Listed } from '../../src/daemon/control.js';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, type TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;
const MiB = 1024 * 1024;

let pair: Pair | undefined;
/** Holds everything. */
let a: TestPod;
/** A portal. */
let p: TestPod;

before(async () => {
  if (skip) return;
  pair = await makePair('space', { role: 'portal' });
  a = pair.a;
  p = pair.b;
  await a.ok('sync', '--wait', '--timeout', '30s');
});

after(() => pair?.remove());

function noise(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = seed | 1;
  for (let at = 0; at + 4 <= bytes; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    buffer.writeInt32LE(state, at);
  }
  return buffer;
}

/** A program of its own: this process' own reads and writes must not stand in the way of `wh`. */
const program = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: 'utf8', cwd: '/' });
const xattr = (path: string) =>
  program(
    'python3',
    '-c',
    "import os,sys; print(os.getxattr(sys.argv[1], 'user.wormhole.state').decode(), end='')",
    path,
  );

async function chunkBytes(pod: TestPod): Promise<number> {
  return (await chunkFiles(pod)).reduce((sum, path) => sum + statSync(path).size, 0);
}

async function chunkFiles(pod: TestPod): Promise<string[]> {
  const folder = join(pod.home, 'space', 'store', 'content', 'chunks');
  return readdirSync(folder).flatMap((part) =>
    readdirSync(join(folder, part)).map((name) => join(folder, part, name)),
  );
}

test('cp inside the mount takes no space, and each goes its own way afterwards', { skip }, async () => {
  const bytes = noise(40 * MiB, 1);
  writeFileSync(a.path('film'), bytes);
  await a.ok('sync', '--wait', '--timeout', '60s');
  const before = await chunkBytes(a);
  program('cp', a.path('film'), a.path('copy'));
  assert.ok(readFileSync(a.path('copy')).equals(bytes));
  await a.ok('sync', '--wait', '--timeout', '60s');
  const grown = (await chunkBytes(a)) - before;
  assert.ok(grown < MiB, `${grown} bytes more`);
  const [film, copy] = [
    await a.json<Inspection>('inspect', '/film'),
    await a.json<Inspection>('inspect', '/copy'),
  ];
  assert.equal(copy.content, film.content);
  const fd = openSync(a.path('copy'), 'r+');
  writeSync(fd, 'other', 20 * MiB);
  fsyncSync(fd);
  closeSync(fd);
  assert.ok(readFileSync(a.path('film')).equals(bytes));
  bytes.write('other', 20 * MiB);
  assert.ok(readFileSync(a.path('copy')).equals(bytes));
});

test('4 KiB here and there in a sparse file of 10 GiB that is elsewhere bring only their surroundings', {
  skip,
}, async () => {
  const fd = openSync(a.path('disk.img'), 'w');
  for (let i = 0; i < 5; i++) writeSync(fd, noise(4 * MiB, 10 + i), 0, 4 * MiB, i * 2_500_000_000);
  closeSync(fd);
  program('truncate', '-s', '10G', a.path('disk.img'));
  await a.ok('sync', '--wait', '--timeout', '60s');
  const size = 10 * 1024 * MiB;
  await eventually(() => assert.equal(statSync(p.path('disk.img')).size, size));
  const place = openSync(p.path('disk.img'), 'r+');
  const written = Array.from({ length: 10 }, (_, i) => ({
    at: Math.floor(i * 0.99e9) + 2 * MiB + i,
    bytes: noise(4096, 50 + i),
  }));
  for (const { at, bytes } of written) writeSync(place, bytes, 0, 4096, at);
  fsyncSync(place);
  closeSync(place);
  await p.ok('sync', '--wait', '--timeout', '60s');
  // Of each: the chunk that was there, and the one that is; in a hole they are at their largest, 4 MiB.
  const here = await chunkBytes(p);
  assert.ok(here < 10 * 8 * MiB, `${here} bytes are here`);
  for (const { at, bytes } of written) {
    execFileSync('cmp', ['-n', '4096', '-i', `${at}:0`, a.path('disk.img'), '-'], { input: bytes, cwd: '/' });
  }
});

test('pin brings a folder here and keeps it; evict frees what need not be here', { skip }, async () => {
  program('mkdir', a.path('trip'));
  for (let i = 0; i < 3; i++) writeFileSync(a.path('trip', `photo ${i}`), noise(3 * MiB, 100 + i));
  await a.ok('sync', '--wait', '--timeout', '60s');
  await eventually(() => assert.equal(statSync(p.path('trip', 'photo 2')).size, 3 * MiB));
  const states = async () => (await p.json<Listed[]>('ls', '/trip')).map(({ state }) => state);
  assert.deepEqual(await states(), ['remote', 'remote', 'remote']);
  assert.equal(xattr(p.path('trip', 'photo 0')), 'remote');
  await p.ok('pin', p.path('trip'));
  assert.deepEqual(await states(), ['pinned', 'pinned', 'pinned']);
  assert.equal(xattr(p.path('trip', 'photo 0')), 'pinned');
  assert.equal((await p.json<Inspection>('inspect', '/trip/photo 1')).pinned, true);
  // What comes later is kept too.
  writeFileSync(a.path('trip', 'photo 3'), noise(3 * MiB, 104));
  await eventually(async () => assert.deepEqual(await states(), ['pinned', 'pinned', 'pinned', 'pinned']));
  const pinned = await p.json<Evicted>('evict', '/trip');
  assert.deepEqual({ bytes: pinned.bytes, pinned: pinned.pinned }, { bytes: 0, pinned: 4 });
  await p.ok('unpin', '/trip');
  assert.equal((await p.wh('unpin', '/trip')).code, 2);
  // Just after a start nothing is let go that another pod may have been promised.
  const early = await p.json<Evicted>('evict', '/trip');
  assert.equal(early.bytes, 0);
  assert.ok(early.keptBytes >= 12 * MiB);
  // What was only read may go at once.
  assert.equal(readFileSync(p.path('film')).length, 40 * MiB);
  await eventually(async () => assert.equal((await p.json<Inspection>('inspect', '/film')).state, 'cached'));
  assert.ok((await p.json<Evicted>('evict', '/film')).bytes >= 40 * MiB);
  assert.equal((await p.json<Inspection>('inspect', '/film')).state, 'remote');
  assert.ok((await a.json<Evicted>('evict', '/film')).keptBytes >= 40 * MiB, 'it belongs there');
});

test('fsck finds nothing after a crash, counts what waits for its history, names what rotted and mends it', {
  skip,
}, async () => {
  writeFileSync(a.path('doomed'), noise(3 * MiB, 7));
  await a.ok('sync', '--wait', '--timeout', '60s');
  unlinkSync(a.path('doomed'));
  process.kill(a.pid, 'SIGKILL');
  await eventually(() => assert.notEqual(statSync(a.mount).ino, 1));
  await a.up();
  const clean = await a.json<Fsck>('fsck', '--read-data');
  assert.deepEqual(
    { ok: clean.ok, missing: clean.missing, damaged: clean.damaged },
    { ok: true, missing: [], damaged: [] },
  );
  assert.ok(clean.unnamedBytes >= 3 * MiB);
  assert.ok(clean.bytesRead >= 40 * MiB);

  // The portal reads a file; then one of its chunks rots on the only pod that keeps it.
  assert.equal(readFileSync(p.path('trip', 'photo 0')).length, 3 * MiB);
  const { chunks } = await a.json<Inspection>('inspect', '/trip/photo 0');
  writeFileSync(a.path('solo'), noise(3 * MiB, 8));
  await a.ok('sync', '--wait', '--timeout', '60s');
  const { chunks: others } = await a.json<Inspection>('inspect', '/solo');
  const spoil = (id: string) => {
    const path = join(a.home, 'space', 'store', 'content', 'chunks', id.slice(0, 2), id.slice(2));
    const bytes = readFileSync(path);
    bytes[1000] = (bytes[1000] as number) ^ 0x10;
    writeFileSync(path, bytes);
  };
  const big = (each: typeof chunks) => each.find(({ length }) => length > 64 * 1024)?.id as string;
  spoil(big(chunks));
  const found = await a.wh('fsck', '--read-data', '--json');
  assert.equal(found.code, 0, found.stderr);
  assert.deepEqual((JSON.parse(found.stdout) as Fsck).damaged, [{ chunk: big(chunks), mended: true }]);
  spoil(big(others));
  const lost = await a.wh('fsck', '--read-data', '--json');
  const report = JSON.parse(lost.stdout) as Fsck;
  assert.equal(lost.code, 1);
  assert.deepEqual(report.damaged, [{ chunk: big(others), mended: false }]);
  assert.deepEqual(report.missing, [{ path: '/solo', chunks: 1, nowhere: 1, unknown: false }]);
});
