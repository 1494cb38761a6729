import './world-calls.js';
import { test } from 'node:test';

// As simulation.test.ts, beside it on another core.

const { runSeeds, SEEDS, seedsFrom } = await import('./seeds.js');

test(`whole pods: the other half of ${SEEDS} seeds`, (t) =>
  runSeeds(t, new Set(seedsFrom(SEEDS / 2 + 1, SEEDS / 2))));
