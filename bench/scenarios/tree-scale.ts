import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentMegabytes } from '../../test/system/pods.js';
import { atMost, type Figure, percentile, type Scenario } from '../figure.js';
import { makeTree } from '../scale/make.js';
import { RemotePod } from '../scale/remote-pod.js';
import { withPod } from '../world.js';

const CHANGES_A_SIDE = 10_000;
const MILLION = 1_000_000;

/** What issue 3 asks for; between the two sizes the smaller tree's. */
const TARGETS = {
  small: { startMs: 1_000, indexMB: 200, loadedMB: 350, createMs: 0.5, remoteMs: 5, joinS: 10, mergeS: 10 },
  large: { startMs: 2_000, indexMB: 300, loadedMB: 1_000, createMs: 1, remoteMs: 10, joinS: 60, mergeS: 20 },
};
const RENAME_MS = 20;
const SLICE_MS = 50;

/**
 * The tree alone, a process a pod as the daemon has it (readers on its main thread, document and index in the
 * other), without mount, links and contents.
 */
export const treeScale: Scenario = {
  name: 'tree-scale',
  async run({ files = 100_000 }) {
    const folder = mkdtempSync(join(tmpdir(), 'wormhole-scale-'));
    const pods: RemotePod[] = [];
    const start = () => {
      const pod = new RemotePod();
      pods.push(pod);
      return pod;
    };
    try {
      return await measure(folder, files, start);
    } finally {
      for (const pod of pods) await pod.end();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function measure(folder: string, files: number, start: () => RemotePod): Promise<Figure[]> {
  const target = files >= MILLION ? TARGETS.large : TARGETS.small;
  const figures: Figure[] = [];
  const figure = (name: string, value: number, unit: string, limit?: number, note?: string) => {
    const rounded: Figure = { name: `${name}, ${files.toLocaleString('en')} files`, value, unit };
    if (limit !== undefined) rounded.target = atMost(limit, value, unit);
    if (note !== undefined) rounded.note = note;
    figures.push(rounded);
    console.error(`  ${rounded.name}: ${value.toFixed(2)} ${unit}${note === undefined ? '' : ` (${note})`}`);
  };

  const made = await makeTree(join(folder, 'a'), files);
  figure(
    'document made, a change a bucket',
    made.seconds,
    's',
    undefined,
    `${(made.bytes / 1e6).toFixed(0)} MB`,
  );
  let a = start();
  const opening = { founder: true, name: 'a', folder: join(folder, 'a') };
  await timed(
    async () => a.ask('open', opening),
    (ms) => figure('index built from the document', ms / 1000, 's', undefined, spent(a)),
  );
  await a.ask('close', {});
  await a.end();

  const began = performance.now();
  a = start();
  await a.ask('open', opening);
  figure(
    'start to first ls answered',
    performance.now() - began,
    'ms',
    target.startMs,
    'a process of the tree alone',
  );
  figure('memory, serving from the index', a.megabytes, 'MB', target.indexMB, 'RssAnon at the first answer');
  await timed(
    () => a.ask('loaded', {}),
    (ms) => figure('document loaded after', ms / 1000, 's', undefined, spent(a)),
  );
  figure('memory, document loaded', a.megabytes, 'MB');
  await sleep(5_000);
  figure('memory, document loaded, idle', a.megabytes, 'MB', target.loadedMB);
  if (files < MILLION)
    await withPod(async (pod) => figure('whole daemon with an empty tree', residentMegabytes(pod.pid), 'MB'));

  const burst = await a.ask('create', { count: 2_000, apart: false });
  figure('one local create of many, all threads', burst.processorMs, 'ms', target.createMs, 'processor time');
  figure('one local create of many, main thread', burst.mainMs, 'ms');
  const single = await a.ask('create', { count: 100, apart: true });
  figure('one local create by itself, all threads', single.processorMs, 'ms', undefined, 'processor time');
  const rename = await a.ask('rename', {});
  figure('rename of the top folder, shown', rename.shownMs, 'ms', RENAME_MS, 'one register, no chunk');
  figure('rename of the top folder, durable in the document', rename.durableMs, 'ms');

  const b = start();
  await b.ask('open', { founder: false, name: 'b', folder: join(folder, 'b') });
  for (const pod of [a, b]) await pod.ask('loop', {});
  const beforeJoin = b.processorSeconds;
  await timed(
    async () => {
      const path = join(folder, 'snapshot');
      if ((await a.ask('snapshot', { path })).written) await b.ask('adopt', { path });
      else await converse(a, b);
    },
    (ms) => figure('cold join, tree complete', ms / 1000, 's', target.joinS, spent(b, beforeJoin)),
  );
  await slices('during a cold join', a, b, figure);

  const latencies: number[] = [];
  for (let i = 0; i < 40; i++) {
    latencies.push((await b.ask('push', await a.ask('change', { name: `remote ${i}` }))).ms);
  }
  figure('one remote change to visible in the index, p50', percentile(latencies, 0.5), 'ms', target.remoteMs);

  await Promise.all([
    a.ask('diverge', { count: CHANGES_A_SIDE, side: 0 }),
    b.ask('diverge', { count: CHANGES_A_SIDE, side: 1 }),
  ]);
  for (const pod of [a, b]) await pod.ask('loop', {});
  const beforeMerge = b.processorSeconds;
  await timed(
    () => converse(a, b),
    (ms) => {
      const name = 'merge of 10,000 changes on each of two sides';
      figure(name, ms / 1000, 's', target.mergeS, spent(b, beforeMerge));
    },
  );
  await slices('during the merge', a, b, figure);
  const [one, other] = [await a.ask('fingerprint', {}), await b.ask('fingerprint', {})];
  if (JSON.stringify(one) !== JSON.stringify(other)) {
    throw new Error(`the pods differ: ${JSON.stringify(one)} and ${JSON.stringify(other)}`);
  }
  figure('memory after the merge', Math.max(a.megabytes, b.megabytes), 'MB');
  for (const pod of [a, b]) await pod.ask('close', {});
  return figures;
}

async function slices(
  when: string,
  a: RemotePod,
  b: RemotePod,
  figure: (name: string, value: number, unit: string, limit: number, note: string) => void,
): Promise<void> {
  const [ofA, ofB] = [await a.ask('loop', {}), await b.ask('loop', {})];
  const processorMs = Math.max(ofA.processorMs, ofB.processorMs);
  const note = `${processorMs.toFixed(0)} ms of processor time`;
  const longestMs = Math.max(ofA.longestMs, ofB.longestMs);
  figure(`longest slice of an event loop ${when}`, longestMs, 'ms', SLICE_MS, note);
}

/** What a pod has computed since. */
function spent(pod: RemotePod, sinceSeconds = 0): string {
  return `${(pod.processorSeconds - sinceSeconds).toFixed(1)} s of processor time`;
}

/** Until neither has anything to say. */
async function converse(a: RemotePod, b: RemotePod): Promise<void> {
  for (;;) {
    const [toB, toA] = await Promise.all([a.ask('generate', {}), b.ask('generate', {})]);
    if (toA === undefined && toB === undefined) return;
    await Promise.all([
      toB === undefined ? undefined : b.ask('receive', toB),
      toA === undefined ? undefined : a.ask('receive', toA),
    ]);
  }
}

async function timed(work: () => Promise<unknown>, say: (ms: number) => void): Promise<void> {
  const started = performance.now();
  await work();
  say(performance.now() - started);
}
