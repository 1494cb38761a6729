import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, must } from '../../test/system/pods.js';
import { atMost, type Scenario } from '../figure.js';
import { withPair } from '../world.js';

const SOURCE = '/usr/include';

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

export const treeCopy: Scenario = {
  name: 'tree-copy',
  run: () =>
    withPair('storage', async ({ folder, a, b }) => {
      const plain = join(folder, 'plain');
      mkdirSync(plain);
      // Once unmeasured, so that both copies read from the page cache.
      await must(undefined, ['cp', '-a', SOURCE, join(plain, 'warm-up')]);
      const disk = await seconds(() => must(undefined, ['cp', '-a', SOURCE, join(plain, 'copy')]));
      const copy = await seconds(() => must(undefined, ['cp', '-a', SOURCE, a.path('copy')]));
      const complete = await seconds(() => a.ok('sync', '--wait', '--copies', '2', '--timeout', '120s'));
      const same = fingerprint(b.path('copy')).join('\n') === fingerprint(SOURCE).join('\n');
      if (!same) throw new Error('the copy on B differs from the source');
      const ratio = copy / disk;
      return [
        {
          name: `cp -a ${SOURCE}`,
          value: copy,
          unit: 's',
          target: { text: '<= 4x of plain disk', met: ratio <= 4 },
          beside: { name: 'plain disk', value: disk, ratio },
        },
        {
          name: 'complete on B after the copy',
          value: complete,
          unit: 's',
          target: atMost(30, complete, 's'),
        },
      ];
    }),
};
