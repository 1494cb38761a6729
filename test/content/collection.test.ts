import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMITS } from '../../src/base/index.js';
import type { Collected, ContentId } from '../../src/content/content.js';
import { encodeManifest, packEntries } from '../../src/content/manifest.js';
import type { LocalContentStore } from '../../src/content/store.js';
import { bytesOf, type Named } from './collector-process.js';
import {
  MapSource,
  type MovableClock,
  movableClock,
  openStore,
  randomBytesOf,
  temporaryFolder,
} from './helpers.js';
import { Names } from './names.js';

const KiB = 1024;
const HISTORY_MS = 1000;

interface World {
  store: LocalContentStore;
  names: Names;
  clock: MovableClock;
  folder: string;
  close(): Promise<void>;
  /** One round; with `later`, after the history has passed. */
  round(later?: boolean): Promise<Collected>;
}

async function world(t: TestContext, folder = temporaryFolder(t), names = new Names()): Promise<World> {
  const clock = movableClock();
  const source = new MapSource();
  const { store, close } = await openStore(t, folder, { clock, source });
  const round = async (later = false) => {
    if (later) clock.pass(HISTORY_MS);
    const found = await store.collect({
      naming: names,
      historyMs: HISTORY_MS,
      seenByAllMs: Number.POSITIVE_INFINITY,
      signal: new AbortController().signal,
    });
    assert.ok(found);
    return found;
  };
  return { store, names, clock, folder, close, round };
}

async function write(store: LocalContentStore, bytes: Uint8Array): Promise<ContentId> {
  const file = store.open('w', '', 0);
  await file.write(0, bytes);
  const { content } = await file.publish();
  await file.close();
  return content;
}

async function isWhole(store: LocalContentStore, content: ContentId): Promise<boolean> {
  for (const { id } of await store.chunksOf(content, 1)) if (!store.has(id)) return false;
  return true;
}

const small = (seed: number) => randomBytesOf(5 * KiB, seed);
const large = (seed: number) => randomBytesOf(6000 * KiB, seed);

test('what another pod was told is kept here stays, though nothing names it here', async (t) => {
  const { store, names, round, clock } = await world(t);
  const content = await write(store, small(1));
  const id = content.slice(1);
  names.set('f', content);
  await round();
  assert.equal(store.isUnnamed(id), false);
  names.set('f', undefined);
  for (let i = 0; i < 2; i++) await round();
  assert.equal(store.isUnnamed(id), true, 'so nobody is told any more that it is kept');
  clock.pass(HISTORY_MS);
  const common = { naming: names, historyMs: HISTORY_MS, seenByAllMs: Number.POSITIVE_INFINITY };
  const { signal } = new AbortController();
  const counted = await store.collect({ ...common, promised: (chunk) => chunk === id, signal });
  assert.deepEqual([counted?.removed, counted?.unnamed], [0, 1]);
  assert.equal((await round()).removed, 1);
});

test('what nothing names goes after its history, in a later round than the one that found it; what is named stays', async (t) => {
  const { store, names, round } = await world(t);
  const contents = [await write(store, small(1)), await write(store, large(2))];
  const doomed = [await write(store, small(3)), await write(store, large(4))];
  for (const [i, content] of [...contents, ...doomed].entries()) names.set(`${i}`, content);
  assert.equal((await round()).unnamed, 0);
  const full = store.usage();
  names.set('2', undefined);
  names.set('3', undefined);
  await round(); // still claimed, for it was written lately
  const found = await round();
  assert.ok(found.unnamed > 2);
  assert.equal(found.removed, 0);
  assert.equal((await round()).removed, 0, 'its history is not over');
  assert.ok(await isWhole(store, doomed[1] as string));
  const last = await round(true);
  assert.equal(last.removed, found.unnamed);
  assert.equal(last.removedBytes, found.unnamedBytes);
  for (const content of doomed) assert.equal(store.presence(content), 'remote');
  for (const content of contents) assert.ok(await isWhole(store, content));
  assert.equal(store.usage().bytes, full.bytes - last.removedBytes);
  assert.deepEqual(
    { ...(await round(true)), atMs: 0 },
    { chunks: last.chunks - last.removed, unnamed: 0, unnamedBytes: 0, removed: 0, removedBytes: 0, atMs: 0 },
  );
});

test('a name that comes back ends it, and its history begins anew the next time', async (t) => {
  const { store, names, round } = await world(t);
  const content = await write(store, small(1));
  for (let i = 0; i < 3; i++) await round();
  names.set('a', content);
  assert.equal((await round(true)).removed, 0);
  names.set('a', undefined);
  assert.equal((await round()).removed, 0);
  assert.equal((await round()).unnamed, 1);
  assert.equal((await round(true)).removed, 1);
});

