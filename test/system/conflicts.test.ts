/** `wh conflicts` and `wh resolve` on two whole pods that were cut off from each other. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ConflictReport, NameReport, Status } from '../../src/daemon/control.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, fingerprint, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

interface Found {
  conflicts: ConflictReport[];
  names: NameReport[];
}

let folder: string;
let lan: TestNetwork;
let [a, b] = [] as unknown as [TestPod, TestPod];

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'wormhole-conflicts-'));
  lan = makeNetwork(2);
  [a, b] = ['alpha', 'beta'].map((name, i) => new TestPod(lan.hosts[i], name, folder)) as [TestPod, TestPod];
  await a.create('atelier');
  await b.join(a);
});

after(async () => {
  await endAll([a, b]);
  await lan?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function same(): Promise<void> {
  await eventually(() => assert.deepEqual(fingerprint(b.mount), fingerprint(a.mount)));
}

/** The names in the top folder that begin so. */
function shown(pod: TestPod, start: string): string[] {
  return readdirSync(pod.mount).filter((name) => name.startsWith(start));
}

test('both sides change the same files while they are cut off: both list every version', {
  skip,
}, async () => {
  for (const name of ['mine', 'theirs', 'both', 'id']) await writeFile(a.path(`${name}.txt`), 'base');
  await same();
  lan.hosts[1]?.cut();
  for (const pod of [a, b]) {
    for (const name of ['mine', 'theirs', 'both', 'id']) {
      await writeFile(pod.path(`${name}.txt`), `${name} of ${pod.name}`);
    }
  }
  await mkdir(a.path('clash'));
  await writeFile(b.path('clash'), 'a file');
  for (const pod of [a, b]) await pod.recorded();
  lan.hosts[1]?.heal();
  await eventually(async () => assert.equal((await a.status()).conflicts, 5));
  const found = await a.json<Found>('conflicts');
  assert.deepEqual(
    found.conflicts.map(({ path }) => path),
    ['/both.txt', '/clash', '/id.txt', '/mine.txt', '/theirs.txt'],
  );
  for (const { path, versions } of found.conflicts) {
    assert.equal(versions.length, 2, path);
    assert.equal(versions[0]?.path, path);
    assert.deepEqual(versions.map(({ pod }) => pod).sort(), ['alpha', 'beta']);
    for (const version of versions) {
      assert.equal(version.mine, version.pod === 'alpha');
      if (version.kind !== 'file' || path === '/clash') continue;
      assert.match(readFileSync(a.path(version.path), 'utf8'), new RegExp(`of ${version.pod}$`));
    }
  }
  assert.match(await a.ok('conflicts'), /both\.txt[\s\S]*alpha \(mine\)/);
});

test('`wh resolve` keeps one side, both, or the version that is named, on both pods', { skip }, async () => {
  await a.ok('resolve', a.path('mine.txt'), '--keep', 'mine');
  await a.ok('resolve', '/theirs.txt', '--keep', 'theirs');
  const { kept } = await a.json<{ kept: string[] }>('resolve', '/both.txt', '--keep', 'both');
  assert.equal(kept.length, 2);
  // The kernel here had looked at all of them before.
  assert.deepEqual(shown(a, 'mine'), ['mine.txt']);
  assert.equal(readFileSync(a.path('mine.txt'), 'utf8'), 'mine of alpha');
  assert.equal(readFileSync(a.path('theirs.txt'), 'utf8'), 'theirs of beta');
  await same();
  assert.deepEqual(shown(b, 'theirs'), ['theirs.txt']);
  assert.equal(shown(b, 'both').length, 2);
});

test('the rest is settled on the other pod after a restart, by an id, and not by what does not fit', {
  skip,
}, async () => {
  await b.ok('down');
  await b.up();
  await eventually(async () => assert.equal((await b.json<Found>('conflicts')).conflicts.length, 2));
  const { conflicts } = await b.json<Found>('conflicts');
  const version = conflicts.find(({ path }) => path === '/id.txt')?.versions.find(({ mine }) => !mine);
  assert.ok(version !== undefined);
  const unknown = await b.wh('resolve', '/id.txt', '--keep', 'none of them');
  assert.equal(unknown.code, 2, unknown.stderr);
  assert.equal((await b.wh('resolve', '/both.txt', '--keep', 'mine')).code, 10, 'it is settled');
  await b.ok('resolve', '/id.txt', '--keep', version.id);
  const folderStays = await b.wh('resolve', '/clash', '--keep', 'mine');
  assert.equal(folderStays.code, 1, folderStays.stdout);
  // By its other name, too.
  const copy = shown(b, 'clash (')[0] ?? '';
  await b.ok('resolve', b.path(copy), '--keep', 'both');
  await same();
  assert.equal(readFileSync(a.path('id.txt'), 'utf8'), 'id of alpha');
  assert.deepEqual(shown(a, 'clash'), ['clash', copy].sort());
  for (const pod of [a, b]) {
    assert.equal(await pod.ok('conflicts'), 'No conflicts.\n');
    assert.equal((await pod.json<Status>('status')).conflicts, 0);
  }
});

test('names that other systems cannot hold, or not beside each other, are kept apart and reported', {
  skip,
}, async () => {
  const names = ['Straße', 'straße', 'é', 'e\u0301', 'a:b', 'aux.txt', 'dot.'];
  for (const name of names) await writeFile(a.path(name), name);
  await same();
  for (const name of names) assert.equal(readFileSync(b.path(name), 'utf8'), name);
  const found = await b.json<Found>('conflicts', '--names');
  assert.deepEqual(found.conflicts, []);
  const reported = found.names.map(({ path, problem }) => `${path} ${problem}`).sort();
  assert.deepEqual(reported, [
    '/a:b characters',
    '/aux.txt reserved',
    '/dot. ending',
    '/straße case',
    '/é unicode',
  ]);
});
