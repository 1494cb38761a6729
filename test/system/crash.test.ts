/**
 * kill -9 of daemons while users write: what they were told is there after the next start, no dead mount stays, and in
 * the end all agree. `npm run kills` makes a hundred rounds on one pod and on three.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Numbers } from '../tree/simulation/numbers.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, fingerprint, TestPod } from './pods.js';
import { killDaemon, User } from './users.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const ROUNDS = Number(process.env['WORMHOLE_KILLS'] ?? 3);
const seed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);
const numbers = new Numbers(seed);
/** What a user is told of between two kills, at least; the kill comes right with the last of it. */
const ACKNOWLEDGED_MIN = 15;
const PAUSE_MS = 4;
const AGREE_WITHIN_MS = 180_000;

let folder: string;
let lan: TestNetwork;
let pods: TestPod[];
const users: User[] = [];
let rounds = 0;

before(async () => {
  if (skip) return;
  console.log(`${ROUNDS} rounds, WORMHOLE_SEED=${seed}`);
  folder = mkdtempSync(join(tmpdir(), 'wormhole-crash-'));
  lan = makeNetwork(3);
  pods = ['alpha', 'beta', 'gamma'].map((name, at) => new TestPod(lan.hosts[at], name, folder));
  await pods[0]?.create('crash');
});

after(async () => {
  if (skip) return;
  for (const user of users) user.kill();
  await endAll(pods.filter(({ pid }) => pid > 0));
  await lan.remove();
  rmSync(folder, { recursive: true, force: true });
});

function user(pod: TestPod, folder = pod.name): User {
  const made = new User(pod, { seed: numbers.below(2 ** 31), pauseMs: PAUSE_MS, folder });
  users.push(made);
  return made;
}

/** Everybody is told of something, then the daemons of some die at once, and come back with all of that. */
async function round(victims: readonly User[]): Promise<void> {
  await Promise.all(users.map((each) => each.goesOn(ACKNOWLEDGED_MIN + numbers.below(ACKNOWLEDGED_MIN))));
  await Promise.all(victims.map(({ pod }) => killDaemon(pod)));
  await Promise.all(victims.map(({ pod }) => pod.up()));
  for (const { pod, manifest } of victims) {
    assert.deepEqual(await manifest.lost(pod.mount), [], `${pod.name}${pod.logTail()}`);
    assert.deepEqual(manifest.wrong, [], pod.name);
  }
  if (++rounds % 10 === 0) console.log(`${rounds} rounds`);
}

test('one pod, killed again and again while its user writes', { skip }, async () => {
  const [alpha] = pods as [TestPod];
  const only = user(alpha, 'alone');
  for (let count = 0; count < ROUNDS; count++) await round([only]);
  await only.end();
  assert.deepEqual(await only.manifest.lost(alpha.mount), [], alpha.logTail());
  console.log(`${ROUNDS} kills, ${only.manifest.acknowledged} acknowledged, ${only.manifest.size} paths`);
});

test('three pods, one or more of them killed at once while all write', { skip }, async () => {
  const [alpha, ...others] = pods as [TestPod, ...TestPod[]];
  for (const pod of others) await pod.join(alpha);
  users.splice(0);
  for (const pod of pods) user(pod);
  let kills = 0;
  for (let count = 0; count < ROUNDS; count++) {
    // All at once in the last one: nobody is left who could help the others.
    const victims = numbers
      .shuffled(users)
      .slice(0, count === ROUNDS - 1 ? users.length : 1 + numbers.below(users.length));
    kills += victims.length;
    await round(victims);
  }
  await Promise.all(users.map((each) => each.end()));
  const acknowledged = users.reduce((sum, { manifest }) => sum + manifest.acknowledged, 0);
  console.log(`${ROUNDS} rounds, ${kills} kills, ${acknowledged} acknowledged`);
  await eventually(async () => {
    for (const { mount, name } of pods)
      for (const { manifest } of users) assert.deepEqual(await manifest.lost(mount), [], name);
    for (const { mount } of others) assert.deepEqual(fingerprint(mount), fingerprint(alpha.mount));
  }, AGREE_WITHIN_MS);
});
