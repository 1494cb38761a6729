import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { must, residentMegabytes, type TestPod } from '../../test/system/pods.js';
import { atLeast, atMost, type Figure, type Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { withPod } from '../world.js';

const MEBIBYTES = 1024;
const RANDOM_WRITES = 8_000;

export const content: Scenario = {
  name: 'content',
  run: () =>
    withPod(async (pod, folder) => {
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, residentMegabytes(pod.pid));
      }, 100);
      try {
        const [plain, large] = [join(folder, 'plain'), pod.path('large')];
        const sequential = await besides('write-file', plain, large, MEBIBYTES, 'megabytesPerSecond');
        await settled(pod);
        const copyMs = await timed(() => must(undefined, ['cp', large, pod.path('copy')]));
        const random = await besides('write-randomly', plain, large, RANDOM_WRITES, 'perSecond');
        rmSync(plain);
        await settled(pod);
        const before = chunkBytes(pod);
        await runProgram('shift-file', pod.path('copy'));
        await settled(pod);
        const share = (100 * (chunkBytes(pod) - before)) / (MEBIBYTES * 1024 * 1024);
        return [
          figure('1 GiB in blocks of 1 MiB, with fsync at the end', sequential, 'MB/s', 0.4),
          figure('4 KiB at random in 1 GiB, fsync after every 100', random, '/s', 0.3),
          {
            name: 'cp of 1 GiB inside the mount',
            value: copyMs / 1000,
            unit: 's',
            target: atMost(1, copyMs / 1000, 's'),
          },
          {
            name: 'new bytes after one was put in at the start of 1 GiB',
            value: share,
            unit: '%',
            target: atMost(1, share, '%'),
          },
          { name: 'memory of the daemon, peak', value: peak, unit: 'MB', target: atMost(350, peak, 'MB') },
        ];
      } finally {
        clearInterval(watch);
      }
    }),
};

interface Pair {
  plain: number;
  mount: number;
}

async function besides(
  program: string,
  plain: string,
  mount: string,
  count: number,
  unit: string,
): Promise<Pair> {
  const rate = async (path: string) => (await runProgram(program, path, count))[unit] ?? Number.NaN;
  return { plain: await rate(plain), mount: await rate(mount) };
}

function figure(name: string, { plain, mount }: Pair, unit: string, ratio: number): Figure {
  const is = mount / plain;
  return {
    name,
    value: mount,
    unit,
    target: atLeast(ratio, is, 'x of the plain disk'),
    beside: { name: 'plain disk', value: plain, ratio: is },
  };
}

/** Everything that was written is published, and what it was staged in is gone. */
async function settled(pod: TestPod): Promise<void> {
  await pod.ok('sync', '--wait', '--timeout', '120s');
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function chunkBytes(pod: TestPod): number {
  const folder = join(pod.home, 'bench', 'store', 'content', 'chunks');
  return readdirSync(folder)
    .flatMap((part) => readdirSync(join(folder, part)).map((name) => join(folder, part, name)))
    .reduce((sum, path) => sum + statSync(path).size, 0);
}
