import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.js';
import { Targets } from '../../src/net/targets.js';
import fc from '../property.js';

const nobody = () => false;

test('retries come with backoff: often where a pod was lately, rarely elsewhere', () => {
  const delaysOf = (outcome: 'failed' | 'refused', seenAgoMs: number) => {
    const targets = new Targets();
    targets.add('10.0.0.1:4747', 0, true);
    let now = seenAgoMs;
    return Array.from({ length: 12 }, () => {
      const [target] = targets.due(now, nobody);
      assert.ok(target !== undefined, 'it was not due when it said so');
      targets.ended(target, outcome, now, 1);
      const delay = target.nextAtMs - now;
      assert.deepEqual(targets.due(now + delay - 1, nobody), []);
      now += delay;
      return delay;
    });
  };
  const fresh = delaysOf('failed', 0);
  assert.equal(fresh[0], LIMITS.redialMinMs);
  assert.equal(Math.max(...fresh), LIMITS.redialFreshMaxMs);
  assert.equal(Math.max(...delaysOf('failed', LIMITS.addressFreshMs)), LIMITS.redialMaxMs);
  assert.equal(Math.max(...delaysOf('refused', 0)), LIMITS.redialMaxMs);
});

test('jitter spreads retries over half of their delay', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(30), (jitter, failures) => {
      const targets = new Targets();
      targets.add('a:1', 0, true);
      for (let count = 0; count <= failures; count++) {
        const [target] = targets.due(Number.MAX_SAFE_INTEGER, nobody);
        assert.ok(target !== undefined);
        targets.ended(target, 'failed', 0, jitter);
        assert.ok(target.nextAtMs >= LIMITS.redialMinMs / 2 && target.nextAtMs <= LIMITS.redialMaxMs);
      }
    }),
  );
});

test('an announcement, a lost link and a changed network make it try at once', () => {
  const targets = new Targets();
  targets.add('10.0.0.1:4747', 0, false);
  const [target] = targets.due(0, nobody);
  assert.ok(target !== undefined);
  const fail = () => {
    target.failures = 20;
    targets.ended(target, 'failed', 1_000, 1);
    assert.deepEqual(targets.due(1_001, nobody), []);
  };
  target.peer = 'the peer';
  fail();
  targets.add('10.0.0.1:4747', 1_001, false);
  assert.equal(targets.due(1_001, nobody).length, 1);
  fail();
  targets.lost('the peer', 1_001);
  assert.equal(targets.due(1_001, nobody).length, 1);
  fail();
  targets.retryAll(1_001);
  assert.equal(targets.due(1_001, nobody).length, 1);
  assert.deepEqual(
    targets.due(1_001, (peer) => peer === 'the peer'),
    [],
    'dialled where there is a link',
  );
});

test('what was found and stayed silent is forgotten, what was given is not, and there is a limit', () => {
  const targets = new Targets();
  targets.add('given:1', 0, true);
  targets.add('found:1', 0, false);
  targets.due(LIMITS.addressForgetMs + 1, nobody);
  assert.deepEqual(
    targets.list().map((target) => target.address),
    ['given:1'],
  );
  for (let index = 0; index < LIMITS.addressesMax + 50; index++) targets.add(`host-${index}:1`, index, false);
  assert.equal(targets.list().length, LIMITS.addressesMax);
  assert.ok(targets.list().some((target) => target.address === 'given:1'));
  assert.ok(!targets.list().some((target) => target.address === 'host-0:1'), 'the oldest goes first');
  assert.equal(targets.add('not an address', 0, true), false);
  assert.equal(targets.add('[fd00::1]:4747', 0, true), true);
});
