import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor, encodeCbor } from '../../src/base/cbor.js';
import { LIMITS, WormholeError } from '../../src/base/index.js';
import { checkCbor } from '../../src/net/cbor-gate.js';
import { decodeFrame, encodeFrame, type Frame } from '../../src/net/frames.js';
import fc from '../property.js';

const id = fc.nat();
const type = fc.string({ maxLength: 64 }).filter((text) => text.isWellFormed());
const text = fc.string({ unit: 'grapheme' });
const { body } = fc.letrec((tie) => ({
  body: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, undefined),
    fc.integer(),
    fc.double({ noNaN: true }).map((number) => number + 0),
    text,
    fc.uint8Array({ maxLength: 9000 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('body'), { maxLength: 5 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      tie('body'),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
}));
const plain = { noNullPrototype: true };
const code = fc.constantFrom('io' as const, 'busy' as const);
const short = fc.constantFrom('cancel' as const, 'ping' as const, 'pong' as const);
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), type, body }, plain),
  fc.record({ kind: fc.constant('request' as const), id, bulk: fc.boolean(), type, body }, plain),
  fc.record({ kind: fc.constant('answer' as const), id, body }, plain),
  fc.record({ kind: fc.constant('error' as const), id, code, message: text }, plain),
  fc.record({ kind: short, id }, plain),
  fc.constant({ kind: 'use' as const }),
  fc.record(
    {
      kind: fc.constant('part' as const),
      last: fc.boolean(),
      bytes: fc.uint8Array().map((part) => Buffer.from(part)),
    },
    plain,
  ),
);

test('every frame comes back as it was', () => {
  fc.assert(
    fc.property(frame, (sent) => {
      assert.deepEqual(decodeFrame(encodeFrame(sent)), sent);
    }),
    { numRuns: 300 },
  );
});

test('any bytes decode to a frame or to the code protocol', () => {
  const total = (bytes: Uint8Array) => {
    try {
      decodeFrame(bytes);
    } catch (error) {
      assert.ok(error instanceof WormholeError && error.code === 'protocol', String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), total), { numRuns: 3000 });
  const mutation = fc.tuple(
    frame,
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    fc.nat(),
  );
  fc.assert(
    fc.property(mutation, ([sent, changes, cut]) => {
      const bytes = Buffer.from(encodeFrame(sent));
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      total(bytes);
      total(bytes.subarray(0, cut % bytes.length));
    }),
    { numRuns: 3000 },
  );
});

test('what is not plain data is refused on either side', () => {
  const refused: [string, string][] = [
    ['', 'cut short'],
    ['9f01ff', 'indefinite'],
    ['c000', 'tags'],
    ['d8ff00', 'tags'],
    ['a14000', 'key'],
    ['a18000', 'key'],
    ['5affffffff00', 'beyond'],
    ['9bffffffffffffffff', 'beyond'],
    ['bb7fffffffffffffff', 'beyond'],
    ['f818', 'unknown kind'],
    ['1c', 'indefinite'],
    ['0000', 'after'],
    [`${'81'.repeat(LIMITS.frameDepthMax + 1)}00`, 'deeply'],
  ];
  for (const [hex, why] of refused) {
    assert.throws(
      () => checkCbor(Buffer.from(hex, 'hex')),
      { code: 'protocol', message: new RegExp(why) },
      hex,
    );
  }
  for (const value of [new Date(), new Map([[{}, 1]]), new Set([1]), 2n ** 70n, /x/]) {
    assert.throws(() => encodeFrame({ kind: 'send', type: 'x', body: { value } }), { code: 'invalid' });
  }
  const large = Buffer.alloc(LIMITS.frameBytesMax);
  assert.throws(() => encodeFrame({ kind: 'send', type: 'x', body: large }), { code: 'too-large' });
  const many = new Array(LIMITS.frameItemsMax).fill(0);
  assert.throws(() => encodeFrame({ kind: 'send', type: 'x', body: many }), { code: 'invalid' });
});

test('the worst frames that pass are decoded within the promised pause', () => {
  const entries = Math.floor(LIMITS.frameItemsMax / 2) - 10;
  const keys = Object.fromEntries(Array.from({ length: entries }, (_, index) => [`key number ${index}`, {}]));
  const array = new Array(LIMITS.frameItemsMax - 10).fill([]);
  for (const body of [keys, array, 'é'.repeat(LIMITS.frameBytesMax / 2 - 100)]) {
    const bytes = encodeFrame({ kind: 'send', type: 'worst', body });
    const runs = [1, 2, 3, 4, 5].map(() => {
      const before = process.cpuUsage();
      decodeFrame(bytes);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    });
    // Processor time, and the best of five: other tests share the machine.
    assert.ok(Math.min(...runs) < 50, `${runs.map(Math.round)} ms`);
  }
});

test('a chunk in a frame is copied once when sent and not at all when received', () => {
  const chunk = Buffer.alloc(1024 * 1024, 7);
  const bytes = encodeFrame({ kind: 'answer', id: 1, body: { chunk } });
  assert.ok(bytes.buffer.byteLength < chunk.length + 4096, 'the frame sits in a larger buffer');
  const decoded = decodeFrame(bytes);
  assert.ok(decoded.kind === 'answer');
  const { chunk: received } = decoded.body as { chunk: Uint8Array };
  assert.equal(received.buffer, bytes.buffer);
  assert.deepEqual(decoded, { kind: 'answer', id: 1, body: { chunk } });
  assert.deepEqual(
    decodeCbor(bytes),
    decodeCbor(encodeCbor([1, 2, 1, { chunk }])),
    'another encoding of the same',
  );
});
