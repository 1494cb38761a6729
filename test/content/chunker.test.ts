import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import { CUTTING, Cutter, isZero } from '../../src/content/chunker.js';
import fc from '../property.js';
import { randomBytesOf } from './helpers.js';

const MiB = 1024 * 1024;
/** SHA-256 of the ends of the chunks of 24 MiB of the test's bytes, joined by commas. */
const FORMAT_1 = '321b017e886547b968caf9fdb52c84413c5af1448305df41f5079fc3eb740bb4';

/** Ends of the chunks, when the bytes arrive in pieces of the given sizes, again and again. */
function cut(bytes: Uint8Array, pieces: number[] = [bytes.length]): number[] {
  const ends: number[] = [];
  const cutter = new Cutter();
  let turn = 0;
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + Math.max(1, pieces[turn++ % pieces.length] ?? 1));
    while (at < to) {
      const end = cutter.scan(bytes, at, to);
      if (end < 0) break;
      ends.push(end);
      cutter.reset();
      at = end;
    }
    at = to;
  }
  if (ends.at(-1) !== bytes.length) ends.push(bytes.length);
  return ends;
}

test('the cuts are those of the format, for ever', () => {
  const ends = cut(randomBytesOf(24 * MiB, 7));
  assert.equal(sha256(Buffer.from(ends.join())), FORMAT_1, `a change of the format: ${ends.join()}`);
});

test('sizes keep to their bounds and gather around the normal size', () => {
  const ends = cut(randomBytesOf(64 * MiB, 8));
  const sizes = ends.map((end, i) => end - (ends[i - 1] ?? 0));
  for (const size of sizes.slice(0, -1)) {
    assert.ok(size > CUTTING.minBytes && size <= CUTTING.maxBytes, `${size}`);
  }
  const average = (64 * MiB) / sizes.length;
  assert.ok(average > 0.7 * MiB && average < 1.6 * MiB, `average ${average}`);
});

test('the same cuts whatever the pieces the bytes arrive in', () => {
  const bytes = randomBytesOf(6 * MiB, 9);
  const whole = cut(bytes);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 2 * MiB }), { minLength: 1, maxLength: 5 }), (pieces) => {
      assert.deepEqual(cut(bytes, pieces), whole);
    }),
    { numRuns: 25, examples: [[[4096]], [[65_537]], [[CUTTING.minBytes]]] },
  );
});

test('bytes put in at the start change only the first chunks', () => {
  const bytes = randomBytesOf(16 * MiB, 10);
  const before = cut(bytes);
  for (const more of [1, 31, 4096, 300_000]) {
    const after = cut(Buffer.concat([randomBytesOf(more, more), bytes])).map((end) => end - more);
    const common = after.filter((end) => before.includes(end));
    assert.ok(common.length >= before.length - 4, `${common.length} of ${before.length} cuts stay`);
  }
});

test('zeros are never cut before the largest size, wherever they follow', () => {
  const zeros = Buffer.alloc(3 * CUTTING.maxBytes);
  assert.deepEqual(
    cut(zeros),
    [1, 2, 3].map((n) => n * CUTTING.maxBytes),
  );
});

test('only zeros are zero', () => {
  assert.equal(isZero(Buffer.alloc(100_000)), true);
  assert.equal(isZero(Buffer.alloc(0)), false);
  for (const at of [0, 1, 50_000, 99_998, 99_999]) {
    const bytes = Buffer.alloc(100_000);
    bytes[at] = 1;
    assert.equal(isZero(bytes), false, `${at}`);
  }
});
