import { writeFileSync } from 'node:fs';
import { processorMs } from '../../test/system/pods.js';
import { atMost, type Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { withPair } from '../world.js';
import { latencyFigures, measureLatency } from './latency.js';

const FILES = 100_000;
const CHANGES = 500;
const WARM_UP_ROUNDS = 3;

export const largeTree: Scenario = {
  name: 'large-tree',
  run: () =>
    withPair('storage', async ({ a, b }) => {
      const empty = await measureLatency(a, b, 50, 'empty');
      await runProgram('create-files', a.path(), FILES);
      await a.ok('sync', '--wait', '--copies', '2', '--timeout', '600s');
      const idle = await spentMs(a.pid, 2_000, () => {});
      const change = (text: string) => (i: number) =>
        writeFileSync(a.path('d7', `f${7000 + i}`), `${text} ${i}\n`);
      // What the first hundreds cost is compiling: a daemon that runs for long has done that.
      for (let round = 0; round < WARM_UP_ROUNDS; round++)
        await spentMs(a.pid, 2_000, change(`early ${round}`));
      const busy = await spentMs(a.pid, 2_000, change('change'));
      const perChange = (busy - idle) / CHANGES;
      const full = await measureLatency(a, b, 100, 'full');
      const [before] = latencyFigures('', empty);
      return [
        {
          name: `one change in a tree of ${FILES} files, daemon time on A`,
          value: perChange,
          unit: 'ms',
          target: atMost(2, perChange, 'ms'),
          note: 'processor time of all its threads, with sending it to B',
        },
        ...latencyFigures(`close() on A to content on B at ${FILES} files`, full).map((figure) => ({
          ...figure,
          beside: {
            name: 'empty tree, p50',
            value: before?.value ?? Number.NaN,
            ratio: figure.value / (before?.value ?? Number.NaN),
          },
        })),
      ];
    }),
};

/** Processor time of a daemon while `CHANGES` changes are made over a time. */
async function spentMs(pid: number, overMs: number, change: (i: number) => void): Promise<number> {
  const before = processorMs(pid);
  for (let i = 0; i < CHANGES; i++) {
    change(i);
    await new Promise((resolve) => setTimeout(resolve, overMs / CHANGES));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  return processorMs(pid) - before;
}
