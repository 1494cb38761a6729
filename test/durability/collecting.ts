import assert from 'node:assert/strict';
import { silentLog } from '../../src/base/index.js';
import { ROOT } from '../../src/tree/index.js';
import { movableClock } from '../content/helpers.js';
import { type InnerPod, openInnerPod, writeInside } from './inner-pod.js';
import { seededBytes } from './random.js';
import type { Witness } from './witness.js';

const FILES = 24;
/** The default history, and some more. */
const HISTORY_MS = 31 * 86_400_000;

/**
 * Files of which half are deleted or written over, and what nothing names any more collected, beside further writes.
 * A month passes meanwhile: the pod in `folder` is opened without a mount, with a clock that can be moved on.
 */
export async function collecting(folder: string, witness: Witness): Promise<void> {
  const clock = movableClock();
  const pod = await openInnerPod(folder, { log: silentLog, clock });
  try {
    const files = Array.from({ length: FILES }, (_, index) => `collected-${index}`);
    for (const [index, name] of files.entries()) await put(pod, witness, name, sizeOf(index), 900 + index);
    for (const [index, name] of files.entries()) {
      if (index % 4 === 0) await put(pod, witness, name, sizeOf(index), 1000 + index);
      if (index % 4 === 1) await remove(pod, witness, name);
    }
    await pod.fileSystem.publishAll();
    await pod.placement.collection.collect();
    clock.pass(HISTORY_MS);
    const [found] = await Promise.all([
      pod.placement.collection.collect(),
      // The bytes of what was deleted come again while they are being collected.
      put(pod, witness, 'collected-anew', sizeOf(1), 901),
    ]);
    assert.ok(found !== undefined && found.removed > 0, 'something was collected');
    assert.ok((await pod.placement.collection.collect()) !== undefined);
  } finally {
    await pod.close();
  }
}

function sizeOf(index: number): number {
  return index % 3 === 0 ? 300_000 + index * 1_000 : 2_000 + index * 10;
}

function put(pod: InnerPod, witness: Witness, name: string, length: number, seed: number): Promise<void> {
  const after = seededBytes(length, seed);
  return witness.change({
    path: name,
    after,
    // Truncated, then written, then flushed.
    during: (seen) => seen !== undefined && seen.length <= length,
    act: () => writeInside(pod, name, after),
  });
}

function remove({ fileSystem }: InnerPod, witness: Witness, name: string): Promise<void> {
  return witness.change({
    path: name,
    after: undefined,
    act: async () => {
      await fileSystem.unlink(ROOT, name);
      await fileSystem.fsyncdir(ROOT);
    },
  });
}
