import { setTimeout as pause } from 'node:timers/promises';
import { sha256 } from '../../src/base/index.js';
import { parseNetworkConfig } from '../../src/config/index.js';
import type { Member } from '../../src/membership/index.js';
import { candidatesOf, plainLayouts, planNetwork } from '../../src/placement/index.js';
import { type Node, ROOT } from '../../src/tree/index.js';
import { atMost, type Figure, type Scenario } from '../figure.js';

const FILES = 1_000_000;
const FOLDERS = 1_000;
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

/** The plan of `wh plan` over a million files, of a tree that is made up as it is asked for. */
export const plan: Scenario = {
  name: 'plan',
  run: async () => {
    const [uniform, ruled] = [
      await measure('copies: 2', 'copies: 3'),
      await measure(BEFORE, BEFORE.replace('e: { capacity: 0B }', 'e:')),
    ];
    return [
      ...figures(`plan over ${FILES} files, copies 2 to 3`, uniform),
      ...figures(`plan over ${FILES} files, 4 rules, a pod more`, ruled),
    ];
  },
};

function figures(name: string, { seconds, megabytes, moved }: Awaited<ReturnType<typeof measure>>): Figure[] {
  const note = `${moved} copies to make; without the reads of the index`;
  return [
    { name, value: seconds, unit: 's', target: atMost(SECONDS_MAX, seconds, 's'), note },
    { name: `${name}: memory`, value: megabytes, unit: 'MB', target: atMost(MEGABYTES_MAX, megabytes, 'MB') },
  ];
}

async function measure(before: string, after: string) {
  const tree = madeUpTree();
  const layouts = (text: string) => {
    const config = parseNetworkConfig(text);
    const members = PODS.map((name): Member => {
      const id = sha256(Buffer.from(name));
      return { id, name, role: 'storage', addedBy: id, addedAt: 0 };
    });
    return plainLayouts(members[0]?.id ?? '', candidatesOf(members, config), config);
  };
  const [old, now] = [layouts(before), layouts(after)];
  globalThis.gc?.();
  await pause(100);
  const base = process.memoryUsage.rss();
  let peak = base;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  const started = performance.now();
  const flow = await planNetwork(tree, old, now, 0n, new AbortController().signal);
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  return { seconds, megabytes: Math.max(0, peak - base) / 1e6, moved: flow.make.copies };
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
      }));
    },
    node: (inode) =>
      ({ id: inode, name: inode.slice(2), parent: `f${numberOf(inode) % FOLDERS}`, mtime: 0n }) as Node,
    pathOf: (folder) => (folder === ROOT ? '/' : `/${folder}`),
  };
}
