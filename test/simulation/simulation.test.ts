import './world-calls.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Outcome } from './world.js';

// Whole pods in one thread, from one seed: trees, contents, file systems, links, placement and collection as the daemon
// puts them together, over a clock, disks and links of the simulation's own. `npm run simulate -- whole` runs more.

const SEEDS = 500;
const KEPT = new URL('../../../fixtures/whole-simulation-seeds.txt', import.meta.url);

const { simulateWhole } = await import('./world.js');

test('whole pods: a seed is the same run again, turn by turn', async () => {
  for (const seed of [2, 3, 11]) {
    const [first, second] = [
      await simulateWhole(seed, { lines: true }),
      await simulateWhole(seed, { lines: true }),
    ];
    assert.ok(first.turns > 500, 'hardly anything happened');
    assert.deepEqual(second.lines, first.lines);
    assert.equal(second.fingerprint, first.fingerprint);
  }
});

test(`whole pods: ${SEEDS} seeds, and those that failed once: equal trees, every acknowledged byte readable everywhere, copies as declared`, async (t) => {
  const lines = readFileSync(KEPT, 'utf8').split('\n');
  const kept = lines.filter((line) => /^\d/.test(line)).map((line) => Number.parseInt(line, 10));
  assert.ok(kept.length > 0);
  const failed: number[] = [];
  const outcomes: Outcome[] = [];
  let first: unknown;
  for (const seed of new Set([...kept, ...Array.from({ length: SEEDS }, (_, at) => at + 1)])) {
    try {
      outcomes.push(await simulateWhole(seed));
    } catch (error) {
      failed.push(seed);
      first ??= error;
      t.diagnostic(
        `failed: npm run simulate -- whole --seed ${seed}, and keep it in fixtures/whole-simulation-seeds.txt`,
      );
    }
  }
  assert.deepEqual(failed, [], String(first));
  const struck = outcomes.filter(({ faults, acknowledged }) => faults > 0 && acknowledged > 0);
  assert.ok(
    struck.length > outcomes.length / 2,
    'in most runs no fault struck after something was acknowledged',
  );
  for (const what of Object.keys(outcomes[0]?.reached ?? {}) as (keyof Outcome['reached'])[]) {
    const runs = outcomes.filter(({ reached }) => reached[what] > 0).length;
    t.diagnostic(`${what}: in ${runs} runs`);
    assert.ok(runs > 0, `in no run was anything ${what}`);
  }
});
