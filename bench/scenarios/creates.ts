import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { atLeast, type Figure, type Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { withSshfs } from '../sshfs.js';
import { withPair, withPod } from '../world.js';

const FILES = 5_000;

export const creates: Scenario = {
  name: 'creates',
  async run() {
    const alone = await withPod(async (pod, folder) => {
      const plain = join(folder, 'plain');
      mkdirSync(plain);
      return {
        disk: await createRate(plain),
        sshfs: await withSshfs(folder, createRate),
        pod: await createRate(pod.path()),
      };
    });
    // Both pods on this machine's two cores: what is left while the other takes everything in at once.
    const linked = await withPair('storage', ({ a }) => createRate(a.path()));
    const name = 'create + write 4 KiB + close';
    return [
      {
        name,
        value: alone.pod,
        unit: '/s',
        target: atLeast(2_000, alone.pod, '/s'),
        beside: { name: 'plain disk', value: alone.disk, ratio: alone.pod / alone.disk },
      },
      besideSshfs(name, alone.pod, alone.sshfs),
      { name: `${name}, a second pod on the same cores taking it in`, value: linked, unit: '/s' },
    ];
  },
};

/** The second of two runs: a process that has just started is still being compiled. */
async function createRate(folder: string): Promise<number> {
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  for (const run of [first, second]) mkdirSync(run);
  await runProgram('create-files', first, FILES);
  return (await runProgram('create-files', second, FILES))['perSecond'] ?? Number.NaN;
}

function besideSshfs(name: string, rate: number, sshfs: number | { missing: string }): Figure {
  if (typeof sshfs !== 'number') {
    return { name: `${name} beside sshfs`, value: Number.NaN, unit: '', note: `skipped: ${sshfs.missing}` };
  }
  const ratio = rate / sshfs;
  return {
    name: `${name} beside sshfs`,
    value: ratio,
    unit: 'x',
    target: atLeast(1, ratio, 'x'),
    beside: { name: 'sshfs on localhost', value: sshfs, ratio },
  };
}
