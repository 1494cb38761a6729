import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Clock, LIMITS, silentLog } from '../../src/base/index.js';
import type { EngineClient } from '../../src/tree/engine/client.js';
import type { Journal } from '../../src/tree/index/journal.js';
import { Publisher } from '../../src/tree/publisher.js';
import type { Operation } from '../../src/tree/schema.js';

/** Promises that settle one after the other between the last look at the queue and the end of the run, and then some. */
const STEPS_MAX = 12;
const TURNS_MAX = 100;
/** After so long without an operation a lasting stream has ended. */
const QUIET_MS = LIMITS.groupBulkDelayMsMax / 4;

function operation(seq: number): Operation {
  return { seq, seen: 0, writes: [] } as unknown as Operation;
}

/** Time that passes only when it is told to, or at once for whoever sleeps. */
class TestClock implements Clock {
  nowMs = 0;
  private readonly passes: boolean;
  private sleepers: { untilMs: number; wake: () => void }[] = [];

  constructor(passes: boolean) {
    this.passes = passes;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  wallNs(): bigint {
    return 0n;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (this.passes) this.nowMs += ms;
    if (this.passes) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.sleepers.push({ untilMs: this.nowMs + ms, wake });
      signal?.addEventListener('abort', wake);
    });
  }

  /** Another millisecond, and everything that comes of it. */
  async tick(): Promise<void> {
    this.nowMs++;
    const due = this.sleepers.filter(({ untilMs }) => untilMs <= this.nowMs);
    this.sleepers = this.sleepers.filter(({ untilMs }) => untilMs > this.nowMs);
    for (const { wake } of due) wake();
    await setImmediate();
  }
}

/** Hands on what was added, and says of each batch that it was given. */
function publisher(givenBatch: (seqs: number[]) => void, clock: Clock = new TestClock(true)): Publisher {
  const engine = {
    ready: Promise.resolve({ heads: [], appliedSeq: 0 }),
    apply: (operations: readonly Operation[]) => givenBatch(operations.map(({ seq }) => seq)),
  };
  const journal = { first: 1, next: 1, sync: async () => {}, from: () => [] };
  return new Publisher({
    engine: engine as unknown as EngineClient,
    journal: journal as unknown as Journal,
    beforePublish: async () => {},
    clock,
    log: silentLog,
    replayed: [],
    onTrouble: () => {},
  });
}

test('an operation that comes right when the queue was emptied is handed on too', async () => {
  for (let steps = 0; steps <= STEPS_MAX; steps++) {
    const given: number[] = [];
    const made = publisher((seqs) => {
      given.push(...seqs);
      if (seqs.includes(1)) addAfter(steps);
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

test('a lasting stream goes in few groups, a single change and the end of a stream soon', async () => {
  const clock = new TestClock(false);
  const batches: { atMs: number; seqs: number[] }[] = [];
  const made = publisher((seqs) => batches.push({ atMs: clock.nowMs, seqs }), clock);
  const ticks = async (count: number) => {
    for (let tick = 0; tick < count; tick++) await clock.tick();
  };
  await ticks(2000);
  made.add(operation(1));
  await ticks(1);
  assert.deepEqual(batches.splice(0), [{ atMs: 2001, seqs: [1] }], 'the first change after a pause');

  await ticks(2000);
  const firstMs = clock.nowMs;
  for (let seq = 2; clock.nowMs < firstMs + 6000; seq++) {
    made.add(operation(seq));
    await clock.tick();
  }
  const lastMs = clock.nowMs;
  await ticks(QUIET_MS + 1);
  const given = batches.flatMap(({ seqs }) => seqs);
  assert.deepEqual(
    given,
    Array.from({ length: 6000 }, (_, at) => at + 2),
    'each once, in order, and none is left a moment after the last',
  );
  assert.ok(batches.length < 20, `${batches.length} groups of ${given.length} operations`);
  const gaps = batches.map(({ atMs }, at) => atMs - (batches[at - 1]?.atMs ?? firstMs));
  assert.ok(Math.max(...gaps) <= LIMITS.groupBulkDelayMsMax + 1, `none waits for longer: ${gaps}`);
  assert.ok((batches.at(-1)?.atMs ?? 0) <= lastMs + QUIET_MS, 'the end of a stream is not waited for');
  await made.stop();
});
