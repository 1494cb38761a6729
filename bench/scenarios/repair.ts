import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeNetwork } from '../../test/system/namespaces.js';
import { endAll, eventually, processorMs, receivedBytes, TestPod } from '../../test/system/pods.js';
import { atLeast, atMost, type Figure, percentile, type Scenario } from '../figure.js';
import { Foreground, type Latencies, sha256Of } from '../foreground.js';

const PODS = 5;
/** `--files 20000` is the full size: 5 GiB. */
const FILES = 2_000;
/** One in ten is large; 270 kB on average. */
const SMALL_BYTES = 40_000;
const LARGE_BYTES = 2_330_000;
const LARGE_EVERY = 10;
const GRACE_MS = 3_000;
const DECLARED = `copies: 2
pods: { reader: { role: portal, cache: 1MB } }
crisis: { grace: ${GRACE_MS / 1000}s }
`;
/** A write a second needs so long for a p95 that means something. */
const QUIET_MS = 10_000;
const LOOK_MS = 300;
const HELD_TIMEOUT_MS = 600_000;
const JOIN_RATIO_MAX = 1.1;
const REPAIR_RATIO_MAX = 1.05;
const MEGABYTES_PER_SECOND = 100;
const SLOWDOWN_MAX = 1.5;

/**
 * Five pods with two copies of everything, and a portal on which somebody reads and writes all the time. A sixth comes
 * and goes again, the declaration changes, one dies with its disk: what moves, how fast, and what the reader feels.
 */
export const repair: Scenario = {
  name: 'repair',
  run: async ({ files = FILES }) => {
    const rig = await setUp(files);
    try {
      return await drill(rig, files);
    } finally {
      await endAll(rig.pods);
      await rig.remove();
    }
  },
};

interface Rig {
  /** The storage pods, and the one on which somebody works. */
  storage: TestPod[];
  reader: TestPod;
  newcomer: TestPod;
  pods: TestPod[];
  file: string;
  remove(): Promise<void>;
}

async function setUp(files: number): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-repair-'));
  const lan = makeNetwork(PODS + 2);
  const names = Array.from({ length: PODS }, (_, i) => `pod-${i}`);
  const [first, ...others] = names.map((name, i) => new TestPod(lan.hosts[i], name, folder));
  const reader = new TestPod(lan.hosts[PODS], 'reader', folder);
  const newcomer = new TestPod(lan.hosts[PODS + 1], 'sixth', folder);
  if (first === undefined) throw new Error('a network needs a pod');
  const file = join(folder, 'wormhole.yaml');
  writeFileSync(file, DECLARED);
  await first.create('bench');
  await first.ok('apply', file, '--yes');
  for (const pod of [...others, reader]) await pod.join(first);
  console.error(`  ${files} files, ${Math.round(bytesOf(files) / 1e6)} MB`);
  const remove = async () => {
    await lan.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  return { storage: [first, ...others], reader, newcomer, pods: [first, ...others, reader], file, remove };
}

async function drill(rig: Rig, files: number): Promise<Figure[]> {
  const { storage, reader, newcomer, file } = rig;
  const [first] = storage as [TestPod];
  const sums = fill(first, files);
  await first.ask('sync', { copies: 2, timeoutMs: HELD_TIMEOUT_MS });
  await evenedOut(storage);
  console.error('  everything is where it belongs; somebody begins to work');
  const work = new Foreground(reader, sums);
  await sleep(QUIET_MS);
  const quiet = work.take();
  const figures: Figure[] = [];
  const felt = (what: string) => figures.push(...slowdown(what, quiet, work.take()));

  const join = await movedDuring(storage, [newcomer], work, async () => {
    await newcomer.join(first);
    rig.pods.push(newcomer);
    await evenedOut([...storage, newcomer]);
  });
  const share = await holdsOf(first, newcomer.name);
  const joinRatio = join.bytes / share;
  figures.push({
    name: 'join of a sixth pod: bytes moved of those that it gets',
    value: joinRatio,
    unit: 'x',
    target: atMost(JOIN_RATIO_MAX, joinRatio, 'x'),
    note: `${megabytes(share)} MB fall to it`,
  });
  felt('join');

  writeFileSync(file, DECLARED.replace('copies: 2', 'copies: 2\nhistory: 7d'));
  await first.ok('apply', file, '--yes');
  await sleep(QUIET_MS);
  felt('config change');

  await newcomer.ok('leave', '--timeout', '300s');
  await evenedOut(storage);
  felt('leave');

  const victim = storage.at(-1) as TestPod;
  const left = storage.slice(0, -1);
  const lost = await holdsOf(first, victim.name);
  const kill = await movedDuring(left, [], work, async () => {
    process.kill(victim.pid, 'SIGKILL');
    await sleep(GRACE_MS / 2);
    rmSync(victim.home, { recursive: true, force: true });
    // It is lost after the grace time, as each pod sees it within a second.
    await sleep(GRACE_MS / 2 + 1_500);
    await held(left);
  });
  const seconds = kill.seconds - GRACE_MS / 1000;
  const [ratio, rate] = [kill.bytes / lost, lost / 1e6 / seconds];
  const perCore = lost / 1e6 / (kill.processorMs / 1000);
  figures.push(
    {
      name: 'kill and wipe: bytes moved of the bytes lost',
      value: ratio,
      unit: 'x',
      target: atMost(REPAIR_RATIO_MAX, ratio, 'x'),
      note: `${megabytes(lost)} MB lost`,
    },
    {
      name: 'kill and wipe: copies made anew',
      value: rate,
      unit: 'MB/s',
      target: atLeast(MEGABYTES_PER_SECOND, rate, 'MB/s'),
      note: `${perCore.toFixed(0)} MB a second of one core; all pods, the reader and the links share the cores`,
    },
  );
  felt('kill');
  await work.stop();
  figures.push(
    count('operations of the reader and writer that failed', work.errors.length, work.errors[0]),
    count('files read with wrong bytes', work.wrong),
    count('files unreadable afterwards', await unreadable(left[1] as TestPod, sums)),
  );
  return figures;
}

