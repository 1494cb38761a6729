/** History, trash, restore and undo on two linked pods, through `wh` and ordinary file operations. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { FileHistory, Restored, Status, Trashed } from '../../src/daemon/control.js';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, fingerprint } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

let pair: Pair;

before(async () => {
  if (!skip) pair = await makePair('history');
});

after(async () => {
  await pair?.remove();
});

test('half of a folder is deleted elsewhere: seen here, undone here, whole on both', { skip }, async () => {
  const { a, b, lan } = pair;
  await mkdir(a.path('photos'));
  for (let n = 0; n < 40; n++) await writeFile(a.path('photos', `p${n}`), `photo ${n}\n`);
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  const whole = fingerprint(a.mount);
  assert.deepEqual(fingerprint(b.mount), whole);

  lan.hosts[1]?.cut();
  for (let n = 0; n < 30; n++) await rm(a.path('photos', `p${n}`));
  lan.hosts[1]?.heal();
  await eventually(() => assert.equal(readdirSync(b.path('photos')).length, 10));

  await eventually(async () => {
    for (const pod of [a, b]) {
      const status = await pod.json<Status>('status');
      const [mass] = status.massDeletions;
      assert.equal(mass?.pod, 'alpha', pod.name);
      assert.deepEqual(mass.folders, [{ path: '/photos', deleted: 30, left: 10 }]);
      assert.ok(status.warnings.some((warning) => warning.includes('wh undo')));
    }
  });
  const undone = await b.json<{ entries: number }>('undo');
  assert.equal(undone.entries, 30);
  await eventually(() => {
    assert.deepEqual(fingerprint(b.mount), whole);
    assert.deepEqual(fingerprint(a.mount), whole);
  });
  for (const pod of [a, b]) assert.deepEqual((await pod.json<Status>('status')).massDeletions, [], pod.name);
  const nothing = await b.wh('undo');
  assert.equal(nothing.code, 10, nothing.stderr);
});

test('rm -r by mistake, undone by whoever did it', { skip }, async () => {
  const { a } = pair;
  const whole = fingerprint(a.mount);
  await rm(a.path('photos'), { recursive: true });
  await eventually(async () => assert.equal((await a.status()).massDeletions.length, 1));
  await a.ok('undo');
  assert.deepEqual(fingerprint(a.mount), whole);
});

test('an overwritten version is listed, restored in place, and to another path', { skip }, async () => {
  const { a, b } = pair;
  await writeFile(a.path('plan.txt'), 'first\n');
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  await writeFile(a.path('plan.new'), 'second, longer\n');
  await rename(a.path('plan.new'), a.path('plan.txt'));
  // What stood for a moment only may be written together with what replaced it.
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  await writeFile(a.path('plan.txt'), 'third\n');
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');

  const history = await b.json<FileHistory>('history', b.path('plan.txt'));
  assert.equal(history.path, '/plan.txt');
  assert.deepEqual(
    history.versions.map(({ kind, size, pod }) => [kind, size, pod]),
    [
      ['current', 6, 'alpha'],
      ['overwritten', 15, 'alpha'],
      ['overwritten', 6, 'alpha'],
    ],
  );
  const [, second, first] = history.versions.map(({ version }) => version);
  const copied = await b.json<Restored>('restore', `/plan.txt@${second}`, '--to', b.path('plan-2.txt'));
  assert.equal(copied.path, '/plan-2.txt');
  assert.equal(await readFile(b.path('plan-2.txt'), 'utf8'), 'second, longer\n');
  assert.equal((await b.wh('restore', `/plan.txt@${second}`, '--to', '/plan-2.txt')).code, 1, 'taken');
  await b.ok('restore', `${b.path('plan.txt')}@${first}`);
  assert.equal(await readFile(b.path('plan.txt'), 'utf8'), 'first\n');
  await eventually(() => {
    assert.equal(readFileSync(a.path('plan.txt'), 'utf8'), 'first\n');
    assert.equal(readFileSync(a.path('plan-2.txt'), 'utf8'), 'second, longer\n');
  });
  // What was there before is a version now: nothing is lost by restoring.
  await a.ok('restore', '/plan.txt');
  assert.equal(await readFile(a.path('plan.txt'), 'utf8'), 'third\n');
});

test('a deleted folder is in the trash as one, and comes back with all that went with it', {
  skip,
}, async () => {
  const { a, b } = pair;
  await mkdir(a.path('docs', 'inner'), { recursive: true });
  await writeFile(a.path('docs', 'one'), '1\n');
  await writeFile(a.path('docs', 'inner', 'two'), '2\n');
  await writeFile(a.path('single'), 'single\n');
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  await rm(a.path('docs'), { recursive: true });
  await rm(a.path('single'));
  await eventually(() => assert.equal(existsSync(b.path('docs')), false));

  const isOurs = ({ path }: Trashed) => path.startsWith('/docs') || path === '/single';
  const trash = (await b.json<Trashed[]>('trash')).filter(isOurs);
  assert.deepEqual(trash.map(({ path, entries, pod }) => [path, entries, pod]).sort(), [
    ['/docs', 3, 'alpha'],
    ['/single', 0, 'alpha'],
  ]);
  const restored = await b.json<Restored>('restore', b.path('docs'));
  assert.equal(restored.entries, 4);
  assert.equal(await readFile(b.path('docs', 'inner', 'two'), 'utf8'), '2\n');
  await eventually(() => assert.equal(readFileSync(a.path('docs', 'one'), 'utf8'), '1\n'));
  await b.ok('restore', '/single', '--to', '/docs/elsewhere');
  assert.equal(await readFile(b.path('docs', 'elsewhere'), 'utf8'), 'single\n');
  assert.deepEqual((await b.json<Trashed[]>('trash')).filter(isOurs), []);
});

test('what history does not hold is said with exit code 10', { skip }, async () => {
  const { b } = pair;
  for (const path of ['/never', '/plan.txt@1-aaaaaaaa', '/photos/p0']) {
    const result = await b.wh('restore', path);
    assert.equal(result.code, 10, `${path}: ${result.stderr}`);
    assert.match(result.stderr, /histor/);
  }
  assert.equal((await b.wh('history', '/never')).code, 10);
});
