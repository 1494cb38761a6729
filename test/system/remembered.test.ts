/** The kernel remembers names and attributes for a minute: what others do is seen all the same, when it arrives. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Call, type Outcome, SystemCalls, stepsOf } from '../posix/index.js';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, must, type TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const [major = 0, minor = 0] = fs.readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
const old = major < 6 || (major === 6 && minor < 16);
if (old) console.log('skipped: before Linux 6.16 names are remembered for a second only');
const skip = missing ?? old;

/** Far below what the kernel remembers. */
const SOON_MS = 15_000;

let pair: Pair | undefined;
let [a, b] = [] as unknown as [TestPod, TestPod];
let system: SystemCalls;

before(async () => {
  if (skip) return;
  pair = await makePair('remembered');
  ({ a, b } = pair);
  system = await SystemCalls.start();
});

after(async () => {
  await system?.close();
  await pair?.remove();
});

const soon = (check: () => void | Promise<void>) => eventually(check, SOON_MS);
const seenOn = (pod: TestPod, ...names: string[]) => names.map((name) => fs.existsSync(pod.path(name)));

/** Makes a folder of its own for a test, and sees it on both sides. */
async function folder(name: string, ...files: string[]): Promise<void> {
  fs.mkdirSync(a.path(name));
  for (const file of files) fs.writeFileSync(a.path(name, file), file);
  await soon(() => {
    for (const file of files) assert.equal(fs.readFileSync(b.path(name, file), 'utf8'), file);
    assert.ok(fs.statSync(b.path(name)).isDirectory());
  });
}

test('names: made, removed, renamed, replaced', { skip }, async () => {
  await folder('names', 'gone', 'old', 'over', 'under');
  fs.mkdirSync(a.path('names', 'folder'));
  fs.writeFileSync(a.path('names', 'folder', 'inside'), '1');
  fs.symlinkSync('one', a.path('names', 'link'));
  await soon(() => assert.deepEqual(seenOn(b, 'names/folder/inside'), [true]));
  await soon(() => assert.equal(fs.readlinkSync(b.path('names', 'link')), 'one'));
  assert.deepEqual(seenOn(b, 'names/file', 'names/new', 'names/dir/x', 'names/folder/later'), [
    ...[false, false, false, false],
  ]);
  fs.writeFileSync(a.path('names', 'file'), 'x');
  fs.unlinkSync(a.path('names', 'gone'));
  fs.renameSync(a.path('names', 'old'), a.path('names', 'new'));
  fs.renameSync(a.path('names', 'over'), a.path('names', 'under'));
  fs.renameSync(a.path('names', 'folder'), a.path('names', 'dir'));
  fs.writeFileSync(a.path('names', 'dir', 'later'), 'x');
  fs.writeFileSync(a.path('names', 'folder'), 'a file now');
  fs.unlinkSync(a.path('names', 'link'));
  fs.symlinkSync('two', a.path('names', 'link'));
  await soon(() => {
    assert.deepEqual(seenOn(b, 'names/file', 'names/gone', 'names/old', 'names/new', 'names/over'), [
      ...[true, false, false, true, false],
    ]);
    assert.equal(fs.readFileSync(b.path('names', 'under'), 'utf8'), 'over');
    assert.equal(fs.readFileSync(b.path('names', 'folder'), 'utf8'), 'a file now');
    assert.deepEqual(seenOn(b, 'names/dir/inside', 'names/dir/later'), [true, true]);
    assert.equal(fs.readlinkSync(b.path('names', 'link')), 'two');
  });
});

