import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeNetwork, type TestNetwork } from './namespaces.js';
import { endAll, TestPod } from './pods.js';

/** Two fresh pods, `alpha` and `beta`, linked, on two hosts of a LAN of their own. */
export interface Pair {
  /** On this machine's disk, taken away at the end. */
  readonly folder: string;
  readonly lan: TestNetwork;
  readonly a: TestPod;
  readonly b: TestPod;
  /** Ends both daemons and takes everything away. */
  remove(): Promise<void>;
}

/** @param name the network's name */
export async function makePair(name: string, options: { role?: 'portal' } = {}): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), `wormhole-${name}-`));
  const lan = makeNetwork(2);
  const a = new TestPod(lan.hosts[0], 'alpha', folder);
  const b = new TestPod(lan.hosts[1], 'beta', folder);
  const remove = async () => {
    await endAll([b, a]);
    await lan.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await a.create(name);
    await b.join(a, options);
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, lan, a, b, remove };
}
