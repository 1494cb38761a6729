import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { sha256Bytes, WormholeError } from '../../../src/base/index.js';
import { automerge } from '../../../src/tree/engine/automerge.js';
import { checkChange, checkChunks } from '../../../src/tree/engine/change-check.js';

function change(keys: number): Uint8Array {
  const handle = automerge.create({ actor: 'aabbcc' });
  const map = handle.putObject('_root', 'm', {});
  for (let i = 0; i < keys; i++) handle.put(map, `key-${i}`, Uint8Array.from([i, i + 1]));
  handle.commit(null, 0);
  return handle.getLastLocalChange() as Uint8Array;
}

const refused = (error: unknown) => error instanceof WormholeError && error.code === 'protocol';

/** A chunk of some type around a body, with the right checksum. */
function chunk(type: number, body: Uint8Array, hashed = body): Uint8Array {
  const length = (bytes: Uint8Array) => {
    const digits: number[] = [];
    for (let rest = bytes.length; ; rest >>= 7) {
      if (rest < 128) return [...digits, rest];
      digits.push((rest & 127) | 128);
    }
  };
  const digest = sha256Bytes(Buffer.concat([Uint8Array.from([1, ...length(hashed)]), hashed]));
  return Buffer.concat([
    Buffer.from('856f4a83', 'hex'),
    digest.subarray(0, 4),
    Uint8Array.from([type, ...length(body)]),
    body,
  ]);
}

function bodyOf(bytes: Uint8Array): Uint8Array {
  let at = 9;
  while ((bytes[at++] ?? 0) >= 128);
  return bytes.subarray(at);
}

test('honest changes pass, short and long, packed and plain', () => {
  for (const keys of [1, 20, 3000]) {
    const bytes = change(keys);
    assert.equal(checkChange(bytes).decoded.ops.length, keys + 1);
    assert.equal(bytes[8], 1, 'a packed change: the plain path was not tried');
    const packed = chunk(2, deflateRawSync(bodyOf(bytes)), bodyOf(bytes));
    assert.equal(checkChange(packed).decoded.hash, checkChange(bytes).decoded.hash);
  }
});

test('every bit flip is refused', () => {
  for (const bytes of [change(3), change(200)]) {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => checkChange(flipped), refused, `bit ${bit}`);
    }
  }
});

test('every cut, and anything behind, is refused', () => {
  const bytes = change(3);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => checkChange(bytes.subarray(0, length)), refused);
  }
  assert.throws(() => checkChange(Buffer.concat([bytes, bytes])), refused);
});

test('a bomb is refused before it is unpacked', () => {
  const zeros = chunk(2, deflateRawSync(Buffer.alloc(200e6)), new Uint8Array(1));
  const body = Buffer.from(bodyOf(change(1)));
  // The action column is a run: let it say that there are billions. Its place: the column's number is 0x42.
  const columns: [number, number][] = [];
  let at = 1 + 1 + (body[1] ?? 0) + 4 + 1;
  const count = body[at++] ?? 0;
  for (let i = 0; i < count; i++, at += 2) columns.push([body[at] ?? 0, body[at + 1] ?? 0]);
  const action = columns.findIndex(([number]) => number === 0x42);
  assert.ok(action >= 0, 'the layout of a change is not what this test believes');
  const start = at + columns.slice(0, action).reduce((sum, [, length]) => sum + length, 0);
  const length = columns[action]?.[1] ?? 0;
  const run = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x08, 0x01]);
  const head = at - 2 * (count - action) + 1;
  const bomb = Buffer.concat([body.subarray(0, start), run, body.subarray(start + length)]);
  bomb[head] = run.length;
  const before = process.memoryUsage().rss;
  assert.throws(() => checkChange(zeros), refused);
  assert.throws(() => checkChange(chunk(1, bomb)), refused);
  assert.ok(process.memoryUsage().rss - before < 100e6, 'it was unpacked');
});

test('several chunks in one piece are each looked at, documents too', () => {
  const handle = automerge.create({ actor: 'aa' });
  handle.put('_root', 'k', 1);
  handle.commit(null, 0);
  const whole = Buffer.concat([change(2), handle.saveNoCompress(), change(3)]);
  assert.equal(checkChunks(whole).length, 2);
  checkChunks(new Uint8Array());
  for (let bit = 0; bit < whole.length * 8; bit += 5) {
    const flipped = Uint8Array.from(whole);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => checkChunks(flipped), refused, `bit ${bit}`);
  }
  for (let length = 1; length < change(2).length; length++) {
    assert.throws(() => checkChunks(whole.subarray(0, length)), refused);
  }
});

test('a number that JavaScript cannot hold is refused, whoever sends it', () => {
  for (const number of [2 ** 53, -(2 ** 60)]) {
    const handle = automerge.create({ actor: 'ee' });
    handle.put('_root', 'v', number, 'int');
    handle.commit(null, 0);
    const change = handle.getLastLocalChange() as Uint8Array;
    assert.throws(() => checkChange(change), { code: 'protocol' });
    handle.free();
  }
});
