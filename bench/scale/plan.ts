import { setTimeout as pause } from 'node:timers/promises';
import { sha256 } from '../../src/base/index.js';
import { parseNetworkConfig } from '../../src/config/index.js';
import type { Member } from '../../src/membership/index.js';
import { candidatesOf, type Layouts, plainLayouts, planNetwork } from '../../src/placement/index.js';
import type { Tree } from '../../src/tree/index.js';
import { residentMegabytes } from '../../test/system/pods.js';
import type { Requests } from './messages.js';

const PODS = ['a', 'b', 'c', 'd', 'e'];
const LOOK_MS = 20;

/** Plans over a tree, and tells what that took of this process. */
export async function planOver(
  tree: Tree,
  { before, after }: Requests['plan']['ask'],
): Promise<Requests['plan']['answer']> {
  const [old, now] = [layoutsOf(before), layoutsOf(after)];
  await pause(1_000);
  const base = residentMegabytes(process.pid);
  let peak = base;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMegabytes(process.pid));
  }, LOOK_MS);
  const [started, used] = [performance.now(), process.cpuUsage()];
  const { make } = await planNetwork(tree, old, now, Date.now(), new AbortController().signal);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(used);
  clearInterval(watch);
  return {
    seconds,
    processorSeconds: (user + system) / 1e6,
    megabytes: peak - base,
    copies: make.copies,
  };
}

function layoutsOf(text: string): Layouts {
  const config = parseNetworkConfig(text);
  const members = PODS.map((name): Member => {
    const id = sha256(Buffer.from(name));
    return { id, name, role: 'storage', addedBy: id, addedAt: 0 };
  });
  return plainLayouts(members[0]?.id ?? '', candidatesOf(members, config), config);
}
