import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { test } from 'node:test';
import type { OpenContent } from '../../src/content/content.js';
import { StagedContent } from '../../src/content/staging/staged-content.js';
import type { LocalContentStore } from '../../src/content/store.js';
import fc from '../property.js';
import { copyTo, MapSource, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

async function contentOf(file: OpenContent): Promise<Buffer> {
  return Buffer.from(await file.read(0, file.size));
}

async function published(store: LocalContentStore, bytes: Uint8Array): Promise<string> {
  const file = store.open('made', '', 0);
  await file.write(0, bytes);
  const { content } = await file.publish();
  await file.close();
  return content;
}

test('whatever is written, cut and punched in whatever order: reads, holes and what is published agree with a buffer', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  const place = fc.nat(600_000);
  // With a hole in it.
  const lent = randomBytesOf(2 * MiB, 77);
  lent.fill(0, 300_000, 900_000);
  const lender = await published(store, lent);
  const step = fc.oneof(
    fc.record({ do: fc.constant('write' as const), at: place, bytes: fc.nat(90_000) }),
    fc.record({ do: fc.constant('punch' as const), at: place, bytes: fc.nat(400_000) }),
    fc.record({ do: fc.constant('cut' as const), at: place, bytes: fc.constant(0) }),
    fc.record({ do: fc.constant('publish' as const), at: fc.constant(0), bytes: fc.constant(0) }),
    fc.record({ do: fc.constant('together' as const), at: place, bytes: fc.nat(90_000) }),
    fc.record({ do: fc.constant('borrow' as const), at: place, bytes: fc.nat(2 * MiB) }),
  );
  let seed = 1;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const file = store.open(`f${seed++}`, '', 0);
      let model = Buffer.alloc(0);
      const put = (at: number, bytes: Uint8Array) => {
        if (at + bytes.length > model.length) {
          model = Buffer.concat([model, Buffer.alloc(at + bytes.length - model.length)]);
        }
        model.set(bytes, at);
      };
      for (const { do: what, at, bytes } of steps) {
        if (what === 'write') {
          const data = randomBytesOf(bytes, seed++);
          await file.write(at, data);
          if (bytes > 0) put(at, data);
        } else if (what === 'punch') {
          await file.punch(at, at + bytes);
          model.fill(0, Math.min(at, model.length), Math.min(at + bytes, model.length));
        } else if (what === 'cut') {
          await file.truncate(at);
          model = Buffer.concat([model.subarray(0, at), Buffer.alloc(Math.max(0, at - model.length))]);
        } else if (what === 'borrow') {
          const from = Math.min(lent.length - 1, 3 * at);
          await file.borrow(at, lender, lent.length, from, bytes);
          if (bytes > from) put(at, lent.subarray(from, bytes));
        } else if (what === 'together') {
          // While it is published, bytes are written and a hole is punched.
          const publishing = file.publish();
          const data = randomBytesOf(bytes, seed++);
          await file.write(at, data);
          if (bytes > 0) put(at, data);
          const hole = file.punch(at + 10, at + 50_000);
          model.fill(0, Math.min(at + 10, model.length), Math.min(at + 50_000, model.length));
          await Promise.all([publishing, hole]);
        } else await file.publish();
        assert.ok((await contentOf(file)).equals(model));
      }
      for (let at = 0; at < model.length; ) {
        const data = await file.seek(at, 'data');
        assert.ok(!model.subarray(at, data ?? model.length).some((byte) => byte !== 0));
        if (data === undefined) break;
        at = (await file.seek(data, 'hole')) as number;
        assert.ok(at > data && at <= model.length);
      }
      assert.equal(await file.seek(model.length, 'data'), undefined);
      const { content, size } = await file.publish();
      const again = store.open('again', content, size);
      assert.ok((await contentOf(again)).equals(model));
      assert.equal(content, await published(store, model), 'cut as if it were written at once');
      await Promise.all([again.close(), file.close()]);
    }),
    { numRuns: 60 },
  );
});

test('what was punched is so after the process died, and after a power cut once it was synced', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const bytes = randomBytesOf(3 * MiB, 1);
  const content = await published(store, bytes);
  const file = store.open('inode', content, bytes.length);
  await file.punch(MiB, 2 * MiB);
  await file.write(1_500_000, Buffer.from('in the hole'));
  await file.sync();
  const copy = temporaryFolder(t);
  cpSync(folder, copy, { recursive: true });
  const later = await openStore(t, copy);
  const found = later.store.recovered().find(({ key }) => key === 'inode');
  bytes.fill(0, MiB, 2 * MiB);
  bytes.write('in the hole', 1_500_000);
  assert.ok(found);
  assert.ok((await contentOf(found.content)).equals(bytes));
  const { content: name } = await found.content.publish();
  assert.equal(name, await published(later.store, bytes));
});

test('a copy shares its chunks: nothing is fetched, nothing stored but its list', async (t) => {
  const source = new MapSource();
  const first = await openStore(t, temporaryFolder(t));
  const bytes = randomBytesOf(20 * MiB, 1);
  const content = await published(first.store, bytes);
  await copyTo(source, first.store, content);
  const { store } = await openStore(t, temporaryFolder(t), { source });
  const copy = store.open('copy', '', 0);
  await copy.borrow(0, content, bytes.length, 0, 7 * MiB);
  await copy.borrow(7 * MiB, content, bytes.length, 7 * MiB, 30 * MiB);
  const { content: name } = await copy.publish();
  assert.equal(name, content);
  assert.deepEqual(source.asked, [content.slice(1)], 'the list of chunks alone');
  await copy.write(5, Buffer.from('its own'));
  await copy.publish();
  assert.ok(source.asked.length <= 3);
  bytes.write('its own', 5);
  assert.ok((await contentOf(copy)).equals(bytes));
  await copy.close();
});

