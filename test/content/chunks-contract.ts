import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import type { Chunks } from '../../src/content/chunks/chunks.js';
import { randomBytesOf } from './helpers.js';

export interface Subject {
  chunks: Chunks;
}

/** One that outlives the process. */
export interface LastingSubject extends Subject {
  /** The same chunks as another process finds them after this one died. */
  reopen(): Promise<Chunks>;
}

/** The contract of Chunks; `sizes` are lengths in bytes that the implementation takes. */
export function chunksContract(
  name: string,
  sizes: number[],
  make: (t: TestContext) => Promise<Subject>,
): void {
  const samples = sizes.map((size, i) => randomBytesOf(size, size + i));

  test(`${name}: what is put is there, whole, and nothing else is`, async (t) => {
    const { chunks } = await make(t);
    for (const bytes of samples) {
      const id = sha256(bytes);
      assert.equal(chunks.has(id), false);
      assert.equal(await chunks.get(id), undefined);
      await chunks.put(id, bytes, { durable: bytes.length % 2 === 0 });
      assert.equal(chunks.has(id), true);
      assert.equal(Buffer.compare((await chunks.get(id)) as Uint8Array, bytes), 0);
      assert.equal(Buffer.compare((await chunks.get(id, bytes.length)) as Uint8Array, bytes), 0);
      assert.equal(Buffer.compare(chunks.getNow(id) as Uint8Array, bytes), 0);
    }
    await chunks.flush();
    for (const bytes of samples) {
      assert.equal(Buffer.compare((await chunks.get(sha256(bytes))) as Uint8Array, bytes), 0);
      assert.equal(await chunks.length(sha256(bytes)), bytes.length);
    }
  });

  test(`${name}: all chunks can be listed, and those that went are not among them`, async (t) => {
    const { chunks } = await make(t);
    const listed = async () => {
      const ids: string[] = [];
      for await (const id of chunks.ids()) ids.push(id);
      return ids.sort();
    };
    assert.deepEqual(await listed(), []);
    for (const bytes of samples) await chunks.put(sha256(bytes), bytes, { durable: true });
    assert.deepEqual(await listed(), samples.map(sha256).sort());
    const [first, ...others] = samples.map(sha256) as [string, ...string[]];
    await chunks.remove(first);
    assert.deepEqual(await listed(), others.sort());
    assert.equal(await chunks.length(first), undefined);
  });

  test(`${name}: putting again changes nothing, also at the same time`, async (t) => {
    const { chunks } = await make(t);
    const bytes = samples[0] as Buffer;
    const id = sha256(bytes);
    await Promise.all([1, 2, 3].map(() => chunks.put(id, bytes, { durable: true })));
    await chunks.put(id, bytes, { durable: true });
    assert.equal(Buffer.compare((await chunks.get(id)) as Uint8Array, bytes), 0);
    await chunks.remove(id);
    assert.equal(chunks.has(id), false);
  });

  test(`${name}: what is removed or set aside is absent, and may be put again`, async (t) => {
    const { chunks } = await make(t);
    for (const bytes of samples) {
      const id = sha256(bytes);
      await chunks.remove(id);
      await chunks.setAside(id);
      for (const away of [() => chunks.remove(id), () => chunks.setAside(id)]) {
        await chunks.put(id, bytes, { durable: true });
        await away();
        assert.equal(chunks.has(id), false);
        assert.equal(await chunks.get(id), undefined);
        assert.equal(chunks.getNow(id), undefined);
        await chunks.flush();
        assert.equal(chunks.has(id), false);
      }
      await chunks.put(id, bytes, { durable: true });
      assert.equal(Buffer.compare((await chunks.get(id)) as Uint8Array, bytes), 0);
    }
  });
}

/** What implementations promise beyond that which do not live in memory. */
export function lastingContract(
  name: string,
  sizes: number[],
  make: (t: TestContext) => Promise<LastingSubject>,
): void {
  chunksContract(name, sizes, make);

  test(`${name}: durable chunks outlive the process`, async (t) => {
    const { chunks, reopen } = await make(t);
    const samples = sizes.map((size) => randomBytesOf(size, size));
    for (const bytes of samples) await chunks.put(sha256(bytes), bytes, { durable: true });
    const later = await reopen();
    for (const bytes of samples) {
      assert.equal(Buffer.compare((await later.get(sha256(bytes))) as Uint8Array, bytes), 0);
    }
  });
}
