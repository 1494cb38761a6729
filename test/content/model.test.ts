import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import type { OpenContent, Published } from '../../src/content/content.js';
import type { LocalContentStore } from '../../src/content/store.js';
import fc from '../property.js';
import { openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const KiB = 1024;

type Step =
  | { do: 'write'; at: number; length: number; seed: number }
  | { do: 'truncate'; size: number }
  | { do: 'borrow'; at: number; length: number; shift: number }
  | { do: 'read'; at: number; length: number }
  | { do: 'save' | 'sync' | 'publish' | 'publishing' | 'settle' | 'reopen' | 'restart' | 'kill' | 'let go' };

/** Sizes around the bounds between memory and files, and between one chunk and several. */
const offset = fc.oneof(fc.nat(2000), fc.nat(70 * KiB), fc.nat(700 * KiB), fc.nat(3000 * KiB));
const length = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 400 * KiB }));

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(offset, length, fc.nat(99))
      .map(([at, bytes, seed]): Step => ({ do: 'write', at, length: bytes, seed })),
  },
  { weight: 2, arbitrary: offset.map((size): Step => ({ do: 'truncate', size })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(offset, length, fc.nat(500 * KiB))
      .map(([at, bytes, shift]): Step => ({ do: 'borrow', at, length: bytes, shift })),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'truncate', size: 0 }) },
  {
    weight: 3,
    arbitrary: fc.tuple(offset, length).map(([at, bytes]): Step => ({ do: 'read', at, length: bytes })),
  },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom('save', 'sync', 'publish', 'publishing', 'settle', 'reopen', 'restart', 'kill', 'let go')
      .map((what) => ({ do: what }) as Step),
  },
);

/** Bytes that other files borrow. */
const LENT = randomBytesOf(900 * KiB, 1234);

/** A file as its owner sees it, beside the plain bytes that it must be equal to. */
class Run {
  bytes = Buffer.alloc(0);
  content = '';
  size = 0;
  /** What was told to the owner when it published, and not yet asked for. */
  pending: { promise: Promise<Published>; bytes: Buffer } | undefined;
  file: OpenContent;
  store: LocalContentStore;
  close: () => Promise<void>;
  private readonly killed: () => Promise<void>;
  private readonly restart: () => Promise<{ store: LocalContentStore; close: () => Promise<void> }>;

  constructor(
    opened: { store: LocalContentStore; close: () => Promise<void> },
    restart: () => Promise<{ store: LocalContentStore; close: () => Promise<void> }>,
    killed: (close: () => Promise<void>) => Promise<void>,
  ) {
    this.store = opened.store;
    this.close = opened.close;
    this.restart = restart;
    this.killed = () => killed(this.close);
    this.file = this.store.open('key', '', 0);
  }

  async take(one: Step): Promise<void> {
    switch (one.do) {
      case 'write': {
        const data = one.seed === 0 ? Buffer.alloc(one.length) : randomBytesOf(one.length, one.seed);
        this.grow(Math.max(this.bytes.length, one.at + data.length));
        data.copy(this.bytes, one.at);
        const mine = Buffer.from(data);
        await this.file.write(one.at, mine);
        mine.fill(0xee); // it has to have been copied
        break;
      }
      case 'borrow': {
        const end = Math.min(LENT.length, one.shift + one.length);
        const made = this.store.open('lender', '', 0);
        await made.write(0, Buffer.from(LENT));
        const { content, size } = await made.publish();
        await made.close();
        this.grow(Math.max(this.bytes.length, one.at + end - one.shift));
        LENT.copy(this.bytes, one.at, one.shift, end);
        await this.file.borrow(one.at, content, size, one.shift, end);
        break;
      }
      case 'truncate':
        this.grow(one.size);
        await this.file.truncate(one.size);
        break;
      case 'read':
        await this.compare(one.at, one.length);
        break;
      case 'save':
        await this.file.save();
        break;
      case 'sync':
        await this.file.sync();
        break;
      case 'publish':
        await this.settle();
        this.published(await this.file.publish());
        assert.equal(this.file.dirty, false);
        break;
      case 'publishing':
        await this.settle();
        this.pending = { promise: Promise.resolve(this.file.publish()), bytes: Buffer.from(this.bytes) };
        this.pending.promise.catch(() => {}); // heard of in settle(), but not after a kill
        break;
      case 'settle':
        await this.settle();
        break;
      case 'reopen':
        await this.settle();
        this.published(await this.file.publish());
        await this.file.close();
        this.file = this.store.open('key', this.content, this.size);
        break;
      case 'let go':
        await this.store['parts'].settlement.settle();
        break;
      case 'restart':
        await this.settle();
        await this.file.save();
        await this.goOn(async () => {
          await this.file.close();
          await this.close();
        });
        break;
      case 'kill':
        // What a publication that is under way leaves behind is the file as it was saved.
        await this.file.save();
        await this.goOn(async () => this.killed());
        this.pending = undefined;
        break;
    }
    assert.equal(this.file.size, this.bytes.length, `size after ${one.do}`);
  }

