import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ranges } from '../../src/content/staging/ranges.js';
import fc from '../property.js';

const SIZE = 60;

type Step = { set: [number, number, number] } | { cut: number } | { forget: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.nat(SIZE), fc.nat(12), fc.nat(2)).map((set) => ({ set }) as Step) },
  fc.nat(SIZE).map((cut) => ({ cut }) as Step),
  fc.nat(2).map((forget) => ({ forget }) as Step),
);

test('ranges say of every byte what an array of bytes says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const ranges = new Ranges();
      let model: (number | undefined)[] = Array(2 * SIZE).fill(undefined);
      for (const one of steps) {
        if ('set' in one) {
          const [start, length, file] = one.set;
          ranges.set(start, start + length, file);
          model.fill(file, start, start + length);
        } else if ('cut' in one) {
          ranges.cut(one.cut);
          model.fill(undefined, one.cut);
        } else {
          ranges.forget(new Set([one.forget]));
          model = model.map((file) => (file === one.forget ? undefined : file));
        }
        compare(ranges, model);
      }
    }),
    { numRuns: 500 },
  );
});

function compare(ranges: Ranges, model: (number | undefined)[]): void {
  const seen: (number | undefined)[] = [];
  for (let at = 0; at < model.length; ) {
    const { end, file } = ranges.at(at, model.length);
    assert.ok(end > at, 'every part has bytes');
    seen.push(...Array(end - at).fill(file));
    at = end;
  }
  assert.deepEqual(seen, model);
  assert.equal(ranges.bytes, model.filter((file) => file !== undefined).length);
  const list = ranges.list();
  list.forEach((extent, i) => {
    assert.ok(extent.start < extent.end);
    const next = list[i + 1];
    if (next !== undefined) assert.ok(extent.end <= next.start, 'in order and without overlap');
  });
}
