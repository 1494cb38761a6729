import './world-calls.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';

// Whole pods in one thread, from one seed: trees, contents, file systems, links, placement and collection as the daemon
// puts them together, over a clock, disks and links of the simulation's own. `npm run simulate -- whole` runs more.

const { simulateWhole } = await import('./world.js');
const { keptSeeds, runSeeds, SEEDS, seedsFrom } = await import('./seeds.js');

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

test(`whole pods: ${SEEDS / 2} of ${SEEDS} seeds, and those that failed once: equal trees, every acknowledged byte readable everywhere, copies as declared`, (t) =>
  runSeeds(t, new Set([...keptSeeds(), ...seedsFrom(1, SEEDS / 2)])));
