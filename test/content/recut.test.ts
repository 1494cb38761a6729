import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import { CUTTING } from '../../src/content/chunker.js';
import type { ChunkRef } from '../../src/content/content.js';
import { Layout } from '../../src/content/layout.js';
import { packEntries } from '../../src/content/manifest.js';
import { type Piece, recut } from '../../src/content/publishing/recut.js';
import { Ranges } from '../../src/content/staging/ranges.js';
import { type Change, StagedShape } from '../../src/content/staging/staged-state.js';
import fc from '../property.js';
import { randomBytesOf } from './helpers.js';

const MiB = 1024 * 1024;

/** A file as plain bytes, and as the staged shape over what it was when it was cut last. */
class Draft {
  bytes: Buffer;
  shape: StagedShape;
  base = new Layout(new Uint8Array(0));
  /** Stretches that were read to cut it. */
  readonly reads: [number, number][] = [];

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.shape = new StagedShape('', 0);
    this.shape.apply({ write: { start: 0, end: bytes.length, file: 0 } });
  }

  write(at: number, data: Buffer): void {
    const bytes = Buffer.alloc(Math.max(this.bytes.length, at + data.length));
    this.bytes.copy(bytes);
    data.copy(bytes, at);
    this.change(bytes, { write: { start: at, end: at + data.length, file: 0 } });
  }

  truncate(size: number): void {
    const bytes = Buffer.alloc(size);
    this.bytes.copy(bytes);
    this.change(bytes, { cut: size });
  }

  /** Cuts it, and takes the result as the new base. */
  async cut(): Promise<ChunkRef[]> {
    const pieces: Piece[] = [];
    this.reads.length = 0;
    const read = async (offset: number, target: Uint8Array) => {
      this.reads.push([offset, offset + target.length]);
      target.set(this.bytes.subarray(offset, offset + target.length));
    };
    for await (const piece of recut(this.shape, { base: this.base, borrowed: new Map() }, { read })) {
      pieces.push('chunk' in piece ? { chunk: Buffer.from(piece.chunk) } : piece);
    }
    const refs = refsOf(pieces, this.base);
    this.base = new Layout(packEntries(refs));
    this.shape = new StagedShape('new', this.bytes.length);
    return refs;
  }

  private change(bytes: Buffer, change: Change): void {
    this.bytes = bytes;
    this.shape.apply(change);
  }
}

function refsOf(pieces: Piece[], base: Layout): ChunkRef[] {
  const refs: ChunkRef[] = [];
  for (const piece of pieces) {
    if ('chunk' in piece) refs.push({ id: sha256(piece.chunk), length: piece.chunk.length });
    else if ('reuse' in piece) {
      for (let i = piece.reuse.from; i < piece.reuse.to; i++) refs.push(base.entry(i));
    } else if (refs.at(-1)?.id === '') (refs.at(-1) as ChunkRef).length += piece.hole;
    else refs.push({ id: '', length: piece.hole });
  }
  return refs;
}

const change = fc.oneof(
  fc.record({ at: fc.nat(6 * MiB), length: fc.integer({ min: 1, max: 100_000 }), seed: fc.nat(1000) }),
  fc.record({ at: fc.nat(6 * MiB), length: fc.integer({ min: 1, max: 3 * MiB }), seed: fc.constant(-1) }),
  fc.record({ size: fc.oneof(fc.nat(9 * MiB), fc.nat(100_000)) }),
);

test('cutting around what was written gives what cutting everything gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
      async (rounds) => {
        const draft = new Draft(randomBytesOf(5 * MiB, 4));
        await draft.cut();
        for (const changes of rounds) {
          for (const one of changes) {
            if ('size' in one) draft.truncate(one.size);
            else
              draft.write(
                one.at,
                one.seed < 0 ? Buffer.alloc(one.length) : randomBytesOf(one.length, one.seed),
              );
          }
          const refs = await draft.cut();
          assert.deepEqual(refs, await new Draft(draft.bytes).cut());
          assert.equal(
            refs.reduce((sum, ref) => sum + ref.length, 0),
            draft.bytes.length,
          );
        }
      },
    ),
    { numRuns: 6 },
  );
});

test('a small write into a large file reads its surroundings only', async () => {
  const draft = new Draft(randomBytesOf(32 * MiB, 5));
  const before = await draft.cut();
  draft.write(16 * MiB, Buffer.from('hello'));
  const after = await draft.cut();
  const read = draft.reads.reduce((sum, [from, to]) => sum + to - from, 0);
  assert.ok(read <= 2 * CUTTING.maxBytes, `${read} bytes were read`);
  const old = new Set(before.map(({ id }) => id));
  assert.ok(after.filter(({ id }) => !old.has(id)).length <= 2);
});

test('what is appended changes the last chunk only', async () => {
  const draft = new Draft(randomBytesOf(16 * MiB, 6));
  const before = await draft.cut();
  draft.write(draft.bytes.length, randomBytesOf(10, 1));
  const after = await draft.cut();
  assert.deepEqual(after.slice(0, before.length - 1), before.slice(0, -1));
});

test('a huge hole costs nothing', async () => {
  const tebibyte = 2 ** 40;
  const shape = new StagedShape('', 0, 0, 3 * tebibyte, new Ranges());
  shape.ranges.set(tebibyte, tebibyte + 5, 0);
  let read = 0;
  const pieces: Piece[] = [];
  for await (const piece of recut(
    shape,
    { base: new Layout(new Uint8Array(0)), borrowed: new Map() },
    {
      read: async (offset, target) => {
        read += target.length;
        target.fill(0);
        if (offset <= tebibyte && offset + target.length > tebibyte) target[tebibyte - offset] = 7;
      },
    },
  )) {
    pieces.push(piece);
  }
  const refs = refsOf(pieces, new Layout(new Uint8Array(0)));
  assert.equal(
    refs.reduce((sum, ref) => sum + ref.length, 0),
    3 * tebibyte,
  );
  assert.equal(refs.filter(({ id }) => id !== '').length, 1);
  assert.ok(read <= 3 * CUTTING.maxBytes, `${read} bytes were read`);
});
