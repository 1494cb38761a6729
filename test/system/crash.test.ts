/** kill -9 of each daemon during a copy: nothing acknowledged is missing, no dead mount stays, the copy goes on. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { namespacesMissing } from './namespaces.js';
import { makePair, type Pair } from './pair.js';
import { eventually, fingerprint, type TestPod } from './pods.js';

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const COPIER = fileURLToPath(new URL('./copier.js', import.meta.url));
const SOURCE = join(import.meta.dirname, '..', '..', '..', 'node_modules', '@types', 'node');
const KILL_AFTER_FILES = [15, 40, 65];
/** Copies, with three kills each. `npm run kills` makes a hundred kills of each pod. */
const COPIES = Number(process.env['WORMHOLE_COPIES'] ?? 1);

let pair: Pair | undefined;
let a: TestPod;
let b: TestPod;

before(async () => {
  if (skip) return;
  pair = await makePair('crash');
  ({ a, b } = pair);
});

after(() => pair?.remove());

/** A copy that tells of each file once its close() returned, and tries again what failed. */
class Copy {
  readonly acknowledged: string[] = [];
  readonly done: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(target: string) {
    this.child = spawn(process.execPath, [COPIER, SOURCE, target], {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    assert.ok(this.child.stdout !== null);
    createInterface({ input: this.child.stdout }).on('line', (line) => this.acknowledged.push(line));
    this.done = new Promise((resolve) => this.child.on('close', resolve));
  }
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** The daemon dies as by a power button; its mount must go by itself. */
async function killDaemon(pod: TestPod): Promise<void> {
  assert.ok(statSync(pod.mount).ino === 1, `${pod.name} was not mounted before the kill`);
  process.kill(pod.pid, 'SIGKILL');
  await eventually(() => {
    assert.notEqual(statSync(pod.mount).ino, 1, `${pod.name}: the mount is still there`);
    assert.deepEqual(readdirSync(pod.mount), []);
  }, 5_000);
}

test('the writer is killed three times during a copy', { skip }, async () => {
  for (let round = 0; round < COPIES; round++) await killWriter(`copy-${round}`);
});

test('the receiver is killed three times during a copy', { skip }, async () => {
  for (let round = 0; round < COPIES; round++) await killReceiver(`second-${round}`);
});

async function killWriter(name: string): Promise<void> {
  const copy = new Copy(a.path(name));
  for (const count of KILL_AFTER_FILES) {
    await eventually(() => assert.ok(copy.acknowledged.length >= count), 60_000);
    const acknowledged = [...copy.acknowledged];
    await killDaemon(a);
    await a.up();
    for (const file of acknowledged) {
      assert.equal(
        digest(a.path(name, file)),
        digest(join(SOURCE, file)),
        `${file} was acknowledged before the kill${a.logTail()}`,
      );
    }
  }
  assert.equal(await copy.done, 0);
  assert.deepEqual(fingerprint(a.path(name)), fingerprint(SOURCE));
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  assert.deepEqual(fingerprint(b.path(name)), fingerprint(SOURCE), b.logTail());
}

async function killReceiver(name: string): Promise<void> {
  const copy = new Copy(a.path(name));
  for (const count of KILL_AFTER_FILES) {
    await eventually(() => assert.ok(copy.acknowledged.length >= count), 60_000);
    await killDaemon(b);
    await b.up();
  }
  assert.equal(await copy.done, 0);
  await a.ok('sync', '--wait', '--copies', '2', '--timeout', '60s');
  assert.deepEqual(fingerprint(b.path(name)), fingerprint(SOURCE), b.logTail());
}
