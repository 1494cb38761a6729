/** The main job, through `wh` and ordinary file operations only: three hosts, real mDNS, real mounts. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Inspection, Status } from '../../src/daemon/control.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, fingerprint, must, receivedBytes, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const SOURCE = join(import.meta.dirname, '..', '..', '..', 'src');
const RENAMED_FILES = 1_000;

let folder: string;
let lan: TestNetwork;
let pods: TestPod[];
let [a, b, c] = [] as unknown as [TestPod, TestPod, TestPod];

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'wormhole-e2e-'));
  lan = makeNetwork(3);
  pods = ['alpha', 'beta', 'gamma'].map((name, i) => new TestPod(lan.hosts[i], name, folder));
  [a, b, c] = pods as [TestPod, TestPod, TestPod];
});

after(async () => {
  await endAll(pods ?? []);
  await lan?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** All pods show the same tree, byte for byte. */
async function assertSameTrees(timeoutMs = 30_000): Promise<string[]> {
  let expected: string[] = [];
  await eventually(() => {
    expected = fingerprint(a.mount);
    assert.deepEqual(fingerprint(b.mount), expected, `beta differs from alpha${b.logTail()}`);
    assert.deepEqual(fingerprint(c.mount), expected, `gamma differs from alpha${c.logTail()}`);
  }, timeoutMs);
  return expected;
}

test('three machines become one network without an address typed', { skip }, async () => {
  await a.create('atelier');
  await b.join(a);
  await c.join(b);
  const assertLinked = ({ pods }: Status) => {
    assert.deepEqual(pods.map((other) => other.link).sort(), ['self', 'up', 'up']);
  };
  for (const pod of pods) {
    await eventually(async () => assertLinked(await pod.status()));
    const status = await pod.json<Status>('status');
    assert.equal(status.network, 'atelier');
    assert.equal(status.state, 'running');
    assertLinked(status);
  }
});

test('a source tree copied in on one is on all, byte for byte', { skip }, async () => {
  await must(undefined, ['cp', '-a', SOURCE, a.path('source')]);
  const expected = fingerprint(SOURCE);
  assert.ok(expected.length > 50);
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  for (const pod of pods) assert.deepEqual(fingerprint(pod.path('source')), expected, pod.name);
});

test('a folder of 1,000 files is renamed: no chunk moves', { skip }, async () => {
  await mkdir(a.path('many'));
  for (let i = 0; i < RENAMED_FILES; i++) await writeFile(a.path('many', `file-${i}`), `content of ${i}\n`);
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  const before = receivedBytes(lan.hosts[1]!);
  await rename(a.path('many'), a.path('renamed'));
  await eventually(() => {
    assert.equal(existsSync(b.path('many')), false);
    assert.equal(readdirSync(b.path('renamed')).length, RENAMED_FILES);
  });
  assert.equal(await readFile(b.path('renamed', 'file-999'), 'utf8'), 'content of 999\n');
  // The files hold about 16 kB and would need about 100 kB of chunks and frames.
  const moved = receivedBytes(lan.hosts[1]!) - before;
  assert.ok(moved < 40_000, `the rename moved ${moved} bytes`);
});

