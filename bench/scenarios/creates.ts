import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { atLeast, type Figure, type Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { withSshfs } from '../sshfs.js';
import { withPair } from '../world.js';

const FILES = 5_000;

export const creates: Scenario = {
  name: 'creates',
  run: () =>
    withPair('storage', async ({ folder, a }) => {
      const plain = join(folder, 'plain');
      mkdirSync(plain);
      const disk = (await runProgram('create-files', plain, FILES))['perSecond'] ?? Number.NaN;
      const sshfs = await withSshfs(folder, (mount) => runProgram('create-files', mount, FILES));
      const rate = (await runProgram('create-files', a.path(), FILES))['perSecond'] ?? Number.NaN;
      const name = 'create + write 4 KiB + close';
      const figures: Figure[] = [
        {
          name,
          value: rate,
          unit: '/s',
          target: atLeast(2_000, rate, '/s'),
          beside: { name: 'plain disk', value: disk, ratio: rate / disk },
        },
      ];
      if ('missing' in sshfs && typeof sshfs.missing === 'string') {
        figures.push({
          name: `${name} beside sshfs`,
          value: Number.NaN,
          unit: '',
          note: `skipped: ${sshfs.missing}`,
        });
      } else {
        const peer = (sshfs as Record<string, number>)['perSecond'] ?? Number.NaN;
        const ratio = rate / peer;
        figures.push({
          name: `${name} beside sshfs`,
          value: ratio,
          unit: 'x',
          target: atLeast(1, ratio, 'x'),
          beside: { name: 'sshfs on localhost', value: peer, ratio },
        });
      }
      return figures;
    }),
};
