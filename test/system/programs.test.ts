/** Everyday programs in a mounted folder: as on a plain disk, and seen from the other pod. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, fingerprint, must, type TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const PROJECT = join(import.meta.dirname, '..', '..', '..');
const GIT = ['git', '-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'init.defaultBranch=main'];

let pair: Pair | undefined;
let folder: string;
let a: TestPod;
let b: TestPod;

before(async () => {
  if (skip) return;
  pair = await makePair('programs');
  ({ folder, a, b } = pair);
});

after(() => pair?.remove());

test('git: clone, status, a commit on one pod, the log on the other', { skip }, async () => {
  const origin = join(folder, 'origin');
  mkdirSync(origin);
  await must(undefined, [...GIT, 'init', '-q', origin]);
  await must(undefined, ['cp', '-a', join(PROJECT, 'src'), join(PROJECT, 'docs'), origin]);
  await must(undefined, [...GIT, '-C', origin, 'add', '-A']);
  await must(undefined, [...GIT, '-C', origin, 'commit', '-q', '-m', 'first']);
  const clone = a.path('clone');
  await must(undefined, [...GIT, 'clone', '-q', origin, clone]);
  assert.equal(await must(undefined, [...GIT, '-C', clone, 'status', '--porcelain']), '');
  await writeFile(join(clone, 'note.txt'), 'a note\n');
  await must(undefined, [...GIT, '-C', clone, 'add', 'note.txt']);
  await must(undefined, [...GIT, '-C', clone, 'commit', '-q', '-m', 'a commit on alpha']);
  await must(undefined, [...GIT, '-C', clone, 'fsck', '--strict']);
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  const log = await must(undefined, [
    ...GIT,
    '-c',
    'safe.directory=*',
    '-C',
    b.path('clone'),
    'log',
    '--format=%s',
  ]);
  assert.deepEqual(log.trim().split('\n'), ['a commit on alpha', 'first']);
  assert.equal(
    await must(undefined, [...GIT, '-c', 'safe.directory=*', '-C', b.path('clone'), 'status', '--porcelain']),
    '',
  );
});

test('tar: what comes out is what went in, times and modes included', { skip }, async () => {
  const archive = join(folder, 'source.tar');
  await must(undefined, ['tar', 'cf', archive, '-C', PROJECT, 'src']);
  await mkdir(a.path('tar'));
  await must(undefined, ['tar', 'xf', archive, '-C', a.path('tar')]);
  assert.deepEqual(fingerprint(a.path('tar', 'src')), fingerprint(join(PROJECT, 'src')));
  await must(undefined, ['tar', 'df', archive, '-C', a.path('tar')]);
});

test('npm ci of this project, and its compiler run in the mount', { skip }, async () => {
  await mkdir(a.path('project'));
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json']) {
    await copyFile(join(PROJECT, file), a.path('project', file));
  }
  const npm = [
    'npm',
    'ci',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  await must(undefined, npm, { cwd: a.path('project'), timeoutMs: 300_000 });
  await must(undefined, ['cp', '-a', join(PROJECT, 'src'), join(PROJECT, 'test'), a.path('project')]);
  await must(undefined, ['node', 'node_modules/typescript/bin/tsc', '--noEmit', '--incremental', 'false'], {
    cwd: a.path('project'),
    timeoutMs: 300_000,
  });
  const installed = readdirSync(a.path('project', 'node_modules')).length;
  assert.ok(installed > 50, `${installed} packages`);
});

test('sqlite3: create, fill, query, check; the database on the other pod is whole', { skip }, async () => {
  const database = a.path('data.db');
  const rows = 'with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)';
  await must(undefined, [
    'sqlite3',
    database,
    'create table t(i integer primary key, text)',
    `${rows} insert into t select i, 'row ' || i from n`,
  ]);
  await must(undefined, [
    'sqlite3',
    database,
    'pragma journal_mode=delete',
    'update t set text = text || "!" where i % 7 = 0',
  ]);
  const expected = await must(undefined, [
    'sqlite3',
    database,
    'select count(*), sum(length(text)) from t',
    'pragma integrity_check',
  ]);
  assert.match(expected, /^5000\|\d+\nok\n$/);
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  await eventually(() => assert.ok(readFileSync(b.path('data.db')).length === readFileSync(database).length));
  const seen = await must(undefined, [
    'sqlite3',
    b.path('data.db'),
    'select count(*), sum(length(text)) from t',
    'pragma integrity_check',
  ]);
  assert.equal(seen, expected);
});

test('an editor saves by rename: the other pod never sees a short or empty file', { skip }, async () => {
  const text = (version: number) => `version ${version}\n${'x'.repeat(10_000)}\n`;
  await writeFile(a.path('edited.txt'), text(0));
  await a.ok('sync', '--wait', '--timeout', '30s');
  await eventually(() => readFile(b.path('edited.txt')).then(() => {}));
  let reading = true;
  const lengths = new Set<number>();
  const reader = (async () => {
    while (reading) {
      lengths.add((await readFile(b.path('edited.txt'))).length);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  for (let version = 1; version < 50; version++) {
    await writeFile(a.path('.edited.tmp'), text(version));
    await must(undefined, ['mv', a.path('.edited.tmp'), a.path('edited.txt')]);
  }
  await a.ok('sync', '--wait', '--timeout', '30s');
  await eventually(async () => assert.equal(await readFile(b.path('edited.txt'), 'utf8'), text(49)));
  reading = false;
  await reader;
  assert.deepEqual(
    [...lengths].filter((length) => length < 10_000),
    [],
  );
});