test('attributes: mode, size, times, links, of files and folders', { skip }, async () => {
  await folder('attributes', 'file', 'linked');
  const look = (pod: TestPod, name: string) => {
    const { mode, size, mtimeMs, nlink, uid } = fs.statSync(pod.path('attributes', name));
    return { mode, size, nlink, uid, ...(name === '' ? {} : { mtimeMs }) };
  };
  const names = ['', 'file', 'linked'];
  const before = names.map((name) => look(b, name));
  const opened = fs.openSync(b.path('attributes', 'file'), 'r');
  const { mtimeMs } = fs.statSync(b.path('attributes'));
  fs.appendFileSync(a.path('attributes', 'file'), ' and more');
  fs.chmodSync(a.path('attributes', 'file'), 0o4711);
  fs.chownSync(a.path('attributes', 'file'), 1234, 4321);
  fs.linkSync(a.path('attributes', 'linked'), a.path('attributes', 'again'));
  fs.mkdirSync(a.path('attributes', 'sub'));
  fs.chmodSync(a.path('attributes'), 0o700);
  await soon(() => {
    const now = names.map((name) => look(b, name));
    assert.deepEqual(
      now,
      names.map((name) => look(a, name)),
    );
    for (const [index, each] of now.entries()) assert.notDeepEqual(each, before[index]);
    assert.equal(fs.fstatSync(opened).size, 13);
    assert.notEqual(fs.statSync(b.path('attributes')).mtimeMs, mtimeMs);
  });
  assert.equal(fs.readFileSync(opened, 'utf8'), 'file and more');
  fs.closeSync(opened);
  fs.utimesSync(a.path('attributes', 'file'), 1, 1_000);
  await soon(() => assert.equal(fs.statSync(b.path('attributes', 'file')).mtimeMs, 1_000_000));
});

/** Everything that can be seen of a folder, by listing it and by asking for every name that may be in it. */
function viewOf(pod: TestPod, top: string): Outcome[] {
  const asked = NAMES.map((name): Call => ({ name: 'access', arguments: [pod.path(top, name), 0] }));
  return system.many([{ name: 'tree', arguments: [pod.path(top)] }, ...asked]);
}

const NAMES = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'd/a',
  'd/b',
  'd/e',
  'd/e/a',
  'd/e/c',
  'e/a',
  'e/d',
  'e/d/b',
  'l',
  'l/a',
];
const SLICE = 10;

/** What a program sees, and what the kernel then remembers. */
function looks(pod: TestPod, top: string): Call[] {
  return NAMES.flatMap((name) => {
    const path = pod.path(top, name);
    return ['lstat', 'names', 'readlink', 'read_all'].map(
      (call): Call => ({ name: call, arguments: [path] }),
    );
  });
}

for (const [what, writers] of [
  ['one side does', 1],
  ['both sides do', 2],
] as const) {
  test(`random operations that ${what}, while both look, look the same on both`, { skip }, async () => {
    const seeds = Number(process.env['WORMHOLE_RUNS'] ?? 5);
    const first = Number(process.env['WORMHOLE_SEED'] ?? 1);
    for (let seed = first; seed < first + seeds; seed++) {
      // Links to `..` lead out of it.
      const top = `random-${writers}-${seed}/top`;
      fs.mkdirSync(a.path(`random-${writers}-${seed}`));
      await soon(() => assert.equal(fs.existsSync(b.path(`random-${writers}-${seed}`)), true));
      await folder(top);
      fs.chmodSync(a.path(top), 0o777);
      const steps = [a, b].map((pod, index) => stepsOf(2 * seed + index, 20 * SLICE, pod.path(top)));
      for (let at = 0; at < 20 * SLICE; at += SLICE) {
        for (const [index, pod] of [a, b].entries()) {
          const done = index < writers ? (steps[index] ?? []).slice(at, at + SLICE) : [];
          system.many([...done, ...looks(pod, top)]);
        }
      }
      system.many([{ name: 'slots_close', arguments: [] }]);
      await soon(() => assert.deepEqual(viewOf(b, top), viewOf(a, top), `seed ${seed}`));
    }
  });
}

test('the kernel does remember (or the rest shows nothing)', { skip }, async () => {
  await folder('kept', 'there');
  const script = 'test -f "$1"/there && ! test -e "$1"/not && test "$(stat -c %s "$1"/there)" = 5';
  // What is still told of the folder's making makes a round fail.
  await soon(async () => {
    assert.equal(fs.statSync(b.path('kept', 'there')).size, 5);
    assert.deepEqual(seenOn(b, 'kept/not'), [false]);
    // Longer than what is remembered where the kernel cannot be told to forget.
    await delay(1_200);
    process.kill(b.pid, 'SIGSTOP');
    try {
      await must(undefined, ['timeout', '2', 'sh', '-c', script, 'sh', b.path('kept')]);
    } finally {
      process.kill(b.pid, 'SIGCONT');
    }
  });
});
