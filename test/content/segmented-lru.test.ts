import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentedLru } from '../../src/content/cache/segmented-lru.js';
import fc from '../property.js';

function lru(bytesMax: number, countMax = 1000): { lru: SegmentedLru; gone: string[] } {
  const gone: string[] = [];
  return { lru: new SegmentedLru({ bytesMax, countMax, evicted: (id) => gone.push(id) }), gone };
}

test('the oldest goes first, and what was used again stays longer', () => {
  const { lru: cache, gone } = lru(100);
  for (const id of ['a', 'b', 'c', 'd']) cache.set(id, 25);
  cache.use('a');
  cache.set('e', 25);
  cache.set('f', 25);
  assert.deepEqual(gone, ['b', 'c']);
  assert.equal(cache.bytes, 100);
  assert.ok(cache.has('a') && cache.isHot('a'));
});

test('a walk over everything leaves what was used again alone', () => {
  const { lru: cache, gone } = lru(1000);
  for (let i = 0; i < 40; i++) {
    cache.set(`hot ${i}`, 20);
    cache.use(`hot ${i}`);
  }
  for (let i = 0; i < 10_000; i++) cache.set(`scan ${i}`, 20);
  for (let i = 0; i < 40; i++) assert.ok(cache.has(`hot ${i}`));
  assert.equal(gone.length, 10_000 - 10);
});

test('reads by the law of Zipf find as much after a walk over everything as before it', () => {
  const { lru: cache } = lru(400, 400);
  let state = 7;
  const read = (): boolean => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    // Rank r comes about as often as 1/r.
    const id = `${Math.floor(4000 ** ((state >>> 0) / 2 ** 32))}`;
    if (cache.use(id)) return true;
    cache.set(id, 1);
    return false;
  };
  const hits = (reads: number) => Array.from({ length: reads }, read).filter(Boolean).length;
  hits(20_000);
  const before = hits(2_000);
  for (let i = 1; i <= 4000; i++) if (!cache.use(`${i}`)) cache.set(`${i}`, 1);
  const after = hits(2_000);
  assert.ok(before > 1_200, `${before} of 2,000 before`);
  assert.ok(after > 0.95 * before, `${after} after, ${before} before`);
});

test('what was hot long ago makes room in the end', () => {
  const { lru: cache } = lru(1000);
  for (let i = 0; i < 40; i++) {
    cache.set(`old ${i}`, 20);
    cache.use(`old ${i}`);
  }
  for (let i = 0; i < 200; i++) {
    cache.set(`new ${i}`, 20);
    cache.use(`new ${i}`);
  }
  for (let i = 0; i < 40; i++) assert.ok(!cache.has(`old ${i}`));
});

test('whatever is done: bytes and count stay below their limits, and nothing vanishes unsaid', () => {
  const step = fc.tuple(
    fc.constantFrom('set', 'hot', 'use', 'delete', 'evict'),
    fc.nat(30),
    fc.integer({ min: 0, max: 60 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { lru: cache, gone } = lru(100, 12);
      const model = new Map<string, number>();
      for (const [what, id, length] of steps) {
        const key = `${id}`;
        if (what === 'use') assert.equal(cache.use(key), model.has(key));
        else if (what === 'evict') cache.evictOldest();
        else if (what === 'delete') {
          assert.equal(cache.delete(key), model.delete(key));
        } else {
          cache.set(key, length, what === 'hot');
          model.set(key, length);
        }
        for (const each of gone.splice(0)) assert.ok(model.delete(each));
        assert.ok(cache.bytes <= 100);
        assert.ok(cache.count <= 12);
        assert.equal(cache.count, model.size);
        for (const each of model.keys()) assert.equal(cache.length(each), model.get(each));
      }
    }),
    { numRuns: 300 },
  );
});
