import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, Pace, systemClock } from '../../src/base/index.js';
import fc from '../property.js';

function handClock(): { clock: Clock; pass(ms: number): void } {
  let now = 0;
  const clock = { ...systemClock, monotonicMs: () => now };
  return {
    clock,
    pass: (ms) => {
      now += ms;
    },
  };
}

test('whatever is taken whenever that is allowed, the rate holds on average', () => {
  const pieces = fc.array(fc.record({ bytes: fc.nat(5_000_000), pauseMs: fc.nat(400) }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(pieces, (all) => {
      const { clock, pass } = handClock();
      const pace = new Pace(clock, 1_000_000);
      let taken = 0;
      for (const { bytes, pauseMs } of all) {
        pass(pauseMs);
        while (pace.waitMs > 0) pass(pace.waitMs);
        // Never more than the time so far allows, and the burst after a pause.
        assert.ok(
          taken <= (clock.monotonicMs() + 251) * 1000,
          `${taken} bytes after ${clock.monotonicMs()} ms`,
        );
        pace.take(bytes);
        taken += bytes;
      }
    }),
  );
});

test('without a rate nobody waits, and a rate that is taken away is forgotten', () => {
  const { clock } = handClock();
  const pace = new Pace(clock);
  pace.take(1e12);
  assert.equal(pace.waitMs, 0);
  pace.set(1000);
  pace.take(1e6);
  assert.ok(pace.waitMs > 0);
  pace.set();
  assert.equal(pace.waitMs, 0);
});
