/** A disk that takes seconds for each flush holds up those who ask for a flush; one that fails is told of. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isAlive } from '../../src/cli/process.js';
import { faultsMissing } from '../durability/faulty-pod.js';
import { seededBytes } from '../durability/random.js';
import { RecordedDisk } from '../durability/recorded-disk.js';
import { makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';
import { endAll, eventually, TestPod } from './pods.js';

const missing = namespacesMissing() ?? (await faultsMissing());
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const DISK_BYTES = 256 * 1024 * 1024;
/** While so many flushes are made, several at a time, metadata is worked on. */
const FLUSHES = 8;
/** So long that a busy machine's turns are short beside it. */
const FLUSH_S = 3;
const OPERATIONS = 9;
/** Of another pod, each a chunk in a file of its own: more than there are threads in the pool. */
const ARRIVING = 40;
const ARRIVING_BYTES = 200_000;

let folder: string;
let lan: TestNetwork;
let disk: RecordedDisk;
let pods: TestPod[] = [];

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-slow-disk-'));
  mkdirSync(join(folder, 'disk'));
  disk = await RecordedDisk.make(join(folder, 'disk'), DISK_BYTES);
  lan = makeNetwork(2);
});

after(async () => {
  if (skip) return;
  await endAll(pods);
  await lan.remove();
  await disk.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('a disk that takes seconds for each flush does not hold up names and attributes', {
  skip,
}, async () => {
  const a = new TestPod(lan.hosts[0], 'alpha', folder, join(disk.folder, 'home'));
  const b = new TestPod(lan.hosts[1], 'beta', folder);
  await a.create('slow');
  await b.join(a);
  pods = [a, b];
  await mkdir(a.path('here'));
  await eventually(async () => void (await stat(b.path('here'))));
  const slowness = await SlowFlushes.begin(a.pid, join(folder, 'calls'));
  const stop = new AbortController();
  // Chunks that come and go to disk, and somebody who waits for it.
  const arriving = writeAll(b);
  const synced = syncing(a.path('synced'), stop.signal);
  let rounds = 0;
  try {
    while ((await slowness.count()) < FLUSHES) await names(a.path('here'), rounds++);
  } finally {
    stop.abort();
    await slowness.end();
  }
  await Promise.all([arriving, synced]);
  console.log(`${rounds * OPERATIONS} operations beside ${FLUSHES} flushes of ${FLUSH_S} s each`);
  // Where threads that wait for the disk stood in the way, it was three operations a flush.
  assert.ok(rounds * OPERATIONS > 5 * FLUSHES, `${rounds} rounds`);
  await eventually(async () => {
    assert.equal((await readdir(a.mount)).filter((name) => name.startsWith('arriving')).length, ARRIVING);
  });
});

test('a pod that a failing disk made read-only says so in status and doctor, with the cure, and is read', {
  skip,
}, async (t) => {
  const [a] = pods as [TestPod];
  await writeFile(a.path('kept'), 'kept');
  assert.equal((await a.status()).readOnly, null);
  await disk.fail();
  try {
    await tellsOfFailure(a);
  } catch (error) {
    // LMDB may spoil its memory when a write fails: then nobody is left who could tell.
    if (isAlive(a.pid)) throw error;
    t.skip('LMDB ended the daemon when the disk failed');
  }
});

async function tellsOfFailure(a: TestPod): Promise<void> {
  const file = await open(a.path('synced'), 'r+');
  await file.write('once more');
  await assert.rejects(file.sync(), { code: 'EIO' });
  await file.close().catch(() => {});
  await eventually(async () => {
    const { state, readOnly, warnings } = await a.status();
    assert.equal(state, 'degraded');
    assert.match(readOnly ?? '', /could not be written/);
    assert.ok(warnings.some((warning) => /is read-only.*wh down.*wh up/.test(warning)));
  });
  assert.match(await a.ok('status'), /read-only/);
  const { stdout } = await a.wh('doctor', '--json');
  const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string; cure: string }[] };
  const found = findings.find(({ check }) => check === 'store');
  assert.equal(found?.state, 'problem');
  assert.match(found?.cure ?? '', /dmesg/);
  assert.equal(await readFile(a.path('kept'), 'utf8'), 'kept');
}

async function writeAll(pod: TestPod): Promise<void> {
  for (let index = 0; index < ARRIVING; index++)
    await writeFile(pod.path(`arriving-${index}`), seededBytes(ARRIVING_BYTES, index));
}

/** What programs do to names and attributes: so many operations, and those that they are made of. */
async function names(at: string, round: number): Promise<void> {
  const path = (name: string) => join(at, `${name}-${round}`);
  await writeFile(path('new'), 'hello');
  await stat(path('new'));
  await stat(path('none')).catch(() => {});
  await rename(path('new'), path('renamed'));
  await mkdir(path('folder'));
  assert.ok((await readdir(at)).length >= 2);
  await statfs(at);
  await rmdir(path('folder'));
  await unlink(path('renamed'));
}

async function syncing(path: string, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let index = 0; !signal.aborted; index++) {
      await file.write(seededBytes(2_000, index), 0, 2_000, index * 2_000);
      await file.sync();
    }
  } finally {
    await file.close();
  }
}

/** Each fsync of a process takes so much longer (strace -e inject). */
class SlowFlushes {
  private readonly tracer: ChildProcess;
  private readonly record: string;

  private constructor(tracer: ChildProcess, record: string) {
    this.tracer = tracer;
    this.record = record;
  }

  static async begin(pid: number, record: string): Promise<SlowFlushes> {
    const calls = 'fsync,fdatasync';
    const inject = `inject=${calls}:delay_exit=${FLUSH_S * 1_000_000}`;
    const args = ['-f', '-o', record, '-e', `trace=${calls}`, '-e', inject, '-p', `${pid}`];
    const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const [said] = (await once(tracer.stderr, 'data')) as [Buffer];
    assert.ok(said.includes('attached'), `strace: ${said}`);
    return new SlowFlushes(tracer, record);
  }

  /** Those that have ended so far. */
  async count(): Promise<number> {
    const text = await readFile(this.record, 'utf8');
    return text.split('(DELAYED)').length - 1;
  }

  async end(): Promise<void> {
    const ended = once(this.tracer, 'exit');
    this.tracer.kill('SIGINT');
    await ended;
  }
}
