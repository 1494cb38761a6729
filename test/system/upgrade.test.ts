/** Stores of other times: of earlier releases, of later ones, put back from a backup. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FileHistory, Trashed } from '../../src/daemon/control.js';
import { namespacesMissing } from './namespaces.js';
import { makePair } from './pair.js';
import { eventually, fingerprint, must, TestPod } from './pods.js';
import { archiveOf, type Sample, sampleOf, sampleVersions } from './sample-store.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wormhole-upgrade-'));
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A pod with the store of a sample, as if it had been updated in place. */
async function unpack(version: string): Promise<TestPod> {
  const pod = new TestPod(undefined, `of-${version}`, folder);
  await mkdir(pod.home, { recursive: true });
  await must(undefined, ['tar', '-C', pod.home, '-xzf', archiveOf(version)]);
  const record = join(pod.home, 'sample', 'pod.json');
  writeFileSync(record, JSON.stringify({ ...JSON.parse(readFileSync(record, 'utf8')), mount: pod.mount }));
  return pod;
}

for (const version of sampleVersions()) {
  test(`a store of ${version} is read and goes on`, { skip }, async () => {
    const sample = JSON.parse(await readFile(sampleOf(version), 'utf8')) as Sample;
    const pod = await unpack(version);
    try {
      await pod.up();
      assert.deepEqual(fingerprint(pod.mount), sample.tree);
      const history = await pod.json<FileHistory>('history', '/docs/note-1');
      assert.deepEqual(
        history.versions.map(({ kind, size }) => [kind, size]),
        [
          ['current', 14],
          ['overwritten', 7],
        ],
      );
      assert.deepEqual(
        (await pod.json<Trashed[]>('trash')).map(({ path }) => path),
        ['/docs/note-3'],
      );
      await pod.ok('restore', '/docs/note-3');
      assert.equal(await readFile(pod.path('docs', 'note-3'), 'utf8'), 'note 3\n');
      await writeFile(pod.path('new'), 'new\n');
      const now = fingerprint(pod.mount);
      await pod.ok('down');
      await pod.up();
      assert.deepEqual(fingerprint(pod.mount), now);
    } finally {
      await pod.wh('down');
    }
  });
}

test('a store of a later version is refused with what to do, and left alone', { skip }, async () => {
  const pod = await unpack(sampleVersions()[0] ?? '');
  const [store, record] = [join('sample', 'store', 'format.json'), join('sample', 'pod.json')];
  for (const file of [store, record]) {
    const path = join(pod.home, file);
    const before = readFileSync(path, 'utf8');
    const newer = before.replace(/"format": ?1/, '"format": 99');
    assert.notEqual(newer, before);
    writeFileSync(path, newer);
    const result = await pod.wh('up');
    assert.equal(result.code, 1, file);
    assert.match(result.stderr, /update/, file);
    assert.equal(readFileSync(path, 'utf8'), newer);
    writeFileSync(path, before);
  }
  await pod.up();
  await pod.ok('down');
});

test('a pod put back from a backup undoes nothing, and goes on', { skip }, async () => {
  const { a, b, remove } = await makePair('backup');
  try {
    await writeFile(a.path('kept'), 'kept\n');
    await writeFile(a.path('deleted-later'), 'x\n');
    await writeFile(a.path('edited-later'), 'first\n');
    await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
    await a.ok('down');
    const backup = join(folder, 'backup');
    await cp(a.home, backup, { recursive: true });
    await a.up();
    await rm(a.path('deleted-later'));
    await writeFile(a.path('edited-later'), 'second\n');
    await writeFile(a.path('made-later'), 'made\n');
    await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
    const whole = fingerprint(b.mount);
    await a.ok('down');

    await rm(a.home, { recursive: true });
    await cp(backup, a.home, { recursive: true });
    await a.up();
    await eventually(() => assert.deepEqual(fingerprint(a.mount), whole));
    assert.deepEqual(fingerprint(b.mount), whole, 'nothing that was done since was undone');
    await writeFile(a.path('after'), 'after\n');
    await eventually(() => assert.equal(readFileSync(b.path('after'), 'utf8'), 'after\n'));
  } finally {
    await remove();
  }
});
