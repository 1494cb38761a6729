/**
 * Two pods that see each other only through a bad network: nothing is lost, and both get there once it is better. Cables
 * that come and go are in addresses.test.ts, pods that sleep in clocks.test.ts.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DaemonReady } from '../../src/daemon/order.js';
import { BadLine } from '../durability/bad-line.js';
import { seededBytes } from '../durability/random.js';
import type { Passed, Weather } from '../net/line.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const PORT = 7_001;
/** A link that says nothing is given up after 15 s, and made anew. */
const HEAL_MS = 60_000;
const FILES = 6;

let folder: string;
let lan: TestNetwork;
let a: TestPod;
let b: TestPod;
let line: BadLine;
const names: string[] = [];

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-bad-network-'));
  lan = makeNetwork(3, { multicast: false });
  const [hostA, hostB, between] = lan.hosts;
  assert.ok(hostA && hostB && between);
  a = new TestPod(hostA, 'alpha', folder);
  b = new TestPod(hostB, 'beta', folder);
  const ready = JSON.parse(await a.ok('new', 'bad', a.mount, '--pod', 'alpha', '--json')) as DaemonReady;
  a.pid = ready.pid;
  // Neither can reach the other but by the host between them.
  hostA.run('ip', ['route', 'add', 'blackhole', hostB.address]);
  hostB.run('ip', ['route', 'add', 'blackhole', hostA.address]);
  line = await BadLine.start(between, PORT, { address: hostA.address, port: ready.port });
  await b.join(a, { address: `${between.address}:${PORT}` });
  await exchange('fair', {}, () => {});
});

after(async () => {
  if (skip) return;
  await endAll([b, a]);
  line?.close();
  await lan?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes on both sides in this weather, then waits in a fair one until both have all. */
async function exchange(
  name: string,
  weather: Weather,
  struck: (before: Passed, after: Passed) => void,
  during: () => Promise<unknown> = () => delay(1_500),
): Promise<void> {
  const before = await line.set(weather);
  const start = { ...before };
  for (let index = 0; index < FILES; index++) {
    for (const [pod, side] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const file = `${name}-${index}-${side}`;
      writeFileSync(pod.path(file), bytesOf(file));
      names.push(file);
    }
  }
  await during();
  const end = await line.set({});
  struck(start, end);
  await eventually(() => {
    for (const file of names) {
      assert.ok(readFileSync(a.path(file)).equals(bytesOf(file)), `${file} on a`);
      assert.ok(readFileSync(b.path(file)).equals(bytesOf(file)), `${file} on b`);
    }
  }, HEAL_MS);
  for (const pod of [a, b]) {
    const { done, reason } = await pod.ask('sync', { copies: 2, timeoutMs: HEAL_MS });
    assert.ok(done, `${pod.name}: ${reason}`);
  }
}

function bytesOf(file: string): Buffer {
  const seed = [...file].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000_003, 7);
  return seededBytes(seed % 5 === 0 ? 300_000 : 2_000 + (seed % 3_000), seed);
}

test('a slow line', { skip }, () =>
  exchange('slow', { delayMs: 150 }, (before, after) => assert.ok(after.bytes > before.bytes)),
);

test('a thin line: names do not wait for the bytes of a large file', { skip }, async () => {
  const weather = { bytesPerSecond: 200_000 };
  await exchange(
    'thin',
    weather,
    (before, after) => assert.ok(after.bytes > before.bytes),
    async () => {
      // What the line bears shows only in what goes over it.
      writeFileSync(a.path('trailer'), seededBytes(600_000, 2));
      await eventually(() => assert.equal(readFileSync(b.path('trailer')).length, 600_000), HEAL_MS);
      writeFileSync(a.path('film'), seededBytes(4_000_000, 1));
      const { bytes: start } = await line.set(weather);
      const underWay = async () => (await line.set(weather)).bytes - start;
      await eventually(async () => assert.ok((await underWay()) > 800_000), HEAL_MS);
      writeFileSync(a.path('late'), bytesOf('late'));
      await eventually(() => assert.equal(statSync(b.path('late')).size, bytesOf('late').length), HEAL_MS);
      const passed = await underWay();
      assert.ok(passed < 3_500_000, `${passed} bytes went over the line before the name was there`);
    },
  );
  await eventually(() => assert.equal(readFileSync(b.path('film')).length, 4_000_000), HEAL_MS);
});

test('connections that are cut again and again', { skip }, () =>
  exchange('cut', { cutAfterBytes: 40_000 }, (before, after) =>
    assert.ok(after.cuts > before.cuts, 'some were cut'),
  ),
);

test('half of a frame, then the end', { skip }, () =>
  exchange('halved', { halveAfterBytes: 15_000 }, (before, after) =>
    assert.ok(after.halves > before.halves, 'none was cut in half'),
  ),
);

test('a connection that swallows what goes one way', { skip }, () =>
  exchange('swallowed', { swallow: 'to' }, (before, after) =>
    assert.ok(after.swallowed > before.swallowed, 'something was swallowed'),
  ),
);