test('what all do not know yet to be gone stays', async (t) => {
  const { store, names, clock, round } = await world(t);
  await write(store, small(1));
  for (let i = 0; i < 3; i++) await round();
  clock.pass(HISTORY_MS);
  const options = { naming: names, historyMs: HISTORY_MS, signal: new AbortController().signal };
  assert.equal((await store.collect({ ...options, seenByAllMs: 0 }))?.removed, 0);
  assert.equal((await store.collect({ ...options, historyMs: undefined, seenByAllMs: 1e12 }))?.removed, 0);
  assert.equal((await store.collect({ ...options, seenByAllMs: 1e12 }))?.removed, 1);
});

test('what is open, or staged over, stays as long as it is', async (t) => {
  const { store, round } = await world(t);
  const bytes = large(1);
  const content = await write(store, bytes);
  const open = store.open('reader', content, bytes.length);
  const staged = store.open('writer', content, bytes.length);
  await staged.write(3_000_000, small(2));
  for (let i = 0; i < 4; i++) assert.equal((await round(true)).removed, 0);
  await open.close();
  for (let i = 0; i < 4; i++) assert.equal((await round(true)).removed, 0);
  const { content: later } = await staged.publish();
  const check = store.open('check', later, bytes.length);
  const expected = Buffer.from(bytes);
  expected.set(small(2), 3_000_000);
  assert.equal(Buffer.compare(await check.read(0, bytes.length), expected), 0);
  await Promise.all([check.close(), staged.close()]);
  for (let i = 0; i < 4; i++) await round(true);
  assert.equal(store.usage().chunks, 0);
});

test('what an earlier process left staged stays, also while nobody has taken it up', async (t) => {
  const first = await world(t);
  const bytes = large(1);
  const content = await write(first.store, bytes);
  const staged = first.store.open('inode', content, bytes.length);
  await staged.write(1_000_000, small(2));
  await staged.sync();
  const copy = temporaryFolder(t);
  cpSync(first.folder, copy, { recursive: true });
  const { store, round } = await world(t, copy);
  for (let i = 0; i < 4; i++) assert.equal((await round(true)).removed, 0);
  const [recovered] = store.recovered();
  assert.ok(recovered);
  const published = await recovered.content.publish();
  assert.ok(await isWhole(store, published.content));
});

test('names that move from the unseen to the seen while a round goes on are seen', async (t) => {
  const { store, names, round } = await world(t);
  const content = await write(store, small(1));
  for (let i = 0; i < 20; i++)
    names.set(`n${String(i).padStart(2, '0')}`, await write(store, small(100 + i)));
  names.set('z', content);
  for (let i = 0; i < 3; i++) await round();
  let at = 'z';
  names.between = () => {
    // Always away from where the walk is.
    const to = at === 'z' ? 'a' : 'z';
    names.set(to, content);
    names.set(at, undefined);
    at = to;
  };
  for (let i = 0; i < 6; i++) assert.equal((await round(true)).removed, 0);
  assert.ok(store.has(content.slice(1)));
});

test('what is written again while it is about to go stays', async (t) => {
  const { store, names, clock, round } = await world(t);
  const bytes = [small(1), large(2)];
  for (const each of bytes) await write(store, each);
  for (let i = 0; i < 3; i++) await round();
  clock.pass(HISTORY_MS);
  for (let i = 0; i < 20; i++) names.set(`n${i}`, await write(store, small(100 + i)));
  const again: Promise<ContentId>[] = [];
  names.between = () => {
    if (again.length < 2) again.push(write(store, bytes[again.length] as Buffer));
  };
  const [, contents] = await Promise.all([
    round(),
    new Promise((resolve) => setTimeout(resolve, 50)).then(() => Promise.all(again)),
  ]);
  for (const [i, content] of contents.entries()) {
    names.set(`again ${i}`, content);
    assert.ok(await isWhole(store, content));
  }
  for (let i = 0; i < 3; i++) await round(true);
  for (const content of contents) assert.ok(await isWhole(store, content));
});

test('what is claimed while a round goes on stays, all of it', async (t) => {
  const { store, names, clock, round } = await world(t);
  const content = await write(store, large(1));
  for (let i = 0; i < 3; i++) await round();
  clock.pass(HISTORY_MS);
  names.set('a', await write(store, small(2)));
  names.set('b', await write(store, small(3)));
  names.between = () => store.claim(content);
  assert.equal((await round()).removed, 0);
  names.between = () => {};
  assert.equal((await round()).removed, 0, 'it may be named only now');
  assert.ok(await isWhole(store, content));
});

test('a content whose list of chunks cannot be had stops the round, and nothing is removed', async (t) => {
  const { store, names, clock, round } = await world(t);
  await write(store, small(1));
  for (let i = 0; i < 3; i++) await round();
  names.set('ghost', `m${'ab'.repeat(32)}`);
  clock.pass(HISTORY_MS);
  await assert.rejects(round(), { code: 'unreachable' });
  assert.equal(store.usage().chunks, 1);
});

