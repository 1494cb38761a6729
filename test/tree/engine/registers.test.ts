import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCbor } from '../../../src/base/cbor.js';
import { LIMITS } from '../../../src/base/index.js';
import {
  decodeAttributes,
  decodeData,
  decodeLocation,
  decodeTombstone,
  encodeAttributes,
  encodeData,
  encodeLocation,
  encodeTombstone,
  isName,
} from '../../../src/tree/engine/registers.js';
import { type Attributes, type Data, KINDS, type Location } from '../../../src/tree/schema.js';
import fc from '../../property.js';

const plain = { noNullPrototype: true } as const;
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(isName);
const inode = fc.constantFrom(
  'root/0',
  'abcdefghabcdefgh0/00',
  'abcdefghabcdefgh1z/ff',
  'made-0a/0123456789',
);
const time = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n });
const hash = fc.stringMatching(/^[cm][0-9a-f]{64}$/);
const location: fc.Arbitrary<Location> = fc.oneof(
  fc.record({ parent: inode, name }, plain),
  fc.record({ parent: inode, name, previous: fc.record({ parent: inode, name }, plain) }, plain),
);
const data: fc.Arbitrary<Data> = fc
  .record(
    {
      kind: fc.constantFrom(...KINDS),
      size: fc.maxSafeNat(),
      mtime: time,
      content: hash,
      mode: fc.integer({ min: 0, max: 0o7777 }),
    },
    plain,
  )
  .chain((value) => {
    if (value.kind === 'link') return inode.map((content) => ({ ...value, content }));
    return fc.constantFrom(value, { ...value, content: value.kind === 'symlink' ? '../x y/z' : '' });
  });
const attributes: fc.Arbitrary<Attributes> = fc.record(
  {
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    mtime: time,
    xattrs: fc.dictionary(
      fc.stringMatching(/^user\.[a-z]{1,20}$/),
      fc.uint8Array().map((value) => Uint8Array.from(value)),
      plain,
    ),
  },
  { requiredKeys: [], ...plain },
);
const opId = fc
  .tuple(fc.integer({ min: 1 }), fc.stringMatching(/^([0-9a-f]{2}){1,22}$/))
  .map((id) => id.join('@'));

test('every register comes back as it was written', () => {
  fc.assert(fc.property(location, (value) => assert.deepEqual(decodeLocation(encodeLocation(value)), value)));
  fc.assert(fc.property(data, (value) => assert.deepEqual(decodeData(encodeData(value)), value)));
  fc.assert(
    fc.property(attributes, (value) => assert.deepEqual(decodeAttributes(encodeAttributes(value)), value)),
  );
  fc.assert(
    fc.property(fc.array(opId), (saw) =>
      assert.deepEqual(decodeTombstone(encodeTombstone({ saw })), { saw }),
    ),
  );
});

test('a content hash takes 33 bytes', () => {
  const value: Data = { kind: 'file', size: 1, mtime: 0n, content: `c${'ab'.repeat(32)}`, mode: 0o644 };
  assert.equal(encodeData(value).length, 51);
});

test('decoding never throws, whatever the bytes', () => {
  const decoders = [decodeLocation, decodeData, decodeAttributes, decodeTombstone];
  const all = (bytes: Uint8Array) => {
    for (const decode of decoders) decode(bytes);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), all), { numRuns: 2000 });
  fc.assert(fc.property(fc.anything(), (value) => all(encodeCborOrNothing(value))));
  const seeds = fc.oneof(
    location.map(encodeLocation),
    data.map(encodeData),
    attributes.map(encodeAttributes),
  );
  fc.assert(
    fc.property(seeds, fc.nat(), fc.nat(255), (bytes, at, value) => {
      const broken = Uint8Array.from(bytes);
      broken[at % broken.length] = value;
      all(broken);
      all(broken.subarray(0, at % broken.length));
    }),
  );
});

test('what does not fit the schema is undefined', () => {
  const l = (...items: unknown[]) => decodeLocation(encodeCbor([1, ...items]));
  assert.deepEqual(l('root/0', 'a'), { parent: 'root/0', name: 'a' });
  for (const bad of ['', '.', '..', 'a/b', 'a\0', 'x'.repeat(256)]) assert.equal(l('root/0', bad), undefined);
  for (const bad of ['', 'root', 'x/g', 'lost+found', 'A/0', 'a/0~1@aa', 7])
    assert.equal(l(bad, 'a'), undefined);
  assert.equal(l('root/0', 'a', 'root/0'), undefined);
  assert.equal(decodeLocation(encodeCbor([2, 'root/0', 'a'])), undefined);
  const d = (...items: unknown[]) => decodeData(encodeCbor([1, ...items]));
  assert.ok(d(0, 1, 1, 'c1', 0o644));
  assert.equal(d(8, 1, 1, 'c1', 0o644), undefined, 'an unknown kind');
  assert.equal(d(0, -1, 1, 'c1', 0o644), undefined, 'a negative size');
  assert.equal(d(0, 1, 1, '../../etc/passwd', 0o644), undefined, 'a path for a content id');
  assert.equal(d(0, 1, 1, 'c1', 0o10000), undefined, 'more than permission bits');
  assert.equal(d(2, 1, 1, '', 0o777), undefined, 'a symlink to nothing');
  assert.equal(d(7, 0, 1, 'somewhere', 0), undefined, 'a link to no inode');
  const big = encodeAttributes({ xattrs: { 'user.a': new Uint8Array(LIMITS.xattrValueBytesMax + 1) } });
  assert.equal(decodeAttributes(big), undefined);
});

test('a length in a few bytes allocates nothing', () => {
  const bomb = Uint8Array.from([0x9a, 0x7f, 0xff, 0xff, 0xff, 1]);
  const nested = Uint8Array.from([0x83, 1, 0x7a, 0x7f, 0xff, 0xff, 0xff, 0x61]);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 1000; i++) {
    assert.equal(decodeTombstone(bomb), undefined);
    assert.equal(decodeLocation(nested), undefined);
  }
  assert.ok(process.memoryUsage().rss - before < 50e6);
});

function encodeCborOrNothing(value: unknown): Uint8Array {
  try {
    return encodeCbor(value);
  } catch {
    return new Uint8Array();
  }
}
