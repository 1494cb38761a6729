import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePair, type Pair } from '../test/system/pair.js';
import { TestPod } from '../test/system/pods.js';

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

/** Runs `work` with two linked pods and takes everything away afterwards. */
export async function withPair<T>(role: 'storage' | 'portal', work: (pair: Pair) => Promise<T>): Promise<T> {
  const pair = await makePair('bench', role === 'portal' ? { role } : {});
  try {
    await pair.a.ok('sync', '--wait', '--timeout', '30s');
    return await work(pair);
  } finally {
    await pair.remove();
  }
}
