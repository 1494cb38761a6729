import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeNetwork } from '../test/system/namespaces.js';
import { TestPod } from '../test/system/pods.js';

/** Two fresh pods on two hosts of a LAN of their own, linked. */
export interface Pair {
  folder: string;
  a: TestPod;
  b: TestPod;
}

/** Runs `work` with one fresh pod on this machine and takes it away afterwards. */
export async function withPod<T>(work: (pod: TestPod, folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-bench-'));
  const pod = new TestPod(undefined, 'alone', folder);
  try {
    await pod.create('bench');
    return await work(pod, folder);
  } finally {
    await pod.wh('down');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs `work` with a pair and takes everything away afterwards. */
export async function withPair<T>(role: 'storage' | 'portal', work: (pair: Pair) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'wormhole-bench-'));
  const lan = makeNetwork(2);
  const a = new TestPod(lan.hosts[0], 'alpha', folder);
  const b = new TestPod(lan.hosts[1], 'beta', folder);
  try {
    await a.create('bench');
    await b.join(a, role === 'portal' ? { role } : {});
    await a.ok('sync', '--wait', '--timeout', '30s');
    return await work({ folder, a, b });
  } finally {
    await b.wh('down');
    await a.wh('down');
    await lan.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}