test('parts of files, wherever they are put, share their whole chunks: only what surrounds those moves', async (t) => {
  const source = new MapSource();
  const first = await openStore(t, temporaryFolder(t));
  const bytes = randomBytesOf(40 * MiB, 2);
  const content = await published(first.store, bytes);
  await copyTo(source, first.store, content);
  const { store } = await openStore(t, temporaryFolder(t), { source });
  const file = store.open('inode', '', 0);
  await file.write(0, randomBytesOf(3 * MiB, 3));
  // The second half first, a gap, and the first half over the end of what was written.
  await file.borrow(24 * MiB + 17, content, bytes.length, 21 * MiB + 5, 39 * MiB);
  await file.borrow(2 * MiB + 1, content, bytes.length, 1000, 20 * MiB);
  const model = Buffer.alloc(24 * MiB + 17 + 18 * MiB - 5);
  randomBytesOf(3 * MiB, 3).copy(model);
  bytes.copy(model, 24 * MiB + 17, 21 * MiB + 5, 39 * MiB);
  bytes.copy(model, 2 * MiB + 1, 1000, 20 * MiB);
  const { content: name, newBytes } = await file.publish();
  const fetched = source.asked.reduce((sum, id) => sum + (source.chunks.get(id)?.length ?? 0), 0);
  assert.ok(fetched < 16 * MiB, `${fetched} of ${bytes.length} bytes fetched`);
  assert.ok(newBytes < 20 * MiB, `${newBytes} bytes stored`);
  assert.ok((await contentOf(file)).equals(model));
  // Bytes of the file itself, further back in it.
  await file.borrow(50 * MiB, name, model.length, 5 * MiB, 15 * MiB);
  const longer = Buffer.concat([model, Buffer.alloc(60 * MiB - model.length)]);
  model.copy(longer, 50 * MiB, 5 * MiB, 15 * MiB);
  assert.ok((await contentOf(file)).equals(longer));
  const again = await file.publish();
  assert.ok(again.newBytes < 8 * MiB, `${again.newBytes} bytes stored`);
  await file.close();
  assert.equal(again.content, await published(store, longer), 'cut as if it were written at once');
});

test('what is borrowed comes back after kill -9 and a power cut, and what it lies in is not collected', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const bytes = randomBytesOf(5 * MiB, 4);
  const content = await published(store, bytes);
  const file = store.open('inode', '', 0);
  await file.borrow(100, content, bytes.length, MiB, 4 * MiB);
  await file.write(MiB, Buffer.from('over it'));
  await file.sync();
  const model = Buffer.concat([Buffer.alloc(100), bytes.subarray(MiB, 4 * MiB)]);
  model.write('over it', MiB);
  assert.ok(file instanceof StagedContent && file.contents().includes(content), 'in use while it is open');
  const copy = temporaryFolder(t);
  cpSync(folder, copy, { recursive: true });
  const later = await openStore(t, copy);
  const found = later.store.recovered().find(({ key }) => key === 'inode');
  assert.ok(found);
  assert.ok(found.content instanceof StagedContent && found.content.contents().includes(content));
  assert.ok((await contentOf(found.content)).equals(model));
  const { content: name } = await found.content.publish();
  assert.equal(name, await published(later.store, model));
});

test('4 KiB here and there in 10 GiB that are elsewhere fetch and store only what surrounds them', async (t) => {
  const source = new MapSource();
  const first = await openStore(t, temporaryFolder(t));
  const made = first.store.open('made', '', 0);
  await made.truncate(10 * GiB);
  // Islands of data in a sea of zeros.
  const islands = Array.from({ length: 6 }, (_, i) => ({
    at: Math.floor(i * 1.7 * GiB),
    bytes: randomBytesOf(8 * MiB, i),
  }));
  for (const { at, bytes } of islands) await made.write(at, bytes);
  const { content } = await made.publish();
  await copyTo(source, first.store, content);
  const total = [...source.chunks.values()].reduce((sum, { length }) => sum + length, 0);

  const { store } = await openStore(t, temporaryFolder(t), { source });
  const file = store.open('inode', content, 10 * GiB);
  const writes = Array.from({ length: 12 }, (_, i) => ({
    at: i < 6 ? (islands[i]?.at ?? 0) + 3 * MiB + 777 * i : Math.floor(i * 0.77 * GiB),
    bytes: randomBytesOf(4096, 100 + i),
  }));
  for (const { at, bytes } of writes) await file.write(at, bytes);
  const { newBytes, size, content: after } = await file.publish();
  const fetched = source.asked.reduce((sum, id) => sum + (source.chunks.get(id)?.length ?? 0), 0);
  assert.ok(fetched < total / 2, `${fetched} of ${total} bytes fetched`);
  assert.ok(newBytes < writes.length * 4 * MiB, `${newBytes} bytes stored`);
  const check = store.open('check', after, size);
  for (const { at, bytes } of writes) {
    assert.ok(Buffer.from(await check.read(at, 4096)).equals(bytes));
  }
  await Promise.all([file.close(), check.close()]);
});
