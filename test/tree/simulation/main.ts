/** `npm run simulate -- --seeds 20000 --from 1`: runs seeds, and prints those that fail. */
import { parseArgs } from 'node:util';
import { simulate } from './world.js';

const REPORT_EVERY_MS = 10_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    /** Seeds to be run instead, one after the other. */
    seed: { type: 'string', multiple: true },
    /** Stop at the first that fails. */
    bail: { type: 'boolean', default: false },
  },
});

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
    console.error(`replay: npm run simulate -- --seed ${seed}`);
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
