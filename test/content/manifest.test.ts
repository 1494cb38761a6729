import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256, WormholeError } from '../../src/base/index.js';
import type { ChunkRef } from '../../src/content/content.js';
import { Layout } from '../../src/content/layout.js';
import { decodeManifest, encodeManifest, MANIFEST, packEntries } from '../../src/content/manifest.js';
import fc from '../property.js';

const chunk = fc
  .tuple(fc.nat(1000), fc.integer({ min: 1, max: 4 * 1024 * 1024 }))
  .map(([n, length]): ChunkRef => ({ id: sha256(Buffer.from(`${n}`)), length }));
const hole = fc.integer({ min: 1, max: 2 ** 47 }).map((length): ChunkRef => ({ id: '', length }));
const list = fc.array(fc.oneof({ weight: 4, arbitrary: chunk }, hole), { maxLength: 60 });

test('a list comes back as it was, with random access by offset', () => {
  fc.assert(
    fc.property(list, (refs) => {
      const bytes = encodeManifest({ level: 0, entries: packEntries(refs) });
      const layout = new Layout(decodeManifest(bytes).entries);
      assert.equal(layout.count, refs.length);
      let start = 0;
      refs.forEach((ref, i) => {
        assert.deepEqual(layout.entry(i), ref);
        assert.equal(layout.start(i), start);
        assert.equal(layout.find(start), i);
        assert.equal(layout.find(start + ref.length - 1), i);
        start += ref.length;
      });
      assert.equal(layout.size, start);
    }),
  );
});

test('any bytes are a manifest or refused by a code, and only one encoding of a list is taken', () => {
  const good = encodeManifest({
    level: 0,
    entries: packEntries([
      { id: sha256(Buffer.from('a')), length: 5 },
      { id: '', length: 7 },
    ]),
  });
  const mutated = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
    .map((changes) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  const cut = fc.nat(good.length - 1).map((length) => good.subarray(0, length));
  let refused = 0;
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, cut), (bytes) => {
      try {
        const manifest = decodeManifest(bytes);
        assert.equal(Buffer.compare(encodeManifest(manifest), bytes), 0);
      } catch (error) {
        assert.ok(error instanceof WormholeError, String(error));
        assert.ok(error.code === 'corrupt' || error.code === 'newer-format');
        refused++;
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(refused > 1000);
});

test('lengths that lie are refused before anything is allocated for them', () => {
  const id = sha256(Buffer.from('a'));
  const cases: [string, ChunkRef[], 0 | 1][] = [
    ['an empty chunk', [{ id, length: 0 }], 0],
    ['a chunk above the largest size', [{ id, length: 4 * 1024 * 1024 + 1 }], 0],
    ['more bytes than numbers are exact for', Array(40).fill({ id: '', length: 2 ** 48 - 1 }), 0],
    ['a hole among manifests', [{ id: '', length: 5 }], 1],
  ];
  for (const [name, refs, level] of cases) {
    const bytes = encodeManifest({ level, entries: packEntries(refs) });
    assert.throws(() => decodeManifest(bytes), { code: 'corrupt' }, name);
  }
  assert.throws(() => decodeManifest(Buffer.from([0x83, 1, 0, 0x5a, 0xff, 0xff, 0xff, 0xff])), {
    code: 'corrupt',
  });
  assert.throws(() => decodeManifest(Buffer.from([0x83, 2, 0, 0x40])), { code: 'newer-format' });
});

test('50,000 chunks are found as fast as one', () => {
  const refs = Array.from({ length: 50_000 }, (_, i) => ({
    id: sha256(Buffer.from(`${i}`)),
    length: 1_000_000 + i,
  }));
  const bytes = encodeManifest({ level: 0, entries: packEntries(refs) });
  assert.ok(refs.length <= MANIFEST.entriesMax && bytes.length < 2_000_000);
  const layout = new Layout(decodeManifest(bytes).entries);
  for (let i = 0; i < refs.length; i += 777) {
    const found = layout.find(layout.start(i) + 500_000);
    assert.equal(found, i);
    assert.deepEqual(layout.entry(found), refs[i]);
  }
});
