// `npm run simulate -- [whole] --seeds 20000 --from 1`: runs seeds of the simulation of trees, or of whole pods, and
// prints those that fail.
import './world-calls.js';
import { parseArgs } from 'node:util';

const REPORT_EVERY_MS = 10_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    /** Seeds to be run instead, one after the other. */
    seed: { type: 'string', multiple: true },
    /** Stop at the first that fails. */
    bail: { type: 'boolean', default: false },
    /** Of whole pods: print every turn. */
    lines: { type: 'boolean', default: false },
  },
});

const isWhole = positionals[0] === 'whole';
const simulate = isWhole ? await wholePods() : (await import('../tree/simulation/world.js')).simulate;
const from = Number(values.from);
const seeds = values.seed?.map(Number) ?? Array.from({ length: Number(values.seeds) }, (_, at) => from + at);
const startedMs = performance.now();
let reportedMs = startedMs;
const failed: number[] = [];
let done = 0;
for (const seed of seeds) {
  try {
    await simulate(seed);
  } catch (error) {
    failed.push(seed);
    console.error(error);
    console.error(`replay: npm run simulate -- ${isWhole ? 'whole ' : ''}--seed ${seed}`);
    if (values.bail) break;
  }
  done++;
  if (performance.now() - reportedMs < REPORT_EVERY_MS) continue;
  reportedMs = performance.now();
  console.log(`${done} of ${seeds.length} seeds, ${failed.length} failed`);
}
const seconds = Math.round((performance.now() - startedMs) / 1_000);
console.log(`${done} seeds in ${seconds} s, failed: ${failed.length === 0 ? 'none' : failed.join(' ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function wholePods(): Promise<(seed: number) => Promise<void>> {
  const { simulateWhole } = await import('./world.js');
  return async (seed) => {
    const { lines, ...outcome } = await simulateWhole(seed, values);
    if (values.seed !== undefined) console.log(seed, JSON.stringify(outcome));
    for (const line of lines ?? []) console.log(line);
  };
}
