import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigPlan, Status } from '../../src/daemon/control.js';
import { makeNetwork } from '../../test/system/namespaces.js';
import { eventually, receivedBytes, TestPod } from '../../test/system/pods.js';
import { atLeast, atMost, type Scenario } from '../figure.js';

const PODS = 5;
const SMALL_FILES = 1_000;
const SMALL_BYTES = 40_000;
const LARGE_FILES = 8;
const LARGE_BYTES = 16 * 1024 * 1024;
const GRACE_MS = 3_000;
const DECLARED = `copies: 2\ncrisis: { grace: ${GRACE_MS / 1000}s }\n`;
const RATIO_MAX = 1.05;
const MEGABYTES_PER_SECOND = 100;

/** Five pods, two copies of everything; one dies with its disk, and the others make its copies anew. */
export const repair: Scenario = {
  name: 'repair',
  run: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wormhole-repair-'));
    const lan = makeNetwork(PODS);
    const pods = lan.hosts.map((host, i) => new TestPod(host, `pod-${i}`, folder));
    try {
      const [first, ...others] = pods as [TestPod, ...TestPod[]];
      await first.create('bench');
      for (const pod of others) await pod.join(first);
      const file = join(folder, 'wormhole.yaml');
      writeFileSync(file, DECLARED);
      await first.ok('apply', file, '--yes');
      const sums = fill(first);
      await first.ok('sync', '--wait', '--copies', '2', '--timeout', '120s');
      await untilHeld(pods);
      writeFileSync(file, DECLARED.replace('2', '3'));
      const plan = await first.json<ConfigPlan>('plan', file);
      return await lose(plan, pods, sums);
    } finally {
      for (const pod of pods) await pod.wh('down');
      await lan.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function lose(plan: ConfigPlan, pods: readonly TestPod[], sums: ReadonlyMap<string, string>) {
  const victim = pods.at(-1) as TestPod;
  const left = pods.slice(0, -1);
  // The plan for one copy more tells what each pod would hold and receive, and so what it holds.
  const of = plan.pods.find((pod) => pod.name === victim.name);
  const lost = (of?.holds ?? 0) - (of?.receive ?? 0);
  const received = () =>
    left.reduce((sum, pod) => sum + (pod.host === undefined ? 0 : receivedBytes(pod.host)), 0);
  const before = received();
  const started = performance.now();
  process.kill(victim.pid, 'SIGKILL');
  rmSync(victim.home, { recursive: true, force: true });
  let wrong = unreadable(left[0] as TestPod, sums, 10);
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS + 1_500 - (performance.now() - started)));
  await untilHeld(left);
  const seconds = (performance.now() - started - GRACE_MS) / 1000;
  const moved = received() - before;
  wrong += unreadable(left[1] as TestPod, sums, sums.size);
  const note = `${Math.round(lost / 1e6)} MB lost; ${PODS} pods, the reader and the links share two cores`;
  const [ratio, rate] = [moved / lost, lost / 1e6 / seconds];
  return [
    {
      name: 'bytes moved of the bytes lost',
      value: ratio,
      unit: 'x',
      target: atMost(RATIO_MAX, ratio, 'x'),
      note,
    },
    {
      name: 'copies made anew',
      value: rate,
      unit: 'MB/s',
      target: atLeast(MEGABYTES_PER_SECOND, rate, 'MB/s'),
      note: 'until every pod has said that it holds its share',
    },
    {
      name: 'files that could not be read, or had wrong bytes',
      value: wrong,
      unit: 'files',
      target: atMost(0, wrong, 'files'),
    },
  ];
}

/** Files with bytes of their own. @returns SHA-256 by name */
function fill(pod: TestPod): Map<string, string> {
  const sums = new Map<string, string>();
  const put = (name: string, length: number) => {
    const bytes = randomBytes(length);
    writeFileSync(pod.path(name), bytes);
    sums.set(name, createHash('sha256').update(bytes).digest('hex'));
  };
  mkdirSync(pod.path('small'));
  for (let i = 0; i < SMALL_FILES; i++) put(join('small', `f${i}`), SMALL_BYTES);
  for (let i = 0; i < LARGE_FILES; i++) put(`large-${i}`, LARGE_BYTES);
  return sums;
}

async function untilHeld(pods: readonly TestPod[]): Promise<void> {
  await eventually(async () => {
    for (const pod of pods) {
      const { underReplicated, work } = await pod.json<Status>('status');
      if (underReplicated > 0 || work.length > 0) throw new Error(`${pod.name}: ${underReplicated} to go`);
    }
  }, 120_000);
}

function unreadable(pod: TestPod, sums: ReadonlyMap<string, string>, count: number): number {
  let wrong = 0;
  for (const [name, sum] of [...sums].slice(0, count)) {
    try {
      if (
        createHash('sha256')
          .update(readFileSync(pod.path(name)))
          .digest('hex') !== sum
      )
        wrong++;
    } catch {
      wrong++;
    }
  }
  return wrong;
}
