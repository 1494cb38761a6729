import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import { parseNetworkConfig } from '../../src/config/index.js';
import { Heat } from '../../src/placement/heat.js';
import { candidatesOf, plainLayouts } from '../../src/placement/index.js';

const HOUR = 3_600_000;

test('a file that is opened often becomes hot once, stays so while it is asked for, and cools', () => {
  const heat = new Heat();
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((hour) => heat.opened('f', hour * HOUR)),
    [false, false, false, true, false],
  );
  assert.ok(heat.isHot('f', 10 * HOUR));
  assert.ok(!heat.isHot('g', 10 * HOUR));
  assert.ok(heat.isHot('f', 26 * HOUR), 'through the next day');
  assert.ok(!heat.isHot('f', 51 * HOUR), 'then it is as cold as any');
  assert.equal(heat.opened('f', 52 * HOUR), false);
});

test('opens that are far apart make no file hot', () => {
  const heat = new Heat();
  for (let day = 0; day < 10; day++) assert.equal(heat.opened('f', day * 25 * HOUR), false);
});

test('what other pods tell counts like what is opened here, and is forgotten with their next word', () => {
  const [here, there] = [new Heat(), new Heat()];
  for (let i = 0; i < 2; i++) there.opened('f', HOUR);
  there.opened('g', HOUR);
  assert.deepEqual(there.told(HOUR), [
    ['f', 2],
    ['g', 1],
  ]);
  here.opened('f', HOUR);
  assert.deepEqual(here.heard(there.told(HOUR), HOUR), [], 'three times in all');
  assert.equal(here.opened('f', HOUR), true, 'the fourth');
  assert.equal(here.opened('f', HOUR), false);
  assert.ok(here.isHot('f', HOUR) && !here.isHot('g', HOUR));
  assert.deepEqual(here.heard([['g', 9]], HOUR), ['g'], 'opened elsewhere only');
  assert.deepEqual(here.heard([['g', 9]], HOUR), [], 'it was hot before');
  assert.ok(!here.isHot('f', HOUR));
  here.heard([], HOUR);
  assert.ok(!here.isHot('g', HOUR));
  assert.deepEqual(there.told(30 * HOUR), [], 'a day later');
});

test('a hot file gains a copy on the pods that its rule names, and on no others', () => {
  const config = parseNetworkConfig(`copies: 1
pods: { a: { media: ssd }, b: { media: hdd } }
rules: [{ path: /posts/**, affinity: { hot: { media: ssd } } }]
`);
  const members = ['a', 'b'].map((name) => ({
    id: sha256(Buffer.from(name)),
    name,
    role: 'storage' as const,
    addedBy: '',
    addedAt: 0,
  }));
  const of = (name: string, path: string, hot: boolean) =>
    plainLayouts(sha256(Buffer.from(name)), candidatesOf(members, config), config).of({ path, ageMs: 0, hot })
      .here;
  assert.equal(of('a', '/posts/x', true), true);
  assert.equal(of('a', '/posts/x', false), false);
  assert.equal(of('b', '/posts/x', true), false);
  assert.equal(of('a', '/else/x', true), false);
});
