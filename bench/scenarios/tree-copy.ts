import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, must } from '../../test/system/pods.js';
import { withBindfs } from '../bindfs.js';
import { atMost, type Figure, type Scenario } from '../figure.js';
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
      const copied = (to: string) => seconds(() => must(undefined, ['cp', '-a', SOURCE, to]));
      const complete = () => seconds(() => a.ok('sync', '--wait', '--copies', '2', '--timeout', '120s'));
      // Once unmeasured, so that all copies read from the page cache.
      await copied(join(plain, 'warm-up'));
      const before = await copied(join(plain, 'before'));
      const first = await copied(a.path('copy'));
      const waited = await complete();
      const same = fingerprint(b.path('copy')).join('\n') === fingerprint(SOURCE).join('\n');
      if (!same) throw new Error('the copy on B differs from the source');
      const second = await copied(a.path('again'));
      await complete();
      // A disk is now quick and now slow: its copies before and after ours are taken together.
      const disk = (before + (await copied(join(plain, 'after')))) / 2;
      const bindfs = await withBindfs(folder, (mount) => copied(join(mount, 'copy')));
      const figure = (name: string, value: number): Figure => ({
        name,
        value,
        unit: 's',
        beside: { name: 'plain disk', value: disk, ratio: value / disk },
      });
      const aimed = (name: string, value: number): Figure => ({
        ...figure(name, value),
        target: { text: '<= 4x of plain disk', met: value / disk <= 4 },
      });
      return [
        aimed(`cp -a ${SOURCE}, two daemons that have just started`, first),
        { name: 'complete on B after the copy', value: waited, unit: 's', target: atMost(30, waited, 's') },
        {
          ...aimed(`cp -a ${SOURCE} once more`, second),
          ...(typeof bindfs === 'number' ? {} : { note: bindfs.missing }),
        },
        ...(typeof bindfs === 'number' ? [figure('by bindfs, which only passes on', bindfs)] : []),
      ];
    }),
};
