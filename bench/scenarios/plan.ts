import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { sha256, silentLog, systemClock, systemRandom } from '../../src/base/index.js';
import { parseNetworkConfig } from '../../src/config/index.js';
import type { Member } from '../../src/membership/index.js';
import { candidatesOf, type Layouts, plainLayouts, planNetwork } from '../../src/placement/index.js';
import { type Node, openTree, ROOT } from '../../src/tree/index.js';
import { atMost, type Figure, type Scenario } from '../figure.js';
import { BENCH_NETWORK, makeTree } from '../scale/make.js';

const FILES = 1_000_000;
const FOLDERS = 1_000;
const PAGE = 1_000;
const INDEXED_FILES = 50_000;
const SECONDS_MAX = 5;
const MEGABYTES_MAX = 200;

const PODS = ['a', 'b', 'c', 'd', 'e'];
const BEFORE = `copies: 2
pods: { a: { zone: x, media: ssd }, b: { zone: y, media: hdd }, c: { zone: y, media: hdd }, d: { zone: x }, e: { capacity: 0B } }
rules:
  - { path: /f1/**, copies: 3, zones: 2 }
  - { path: /f2/**, prefer: { media: ssd } }
  - { path: /f3/**, require: { media: hdd } }
  - { path: "**/tmp/**", ignore: true }
`;

const AFTER = BEFORE.replace('e: { capacity: 0B }', 'e:');

/** The plan of `wh plan` over a million files, of a tree that is made up as it is asked for. */
export const plan: Scenario = {
  name: 'plan',
  run: async () => {
    const [uniform, ruled] = [await measure('copies: 2', 'copies: 3'), await measure(BEFORE, AFTER)];
    return [
      ...figures(`plan over ${FILES} files, copies 2 to 3`, uniform),
      ...figures(`plan over ${FILES} files, 4 rules, a pod more`, ruled),
      ...(await ofIndex()),
    ];
  },
};

function figures(name: string, { seconds, megabytes, moved }: Awaited<ReturnType<typeof measure>>): Figure[] {
  const note = `processor time; ${moved} copies to make; without the reads of the index`;
  return [
    { name, value: seconds, unit: 's', target: atMost(SECONDS_MAX, seconds, 's'), note },
    { name: `${name}: memory`, value: megabytes, unit: 'MB', target: atMost(MEGABYTES_MAX, megabytes, 'MB') },
  ];
}

async function measure(before: string, after: string) {
  const tree = madeUpTree();
  const [old, now] = [layoutsOf(before), layoutsOf(after)];
  globalThis.gc?.();
  await pause(100);
  const base = process.memoryUsage.rss();
  let peak = base;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  // Not counted; and what is compiled by it is compiled already.
  const making = await processorSeconds(async () => makeUp(tree));
  let flow: Awaited<ReturnType<typeof planNetwork>> | undefined;
  const all = await processorSeconds(async () => {
    flow = await planNetwork(tree, old, now, 0n, new AbortController().signal);
  });
  clearInterval(watch);
  const seconds = all - making;
  return { seconds, megabytes: Math.max(0, peak - base) / 1e6, moved: flow?.make.copies ?? 0 };
}

function layoutsOf(text: string): Layouts {
  const config = parseNetworkConfig(text);
  const members = PODS.map((name): Member => {
    const id = sha256(Buffer.from(name));
    return { id, name, role: 'storage', addedBy: id, addedAt: 0 };
  });
  return plainLayouts(members[0]?.id ?? '', candidatesOf(members, config), config);
}

/** The same over an index on disk, by the million. */
async function ofIndex(): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-plan-'));
  const { bytes } = await makeTree(folder, INDEXED_FILES);
  const tree = await openTree({
    folder,
    podId: 'ab'.repeat(32),
    podName: 'a',
    network: BENCH_NETWORK,
    founder: false,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  try {
    await tree.commit();
    const figures: Figure[] = [];
    for (const [what, before, after] of [
      ['copies 2 to 3', 'copies: 2', 'copies: 3'],
      ['4 rules', BEFORE, AFTER],
    ] as const) {
      const signal = new AbortController().signal;
      const seconds = await processorSeconds(async () => {
        await planNetwork(tree, layoutsOf(before), layoutsOf(after), 0n, signal);
      });
      const { files } = tree.counts();
      figures.push({
        name: `plan over an index, ${what}, for a million`,
        value: (seconds / files) * 1e6,
        unit: 's',
        note: `processor time, of ${files} files; the document takes ${Math.round(bytes / 1e6)} MB`,
      });
    }
    return figures;
  } finally {
    await tree.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of all threads of this process. */
async function processorSeconds(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** What the made-up tree costs by itself. */
function makeUp(tree: ReturnType<typeof madeUpTree>): void {
  let after: string | undefined;
  do after = tree.contents(after, PAGE).at(-1)?.inode;
  while (after !== undefined);
}

/** Files by number, so that nothing has to be kept. */
function madeUpTree(): Parameters<typeof planNetwork>[0] {
  const name = (i: number) => `b/${String(i).padStart(7, '0')}`;
  const numberOf = (inode: string) => Number(inode.slice(2));
  const hash = (i: number) =>
    [0x9e3779b9, 0x85ebca6b, 0xc2b2ae35]
      .map((k) => (Math.imul(i + 1, k) >>> 0).toString(16).padStart(8, '0'))
      .join('');
  return {
    contents: (after, limit) => {
      const from = after === undefined ? 0 : numberOf(after) + 1;
      const count = Math.max(0, Math.min(limit, FILES - from));
      return Array.from({ length: count }, (_, i) => ({
        inode: name(from + i),
        content: `c${hash(from + i)}`,
        size: 10_000,
        seat: { parent: `f${(from + i) % FOLDERS}`, name: String(from + i) },
        mtime: 0n,
      }));
    },
    node: (inode) =>
      ({ id: inode, name: inode.slice(2), parent: `f${numberOf(inode) % FOLDERS}`, mtime: 0n }) as Node,
    pathOf: (folder) => (folder === ROOT ? '/' : `/${folder}`),
  };
}