test('cut off, both sides go on; healed, nothing is lost and all agree', { skip }, async () => {
  await writeFile(a.path('both.txt'), 'the common version\n');
  await writeFile(a.path('to-rename.txt'), 'renamed on one side, edited on the other\n');
  await writeFile(a.path('to-delete.txt'), 'deleted on one side, edited on the other\n');
  await a.ok('sync', '--wait', '--timeout', '30s');
  // What was read stays for the time offline; with two copies on three pods, beta need not hold these by itself.
  for (const name of ['both.txt', 'to-rename.txt', 'to-delete.txt']) {
    await eventually(() => assert.ok(readFileSync(b.path(name), 'utf8').length > 10));
  }

  lan.hosts[1]?.cut();
  await writeFile(a.path('both.txt'), 'as alpha wants it\n');
  await writeFile(b.path('both.txt'), 'as beta wants it, which is longer\n');
  await rename(a.path('to-rename.txt'), a.path('new-name.txt'));
  await appendFile(b.path('to-rename.txt'), 'more\n');
  await rm(a.path('to-delete.txt'));
  await appendFile(b.path('to-delete.txt'), 'kept\n');
  await mkdir(a.path('made-on-alpha'));
  await writeFile(a.path('made-on-alpha', 'x'), 'alpha\n');
  await mkdir(b.path('source', 'made-on-beta'));
  await writeFile(b.path('source', 'made-on-beta', 'y'), 'beta\n');
  await rename(a.path('renamed'), a.path('renamed-by-alpha'));
  await rm(b.path('renamed', 'file-0'));
  await writeFile(b.path('renamed', 'file-new'), 'new in a folder that alpha renamed\n');
  assert.equal(await readFile(b.path('both.txt'), 'utf8'), 'as beta wants it, which is longer\n');
  for (const pod of [a, b]) await pod.recorded();
  lan.hosts[1]?.heal();

  await eventually(() => {
    assert.equal(readFileSync(a.path('source', 'made-on-beta', 'y'), 'utf8'), 'beta\n');
    assert.equal(readFileSync(b.path('made-on-alpha', 'x'), 'utf8'), 'alpha\n');
  }, 60_000);
  await assertSameTrees(60_000);

  const names = readdirSync(a.mount);
  const versions = names.filter((name) => name.startsWith('both'));
  assert.equal(versions.length, 2, `both versions are there: ${versions.join(', ')}`);
  assert.ok(versions.includes('both.txt'));
  assert.match(
    versions.find((name) => name !== 'both.txt') ?? '',
    /^both \(conflict, (alpha|beta) \S+\)\.txt$/,
  );
  assert.deepEqual(versions.map((name) => readFileSync(a.path(name), 'utf8')).sort(), [
    'as alpha wants it\n',
    'as beta wants it, which is longer\n',
  ]);
  assert.equal(
    await readFile(a.path('new-name.txt'), 'utf8'),
    'renamed on one side, edited on the other\nmore\n',
  );
  assert.equal(existsSync(a.path('to-rename.txt')), false);
  assert.equal(
    await readFile(a.path('to-delete.txt'), 'utf8'),
    'deleted on one side, edited on the other\nkept\n',
  );
  assert.equal(existsSync(a.path('renamed-by-alpha', 'file-0')), false);
  assert.equal(
    await readFile(a.path('renamed-by-alpha', 'file-new'), 'utf8'),
    'new in a folder that alpha renamed\n',
  );
  for (const pod of pods) assert.equal((await pod.json<Status>('status')).conflicts, 1, pod.name);
});

test('a conflict is settled by ordinary file operations', { skip }, async () => {
  const copy = readdirSync(b.mount).find((name) => name.startsWith('both (conflict')) ?? '';
  await rm(b.path(copy));
  await eventually(() => {
    for (const pod of pods) {
      assert.deepEqual(
        readdirSync(pod.mount).filter((name) => name.startsWith('both')),
        ['both.txt'],
        pod.name,
      );
    }
  });
  for (const pod of pods) assert.equal((await pod.json<Status>('status')).conflicts, 0, pod.name);
});

test('`wh` tells where a file is', { skip }, async () => {
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '30s');
  const inspection = await a.json<Inspection>('inspect', a.path('new-name.txt'));
  assert.equal(inspection.path, '/new-name.txt');
  assert.equal(inspection.copies.wanted, 2);
  assert.ok(inspection.copies.held >= 2, JSON.stringify(inspection));
  const listed = await a.json<{ name: string; size: number }[]>('ls', '/');
  assert.equal(
    listed.find((entry) => entry.name === 'new-name.txt')?.size,
    statSync(a.path('new-name.txt')).size,
  );
});

test('down and up again: the same tree, no mount left in between', { skip }, async () => {
  const before = fingerprint(b.mount);
  await b.ok('down');
  assert.deepEqual(readdirSync(b.mount), []);
  await writeFile(a.path('while-beta-was-down.txt'), 'x');
  await b.up();
  await eventually(() => assert.ok(existsSync(b.path('while-beta-was-down.txt')), b.logTail()));
  assert.deepEqual(
    fingerprint(b.mount).filter((line) => !line.startsWith('while-beta')),
    before,
  );
});
