import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLog } from '../../src/base/index.js';
import type { EngineClient } from '../../src/tree/engine/client.js';
import type { Journal } from '../../src/tree/index/journal.js';
import { Publisher } from '../../src/tree/publisher.js';
import type { Operation } from '../../src/tree/schema.js';

/** Promises that settle one after the other between the last look at the queue and the end of the run, and then some. */
const STEPS_MAX = 12;
const TURNS_MAX = 100;

function operation(seq: number): Operation {
  return { seq, seen: 0, writes: [] } as unknown as Operation;
}

/** Hands on what was added, and says of each operation that it was given. */
function publisher(given: (seq: number) => void): Publisher {
  const engine = {
    ready: Promise.resolve({ heads: [], appliedSeq: 0 }),
    apply: (operations: readonly Operation[]) => {
      for (const { seq } of operations) given(seq);
    },
  };
  const journal = { first: 1, next: 1, sync: async () => {}, from: () => [] };
  return new Publisher({
    engine: engine as unknown as EngineClient,
    journal: journal as unknown as Journal,
    beforePublish: async () => {},
    clock: { monotonicMs: () => 0, wallNs: () => 0n, sleep: async () => {} },
    log: silentLog,
    replayed: [],
    onTrouble: () => {},
  });
}

test('an operation that comes right when the queue was emptied is handed on too', async () => {
  for (let steps = 0; steps <= STEPS_MAX; steps++) {
    const given: number[] = [];
    const made = publisher((seq) => {
      given.push(seq);
      if (seq === 1) addAfter(steps);
    });
    const addAfter = async (left: number) => {
      for (let step = 0; step < left; step++) await undefined;
      made.add(operation(2));
    };
    made.add(operation(1));
    for (let turn = 0; turn < TURNS_MAX && given.length < 2; turn++) await setImmediate();
    assert.deepEqual(given, [1, 2], `added ${steps} steps after the first was given`);
    await made.stop();
  }
});
