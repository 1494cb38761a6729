import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortId, systemRandom } from '../../../src/base/index.js';
import { makeActor, podOfActor } from '../../../src/tree/engine/actor.js';
import {
  bucketPrefix,
  derivedBuckets,
  derivedInode,
  InodeAllocator,
  parseInode,
} from '../../../src/tree/engine/allocator.js';
import fc from '../../property.js';
import { podId, seededRandom } from './rig.js';

test('an actor tells whose it is', () => {
  const actor = makeActor(podId('ab'), 'laptop', seededRandom(1));
  assert.equal(actor.length, 2 * (5 + 5 + 6));
  assert.deepEqual(podOfActor(actor), { name: 'laptop', short: shortId(podId('ab')) });
  assert.notEqual(actor, makeActor(podId('ab'), 'laptop', seededRandom(2)));
});

test('a name is cut at a character, within 12 bytes', () => {
  const nameOf = (name: string) => podOfActor(makeActor(podId('ab'), name, systemRandom)).name;
  assert.equal(nameOf('workstation-of-anna'), 'workstation-');
  assert.equal(nameOf('ääääääää'), 'ääääää');
  assert.equal(nameOf('aäääääää'), 'aäääää');
  assert.equal(nameOf('日本語のマシン'), '日本語の');
  assert.equal(nameOf('a😀😀😀'), 'a😀😀');
  assert.equal(nameOf(''), 'pod');
});

test('no actor that a member invents makes a name that no file can have', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const { name, short } = podOfActor(Buffer.from(bytes).toString('hex'));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
      assert.doesNotMatch(name + short, /[\u0000-\u001f/\\]/);
      assert.ok(name.length > 0 && Buffer.byteLength(name) <= 36);
    }),
  );
});

test('inode ids: 256 a bucket, counted, of fixed width', () => {
  const allocator = new InodeAllocator(bucketPrefix(podId('ab'), seededRandom(3)));
  const ids = Array.from({ length: 600 }, () => allocator.next());
  assert.equal(new Set(ids).size, 600);
  const buckets = new Map<string, number>();
  for (const id of ids) {
    const place = parseInode(id);
    assert.match(place?.index ?? '', /^[0-9a-f]{2}$/);
    buckets.set(place?.bucket ?? '', (buckets.get(place?.bucket ?? '') ?? 0) + 1);
  }
  assert.deepEqual([...buckets.values()], [256, 256, 88]);
  assert.ok([...buckets.keys()].every((bucket) => bucket.startsWith(shortId(podId('ab')))));
});

test('derived inodes depend on the operation id alone, and have their buckets', () => {
  const made = derivedInode('7@aabb');
  assert.equal(made, derivedInode('7@aabb'));
  assert.notEqual(made, derivedInode('8@aabb'));
  assert.match(made, /^made-[0-9a-f]{2}\/[0-9a-f]{10}$/);
  assert.ok(derivedBuckets().includes(parseInode(made)?.bucket ?? ''));
  assert.equal(new Set(derivedBuckets()).size, 256);
});

test('what is no inode id is not parsed', () => {
  for (const id of [
    '',
    '/',
    'a',
    'a/',
    '/0',
    'a/g',
    'a/00000000000',
    'A/0',
    'a/0~5@aa',
    'lost+found',
    'a/0/0',
  ]) {
    assert.equal(parseInode(id), undefined, id);
  }
});
