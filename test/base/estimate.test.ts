import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Countdown, Estimate } from '../../src/base/index.js';

test('what is left is judged by what is done, once that says anything', () => {
  let now = 5_000;
  const estimate = new Estimate({ monotonicMs: () => now });
  assert.equal(estimate.left(1, 10), '', 'too early');
  now += 10_000;
  assert.equal(estimate.left(0, 10), '');
  assert.equal(estimate.left(1, 10), ', about 2 min left');
  assert.equal(estimate.left(5, 10), ', about 10 s left');
  assert.equal(estimate.left(10, 10), '');
});

test('where only the rest is known, the most that was ever left is the whole', () => {
  let now = 5_000;
  const countdown = new Countdown({ monotonicMs: () => now });
  assert.equal(countdown.left(50), '');
  assert.equal(countdown.left(100), '');
  now += 10_000;
  assert.equal(countdown.left(100), '', 'nothing is done');
  assert.equal(countdown.left(50), ', about 10 s left');
  assert.equal(countdown.left(0), '');
});