  async compare(at: number, bytes: number): Promise<void> {
    const expected = this.bytes.subarray(at, at + bytes);
    const found = await this.file.read(at, bytes);
    assert.equal(found.length, expected.length);
    assert.equal(Buffer.compare(found, expected), 0, `bytes at ${at}`);
  }

  /** After a stop with unpublished bytes they come back. */
  private async goOn(stop: () => Promise<void>): Promise<void> {
    const { dirty } = this.file;
    await stop();
    ({ store: this.store, close: this.close } = await this.restart());
    const found = this.store.recovered().filter(({ key }) => key === 'key');
    assert.ok(!dirty || found.length === 1, 'what was staged came back');
    this.file = found[0]?.content ?? this.store.open('key', this.content, this.size);
    await this.compare(0, this.bytes.length + 10);
  }

  async settle(): Promise<void> {
    if (this.pending === undefined) return;
    const { promise, bytes } = this.pending;
    this.pending = undefined;
    const published = await promise;
    this.published(published);
    // A snapshot of its moment, whatever was written since.
    const reader = this.store.open('other', published.content, published.size);
    const found = await reader.read(0, bytes.length + 10);
    assert.equal(Buffer.compare(found, bytes), 0, 'the published content is what was there when it began');
    await reader.close();
  }

  private published({ content, size }: Published): void {
    this.content = content;
    this.size = size;
  }

  private grow(size: number): void {
    const bytes = Buffer.alloc(size);
    this.bytes.copy(bytes);
    this.bytes = bytes;
  }
}

test('an open content is what a plain buffer is, through publications and restarts', async (t) => {
  const contents = new Map<string, string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      let folder = temporaryFolder(t);
      const restart = () => openStore(t, folder);
      // The next process finds the disk as it is at this moment; the old one goes on with its own.
      const killed = async (close: () => Promise<void>) => {
        const copy = temporaryFolder(t);
        cpSync(folder, copy, { recursive: true });
        await close();
        rmSync(folder, { recursive: true, force: true });
        folder = copy;
      };
      const run = new Run(await restart(), restart, killed);
      try {
        for (const one of steps) await run.take(one);
        await run.settle();
        await run.compare(0, run.bytes.length + 10);
        const { content } = await run.file.publish();
        const known = contents.get(content);
        const now = run.bytes.toString('latin1');
        assert.ok(known === undefined || known === now, 'one name for two contents');
        contents.set(content, now);
        await run.compare(0, run.bytes.length + 10);
        await run.file.close();
      } finally {
        await run.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: Number(process.env['WORMHOLE_MODEL_RUNS'] ?? 5) },
  );
});

test('equal bytes have one name, however they were written', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  for (const size of [0, 10, 64 * KiB, 64 * KiB + 1, 300 * KiB, 5000 * KiB]) {
    const bytes = randomBytesOf(size, 3);
    const names = new Set<string>();
    const whole = store.open('whole', '', 0);
    await whole.write(0, bytes);
    names.add((await whole.publish()).content);
    const parts = store.open('parts', '', 0);
    await parts.truncate(size + 100_000);
    for (let at = Math.floor(size / 2); at < size; at += 50_000) {
      await parts.write(at, bytes.subarray(at, Math.min(size, at + 50_000)));
    }
    if (size % 2 === 0) await parts.publish();
    await parts.write(0, bytes.subarray(0, Math.floor(size / 2) + 1));
    await parts.truncate(size);
    names.add((await parts.publish()).content);
    assert.equal(names.size, 1, `${size} bytes`);
    await whole.close();
    await parts.close();
  }
});