test('a content whose list no member has, or whose list is none, does not stop collecting', async (t) => {
  const { store, names, clock } = await world(t);
  const source = new MapSource();
  store.useSource(source);
  const asked: string[] = [];
  const round = () =>
    store.collect({
      naming: names,
      historyMs: HISTORY_MS,
      seenByAllMs: Number.POSITIVE_INFINITY,
      nobodyHas: async (id) => {
        asked.push(id);
        return !source.chunks.has(id);
      },
      signal: new AbortController().signal,
    });
  await write(store, small(1));
  const kept = await write(store, large(2));
  names.set('kept', kept);
  const ghost = `m${'ab'.repeat(32)}`;
  names.set('ghost', ghost);
  names.set('no list', `m${(await write(store, large(3))).slice(1)}`);
  names.set('garbage', `m${source.add(Buffer.from('no list at all'))}`);
  // A list of lists of which one is nowhere.
  const entries = packEntries([{ id: 'cd'.repeat(32), length: 5 }]);
  names.set('half', `m${source.add(encodeManifest({ level: 1, entries }))}`);
  await assert.rejects(round(), { code: 'unreachable' });
  clock.pass(LIMITS.collectGraceMs);
  await assert.rejects(round(), { code: 'unreachable' }, 'the other one was not looked at before');
  clock.pass(LIMITS.collectGraceMs);
  assert.ok(asked.includes(ghost.slice(1)) && asked.includes('cd'.repeat(32)));
  assert.equal((await round())?.removed, 0, 'what is unnamed has its history before it');
  clock.pass(HISTORY_MS);
  assert.ok(((await round())?.removed ?? 0) > 0, 'it goes on');
  assert.ok(await isWhole(store, kept));
  // It was somewhere after all: what it names is kept from the next round on.
  const found = await write(store, large(4));
  names.set('half', found);
  source.add(Buffer.from('x'));
  clock.pass(HISTORY_MS);
  await round();
  assert.ok(await isWhole(store, found));
});

test('a tree that is built anew meanwhile makes the round void', async (t) => {
  const { store, names } = await world(t);
  for (let i = 0; i < 3; i++) names.set(`${i}`, await write(store, small(i)));
  names.between = () => names.rebuilt();
  const options = { naming: names, historyMs: 0, seenByAllMs: 0, signal: new AbortController().signal };
  assert.equal(await store.collect(options), undefined);
});

test('the age of what is unnamed is counted over restarts, in time that the store was open', async (t) => {
  const first = await world(t);
  await write(first.store, small(1));
  for (let i = 0; i < 3; i++) await first.round();
  first.clock.pass(HISTORY_MS / 2);
  await first.close();
  const second = await world(t, first.folder);
  assert.equal((await second.round()).unnamed, 1);
  second.clock.pass(HISTORY_MS / 2);
  assert.equal((await second.round()).removed, 1);
  await second.close();
  const third = await world(t, join(first.folder));
  assert.equal(third.store.usage().chunks, 0);
});

test('killed at any moment while it writes and collects, it has all that it named, and in the end nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const named = new Map<string, Named>();
  let removed = 0;
  for (let run = 1; run <= 3; run++) {
    const path = fileURLToPath(new URL('./collector-process.js', import.meta.url));
    const child = spawn(process.execPath, [
      path,
      folder,
      `${run * 1000}`,
      JSON.stringify([...named.values()]),
    ]);
    let [text, errors] = ['', ''];
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      errors += part;
    });
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      // By then it has collected, and something else each time.
      if (/removed [1-9]/.test(errors) && text.split('\n').length > 30 + run * 17) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(child.signalCode, 'SIGKILL', `it ended by itself: ${errors}`);
    removed += Number(/removed (\d+)\n$/.exec(errors)?.[1] ?? 0);
    for (const line of text.split('\n').slice(0, -1)) {
      const one = JSON.parse(line) as Named;
      named.set(one.name, one);
    }
    const { store, close } = await openStore(t, folder);
    for (const one of named.values()) {
      const file = store.open('reader', one.content, one.size);
      assert.equal(
        Buffer.compare(await file.read(0, one.size), bytesOf(one.seed)),
        0,
        `${one.name} in run ${run}`,
      );
      await file.close();
    }
    await close();
  }
  assert.ok(removed > 0);
  const names = new Names();
  for (const { name, content } of named.values()) names.set(name, content);
  const { store, round } = await world(t, folder, names);
  for (const { content } of store.recovered()) await content.close(true);
  const needed = new Set<string>();
  for (const { content, size } of named.values())
    for (const { id } of await store.chunksOf(content, size)) needed.add(id);
  for (let i = 0; i < 4; i++) await round(true);
  const left: string[] = [];
  for await (const id of store.chunkIds()) left.push(id);
  assert.deepEqual(left.sort(), [...needed].sort());
});
