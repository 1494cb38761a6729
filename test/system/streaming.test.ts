/** A large file streams from two pods at once while one of them is killed; what nobody has is EIO, and said. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/daemon/control.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const MEBIBYTE = 1024 * 1024;
/** Read-ahead reaches 16 of them: most of the film is still to come when its holder is killed. */
const VIDEO_MEBIBYTES = 96;
/** How long a read waits for somebody who has its bytes; 30 s where nothing is said. */
const PATIENCE_SECONDS = 3;
/** The reader takes its time between blocks, as a player does, so that most of the film is still to come. */
const BLOCK_PAUSE_MS = 5;

let folder: string;
let lan: TestNetwork | undefined;
let pods: TestPod[] = [];
/** The holder that was not killed. */
let left: TestPod | undefined;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-streaming-'));
  lan = makeNetwork(3);
  pods = ['alpha', 'beta', 'viewer'].map((name, i) => new TestPod(lan?.hosts[i], name, folder));
  const [alpha, beta, viewer] = pods as [TestPod, TestPod, TestPod];
  await alpha.create('cinema');
  await beta.join(alpha);
  await viewer.join(alpha, { role: 'portal' });
  await viewer.ok('down');
  writeFileSync(join(viewer.home, 'cinema', 'pod.yaml'), `wait: ${PATIENCE_SECONDS}s\n`);
  await viewer.up();
  await eventually(async () => {
    const { pods: seen } = await viewer.status();
    assert.ok(
      seen.every(({ link }) => link !== 'down'),
      JSON.stringify(seen),
    );
  });
});

after(async () => {
  await endAll(pods);
  await lan?.remove();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** Writes random blocks and returns their SHA-256. */
async function writeFilm(path: string, mebibytes: number): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx');
  for (let i = 0; i < mebibytes; i++) {
    const block = randomBytes(MEBIBYTE);
    hash.update(block);
    await file.write(block);
  }
  await file.close();
  return hash.digest('hex');
}

/** Reads from the begin to the end; `between` is told of each block. */
async function watchFilm(path: string, between: (block: number) => void): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.alloc(MEBIBYTE);
  const file = await open(path, 'r');
  try {
    for (let i = 0; ; i++) {
      const { bytesRead } = await file.read(block, 0, block.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(block.subarray(0, bytesRead));
      between(i);
      await new Promise((resolve) => setTimeout(resolve, BLOCK_PAUSE_MS));
    }
  } finally {
    await file.close();
  }
}

test('a film goes on while one of its two holders is killed', { skip, timeout: 120_000 }, async () => {
  const [alpha, beta, viewer] = pods as [TestPod, TestPod, TestPod];
  const written = await writeFilm(alpha.path('film'), VIDEO_MEBIBYTES);
  await writeFilm(alpha.path('unseen'), 2);
  await alpha.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  await viewer.ok('sync', '--wait', '--timeout', '30s');
  const before = new Map([alpha, beta].map((pod) => [pod, sentBytes(pod)]));
  const sentBy = (pod: TestPod) => sentBytes(pod) - (before.get(pod) ?? 0);
  let sent = 0;
  let killedAt = -1;
  const watched = await watchFilm(viewer.path('film'), (block) => {
    if (block < VIDEO_MEBIBYTES / 8 || killedAt >= 0) return;
    killedAt = block;
    // The one that the viewer has most from.
    left = sentBy(alpha) > sentBy(beta) ? beta : alpha;
    const victim = left === alpha ? beta : alpha;
    sent = sentBy(victim);
    process.kill(victim.pid, 'SIGKILL');
  });
  assert.equal(watched, written);
  assert.ok(killedAt >= 0 && killedAt < VIDEO_MEBIBYTES / 2, `killed at block ${killedAt}`);
  assert.ok(sent > MEBIBYTE, `the one that was killed had sent ${sent} bytes`);
  const { cached } = await readStates(viewer);
  assert.ok(cached, 'the film was not kept at the viewer');
});

test('what nobody in reach has is EIO after a while, and status says who should have it', {
  skip,
  timeout: 120_000,
}, async () => {
  const viewer = pods[2] as TestPod;
  assert.ok(left !== undefined);
  await left.ok('down');
  await eventually(async () => {
    const { pods: seen } = await viewer.status();
    assert.ok(seen.every(({ link }) => link !== 'up'));
  });
  const started = performance.now();
  const file = await open(viewer.path('unseen'), 'r');
  await assert.rejects(file.read(Buffer.alloc(10), 0, 10, 0), { code: 'EIO' });
  await file.close();
  assert.ok(
    performance.now() - started > 900 * PATIENCE_SECONDS,
    'it did not wait for a holder to come back',
  );
  const { warnings } = await viewer.json<Status>('status');
  const said = warnings.find((line) => line.startsWith('/unseen '));
  assert.ok(said?.includes('alpha') && said.includes('beta'), JSON.stringify(warnings));
  assert.ok(!warnings.some((line) => line.startsWith('/film ')), JSON.stringify(warnings));
  // It comes back with its holder, without anybody's doing.
  await left.up();
  await eventually(async () => {
    const again = await open(viewer.path('unseen'), 'r');
    try {
      assert.equal((await again.read(Buffer.alloc(10), 0, 10, 0)).bytesRead, 10);
    } finally {
      await again.close();
    }
  }, 60_000);
});

function sentBytes(pod: TestPod): number {
  return Number(pod.host?.run('cat', ['/sys/class/net/eth0/statistics/tx_bytes']));
}

async function readStates(pod: TestPod): Promise<{ cached: boolean }> {
  const { state } = await pod.json<{ state: string }>('inspect', '/film');
  return { cached: state === 'cached' || state === 'here' };
}
