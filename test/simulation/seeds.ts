import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type Outcome, simulateWhole } from './world.js';

/** Seeds that CI runs, half of them in each of two files, side by side. */
export const SEEDS = 500;
const KEPT = new URL('../../../fixtures/whole-simulation-seeds.txt', import.meta.url);

/** Those that failed once. */
export function keptSeeds(): number[] {
  const lines = readFileSync(KEPT, 'utf8').split('\n');
  const kept = lines.filter((line) => /^\d/.test(line)).map((line) => Number.parseInt(line, 10));
  assert.ok(kept.length > 0);
  return kept;
}

export const seedsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, at) => first + at);

/** Runs each of them; that faults struck, and that it came to what the runs are there for, is checked too. */
export async function runSeeds(t: TestContext, seeds: ReadonlySet<number>): Promise<void> {
  const failed: number[] = [];
  const outcomes: Outcome[] = [];
  let first: unknown;
  for (const seed of seeds) {
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
}
