/**
 * Two pods whose clocks are ten years and more apart, and jump while they run: no clock decides what is seen, what is kept,
 * who may come in or who is there.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { FileHistory, Trashed } from '../../src/daemon/control.js';
import { clocksMissing, WallClock } from './clocks.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, fingerprint, TestPod } from './pods.js';

const missing = namespacesMissing() ?? clocksMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const HEAL_MS = 60_000;
const MINUTE_MS = 60_000;
const EARLY = '-10y';
const LATE = '+10y';

let folder: string;
let lan: TestNetwork;
/** Its clock is early, and jumps. */
let a: TestPod;
/** Its clock is the machine's. */
let b: TestPod;
let clock: WallClock;

before(() => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-clocks-'));
  lan = makeNetwork(2);
  a = new TestPod(lan.hosts[0], 'alpha', folder);
  b = new TestPod(lan.hosts[1], 'beta', folder);
  clock = new WallClock(a, folder, EARLY);
});

after(async () => {
  if (skip) return;
  await endAll([a, b].filter(({ pid }) => pid > 0));
  await lan.remove();
  rmSync(folder, { recursive: true, force: true });
});

const settled = () => a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
const yearsOff = (ms: number) => Math.round((ms - Date.now()) / (365.25 * 24 * 60 * MINUTE_MS)) + 0;
const read = (pod: TestPod, name: string) => readFileSync(pod.path(name), 'utf8');

async function write(pod: TestPod, name: string, text: string): Promise<void> {
  writeFileSync(pod.path(name), text);
  await eventually(() => {
    for (const each of [a, b]) assert.equal(read(each, name), text, `${name} on ${each.name}`);
  }, HEAL_MS);
  // What stood for a moment only may be written together with what replaced it.
  await settled();
}

test('an invitation is good for as long as it says, whatever becomes of the clock', { skip }, async () => {
  await a.create('clocks');
  const invite = await a.json<{ code: string; expires: string }>('invite');
  const expires = Date.parse(invite.expires);
  assert.equal(yearsOff(expires), -10, 'the time that it names is of the clock of its pod');
  clock.set(LATE);
  const ready = await b.json<{ pid: number }>('join', invite.code, b.mount, '--pod', 'beta');
  b.pid = ready.pid;
  clock.set(EARLY);
  const again = await a.json<{ expires: string }>('invite');
  assert.ok(Math.abs(Date.parse(again.expires) - expires) < 5 * MINUTE_MS);
});

test('the later write is seen, on whichever side the clock is behind', { skip }, async () => {
  await write(b, 'turns', 'of today');
  await write(a, 'turns', 'of ten years ago');
  assert.equal(yearsOff(statSync(b.path('turns')).mtimeMs), -10, 'the clocks are not apart');
  await write(b, 'turns', 'of today again');
  assert.equal(yearsOff(statSync(a.path('turns')).mtimeMs), 0);
});

test('written at the same time: both versions are there, under the same names', { skip }, async () => {
  await write(a, 'both', 'before');
  lan.hosts[1]?.cut('switch');
  for (const [pod, text] of [
    [a, 'of the early one'],
    [b, 'of the late one'],
  ] as const) {
    writeFileSync(pod.path('both'), text);
    writeFileSync(pod.path('made'), `${text}, made`);
  }
  lan.hosts[1]?.heal();
  await eventually(() => {
    const versions = (pod: TestPod, name: string) =>
      readdirSync(pod.mount)
        .filter((each) => each.startsWith(name))
        .map((each) => read(pod, each))
        .sort();
    for (const pod of [a, b]) {
      assert.deepEqual(versions(pod, 'both'), ['of the early one', 'of the late one']);
      assert.deepEqual(versions(pod, 'made'), ['of the early one, made', 'of the late one, made']);
    }
    assert.deepEqual(fingerprint(a.mount), fingerprint(b.mount));
  }, HEAL_MS);
});

test('history is in the order in which it happened, and gives back what it lists', { skip }, async () => {
  await write(b, 'story', 'first, here');
  await write(a, 'story', 'second, long ago!');
  await write(b, 'story', 'third, here once more');
  for (const pod of [a, b]) {
    const { versions } = await pod.json<FileHistory>('history', pod.path('story'));
    assert.deepEqual(
      versions.map(({ pod: by, size, kind }) => [by, size, kind]),
      [
        ['beta', 21, 'current'],
        ['alpha', 17, 'overwritten'],
        ['beta', 11, 'overwritten'],
      ],
      pod.name,
    );
  }
  const { versions } = await a.json<FileHistory>('history', a.path('story'));
  await a.ok('restore', `${a.path('story')}@${versions[2]?.version}`);
  await eventually(() => assert.equal(read(b, 'story'), 'first, here'), HEAL_MS);
  unlinkSync(b.path('story'));
  await eventually(() => assert.ok(!readdirSync(a.mount).includes('story')), HEAL_MS);
  const trashed = await a.json<Trashed[]>('trash');
  assert.ok(trashed.some(({ path, pod }) => path === '/story' && pod === 'beta'));
  clock.set(LATE);
  await a.ok('restore', '/story');
  await eventually(() => assert.equal(read(b, 'story'), 'first, here'), HEAL_MS);
  clock.set(EARLY);
});

test('a clock that jumps while all write: nothing is lost, and the link stays', { skip }, async () => {
  const downs = () => b.logTail(10_000).split('link down').length;
  const before = downs();
  const names: string[] = [];
  for (const [round, offset] of [LATE, '+0', EARLY, '+3600', '-40y', EARLY].entries()) {
    clock.set(offset);
    for (const pod of [a, b]) {
      const name = `jump-${round}-${pod.name}`;
      writeFileSync(pod.path(name), name);
      names.push(name);
    }
    await delay(300);
  }
  await eventually(() => {
    for (const pod of [a, b]) for (const name of names) assert.equal(read(pod, name), name);
  }, HEAL_MS);
  await settled();
  assert.equal(yearsOff(statSync(b.path('jump-4-alpha')).mtimeMs), -40, 'the clock did not jump');
  assert.equal(downs(), before, 'the link was given up');
});

test('a machine that slept: linked again, and what was missed comes', { skip }, async () => {
  // No process runs, and the wall clock goes on by more than the process can have slept.
  process.kill(a.pid, 'SIGSTOP');
  try {
    writeFileSync(b.path('slept'), 'written meanwhile');
    await eventually(async () => {
      const { pods } = await b.status();
      assert.equal(pods.find(({ name }) => name === 'alpha')?.link, 'down');
    }, HEAL_MS);
    clock.set('-9y');
  } finally {
    process.kill(a.pid, 'SIGCONT');
  }
  await eventually(() => assert.equal(read(a, 'slept'), 'written meanwhile'), HEAL_MS);
  await write(a, 'woken', 'a year later');
});
