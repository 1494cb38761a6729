import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atMost, type Figure, type Scenario } from '../figure.js';
import { makeTree, TOP } from '../scale/make.js';
import type { Requests } from '../scale/messages.js';
import { RemotePod } from '../scale/remote-pod.js';

const FILES = 1_000_000;
const SECONDS_MAX = 5;
const MEGABYTES_MAX = 200;

const BEFORE = `copies: 2
pods: { a: { zone: x, media: ssd }, b: { zone: y, media: hdd }, c: { zone: y, media: hdd }, d: { zone: x }, e: { capacity: 0B } }
rules:
  - { path: "/${TOP}/group 1*/**", copies: 3, zones: 2 }
  - { path: "/${TOP}/group 2*/**", prefer: { media: ssd } }
  - { path: "/${TOP}/group 3*/**", require: { media: hdd } }
  - { path: "**/tmp/**", ignore: true }
`;
const PLANS = [
  { name: 'copies 2 to 3', before: 'copies: 2', after: 'copies: 3' },
  { name: '4 rules, a pod more', before: BEFORE, after: BEFORE.replace('e: { capacity: 0B }', 'e:') },
];

/** The plan of `wh plan` over an index on disk, in a process of the tree alone with its document loaded. */
export const plan: Scenario = {
  name: 'plan',
  run: async ({ files = FILES }) => {
    const folder = mkdtempSync(join(tmpdir(), 'wormhole-plan-'));
    const opening = { founder: true, name: 'a', folder };
    await makeTree(folder, files);
    let pod = new RemotePod();
    try {
      // It builds the index; the next one finds it, as every start but the first does.
      await pod.ask('open', opening);
      await pod.ask('close', {});
      await pod.end();
      pod = new RemotePod();
      await pod.ask('open', opening);
      await pod.ask('loaded', {});
      const figures: Figure[] = [];
      for (const { name, before, after } of PLANS)
        figures.push(...figuresOf(name, files, await pod.ask('plan', { before, after })));
      return figures;
    } finally {
      await pod.end();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function figuresOf(what: string, files: number, of: Requests['plan']['answer']): Figure[] {
  const { seconds, processorSeconds, megabytes, copies } = of;
  const name = `plan over ${files.toLocaleString('en')} files, ${what}`;
  const note = `${processorSeconds.toFixed(2)} s of processor time; ${copies} copies to make`;
  const figure = (more: string, value: number, unit: string, limit: number): Figure => {
    return { name: `${name}${more}`, value, unit, target: atMost(limit, value, unit) };
  };
  return [
    { ...figure('', seconds, 's', SECONDS_MAX), note },
    figure(': memory beside the index', megabytes, 'MB', MEGABYTES_MAX),
  ];
}
