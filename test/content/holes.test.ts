import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OpenContent } from '../../src/content/content.js';
import type { LocalContentStore } from '../../src/content/store.js';
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
  const step = fc.oneof(
    fc.record({ do: fc.constant('write' as const), at: place, bytes: fc.nat(90_000) }),
    fc.record({ do: fc.constant('punch' as const), at: place, bytes: fc.nat(400_000) }),
    fc.record({ do: fc.constant('cut' as const), at: place, bytes: fc.constant(0) }),
    fc.record({ do: fc.constant('publish' as const), at: fc.constant(0), bytes: fc.constant(0) }),
    fc.record({ do: fc.constant('together' as const), at: place, bytes: fc.nat(90_000) }),
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
  assert.equal(copy.share(content, bytes.length, 0, 7 * MiB), true);
  assert.equal(copy.share(content, bytes.length, 9 * MiB, 10 * MiB), false, 'not where it ends');
  assert.equal(copy.share(content, bytes.length, 7 * MiB, 20 * MiB), true);
  const { content: name } = await copy.publish();
  assert.equal(name, content);
  assert.deepEqual(source.asked, [content.slice(1)], 'the list of chunks alone');
  await copy.write(5, Buffer.from('its own'));
  assert.equal(copy.share(content, bytes.length, 20 * MiB, 20 * MiB), false);
  await copy.publish();
  assert.ok(source.asked.length <= 3);
  bytes.write('its own', 5);
  assert.ok((await contentOf(copy)).equals(bytes));
  await copy.close();
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
