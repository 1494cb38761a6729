import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { simulate } from './world.js';

// Whole pods (document, change log, journal, resolver, index) in one thread, from one seed: users' verbs, partitions,
// pushes that come twice, late or never, crashes, stores put back from a backup, a pod that sleeps for most of the run,
// clocks that are years apart. `npm run simulate` runs more of them.

const SEEDS = 500;
const KEPT = new URL('../../../../fixtures/simulation-seeds.txt', import.meta.url);

function keptSeeds(): number[] {
  const lines = readFileSync(KEPT, 'utf8').split('\n');
  return lines.filter((line) => /^\d/.test(line)).map((line) => Number.parseInt(line, 10));
}

test('seeds that failed once', async () => {
  for (const seed of keptSeeds()) await simulate(seed);
});

test(`${SEEDS} seeds: equal heads and equal trees, nothing acknowledged is lost, nothing deleted comes back`, async (t) => {
  const failed: number[] = [];
  let first: unknown;
  for (let seed = 1; seed <= SEEDS; seed++) {
    await simulate(seed).catch((error) => {
      failed.push(seed);
      first ??= error;
      t.diagnostic(
        `failed: npm run simulate -- --seed ${seed}, and keep it in fixtures/simulation-seeds.txt`,
      );
    });
  }
  assert.deepEqual(failed, [], String(first));
});