interface Moved {
  bytes: number;
  seconds: number;
  /** Processor time of these pods. */
  processorMs: number;
}

/** What these pods receive and use, without what was written meanwhile. */
async function movedDuring(
  pods: readonly TestPod[],
  coming: readonly TestPod[],
  work: Foreground,
  act: () => Promise<void>,
): Promise<Moved> {
  const received = (of: readonly TestPod[]) =>
    of.reduce((sum, { host }) => sum + (host === undefined ? 0 : receivedBytes(host)), 0);
  const used = (of: readonly TestPod[]) => of.reduce((sum, { pid }) => sum + processorMs(pid), 0);
  const all = [...pods, ...coming];
  const [before, usedBefore, writtenBefore] = [received(all), used(pods), work.bytesWritten];
  const started = performance.now();
  await act();
  const seconds = (performance.now() - started) / 1000;
  const written = 2 * (work.bytesWritten - writtenBefore);
  return { bytes: received(all) - before - written, seconds, processorMs: used(all) - usedBefore };
}

/** Bytes that a pod holds, as the plan for one copy more tells. */
async function holdsOf(asked: TestPod, name: string): Promise<number> {
  const { text } = await asked.ask('config', {});
  const plan = await asked.ask('plan', { text: text.replace('copies: 2', 'copies: 3') });
  const of = plan.pods.find((pod) => pod.name === name);
  return (of?.holds ?? 0) - (of?.receive ?? 0);
}

function slowdown(what: string, quiet: Latencies, now: Latencies): Figure[] {
  return (['reads', 'writes'] as const).map((kind) => {
    const [before, during] = [percentile(quiet[kind], 0.95), percentile(now[kind], 0.95)];
    const ratio = during / before;
    const note = `${before.toFixed(1)} ms before, ${during.toFixed(1)} ms during`;
    const target = atMost(SLOWDOWN_MAX, ratio, 'x');
    return { name: `${what}: p95 of ${kind}`, value: ratio, unit: 'x', target, note };
  });
}

function count(name: string, value: number, note?: string): Figure {
  const figure = { name, value, unit: 'files', target: atMost(0, value, 'files') };
  return note === undefined ? figure : { ...figure, note };
}

function bytesOf(files: number): number {
  return files * (((LARGE_EVERY - 1) * SMALL_BYTES + LARGE_BYTES) / LARGE_EVERY);
}

/** Files with bytes of their own. @returns SHA-256 by name */
function fill(pod: TestPod, files: number): Map<string, string> {
  const sums = new Map<string, string>();
  for (const folder of ['small', 'large']) mkdirSync(pod.path(folder));
  for (let i = 0; i < files; i++) {
    const isLarge = i % LARGE_EVERY === 0;
    const bytes = randomBytes(isLarge ? LARGE_BYTES : SMALL_BYTES);
    const name = join(isLarge ? 'large' : 'small', `f${i}`);
    writeFileSync(pod.path(name), bytes);
    sums.set(name, sha256Of(bytes));
  }
  return sums;
}

/** Everything is held as it should be, as all pods say. Asking takes processor time too. */
async function held(pods: readonly TestPod[]): Promise<void> {
  await eventually(async () => {
    await sleep(LOOK_MS);
    for (const pod of pods) {
      const { underReplicated, work } = await pod.status();
      // What is written all the time is never quite everywhere.
      if (underReplicated > 20 || work.some(({ done, total }) => total - done > 20))
        throw new Error(`${pod.name}: ${underReplicated} to go`);
    }
  }, HELD_TIMEOUT_MS);
}

/** The same, and nobody keeps what belongs elsewhere. */
async function evenedOut(pods: readonly TestPod[]): Promise<void> {
  await held(pods);
  await eventually(async () => {
    for (const pod of pods) {
      const { chunks } = await pod.ask('rebalance', { plan: false });
      const rest = await pod.ask('rebalance', { plan: true });
      if (chunks + rest.chunks > 0) throw new Error(`${pod.name} lets go of ${chunks}`);
    }
  }, HELD_TIMEOUT_MS);
}

async function unreadable(pod: TestPod, sums: ReadonlyMap<string, string>): Promise<number> {
  let wrong = 0;
  for (const [name, sum] of sums) {
    const bytes = await readFile(pod.path(name)).catch(() => undefined);
    if (bytes === undefined || sha256Of(bytes) !== sum) wrong++;
  }
  return wrong;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
