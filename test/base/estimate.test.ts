import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Estimate } from '../../src/base/index.js';

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
