import assert from 'node:assert/strict';
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256, then } from '../../src/base/index.js';
import { encodeStagingRecord } from '../../src/content/staging/staged-state.js';
import { StagingFile } from '../../src/content/staging/staging-file.js';
import { openRecordLog } from '../../src/store/index.js';
import { atEnd, openStore, randomBytesOf, temporaryFolder } from './helpers.js';

const MiB = 1024 * 1024;

/** What another process finds after this one was killed now. */
async function afterKill(t: TestContext, folder: string) {
  const copy = temporaryFolder(t);
  cpSync(folder, copy, { recursive: true });
  return { folder: copy, ...(await openStore(t, copy)) };
}

/** As if the machine had been started anew since the last record. */
async function pretendPowerCut(folder: string): Promise<void> {
  const { log } = await openRecordLog(join(folder, 'content', 'staging-log'));
  log.append(encodeStagingRecord({ type: 'boot', boot: 'an earlier one' }));
  await log.close();
}

/** A store that is told that names are durable by `durable`, or at the end of the test. */
async function openUntilDurable(t: TestContext, folder: string) {
  let durable = () => {};
  const told = new Promise<void>((resolve) => {
    durable = resolve;
  });
  const opened = await openStore(t, folder, { namesDurable: () => told });
  atEnd(t, () => durable()); // before the store is closed, which waits for it
  return { ...opened, durable: () => durable() };
}

test('a publication that fails leaves the file as it is, and may be tried again', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const bytes = randomBytesOf(3 * MiB, 1);
  const file = store.open('key', '', 0);
  await file.write(0, bytes);
  const temporary = join(folder, 'content', 'temporary');
  // More often than there may be staging files, with a write on the way each time.
  for (let i = 0; i < 6; i++) {
    renameSync(temporary, `${temporary}-away`);
    const publishing = Promise.resolve(file.publish());
    publishing.catch(() => {});
    const data = randomBytesOf(50_000, 100 + i);
    data.copy(bytes, i * 300_000);
    await Promise.all([
      assert.rejects(publishing, { code: 'io' }),
      Promise.resolve(file.write(i * 300_000, data)),
    ]);
    renameSync(`${temporary}-away`, temporary);
    assert.equal(file.dirty, true);
    assert.equal(Buffer.compare(await file.read(0, bytes.length), bytes), 0, `after failure ${i}`);
  }
  const { content, size } = await file.publish();
  await file.close();
  assert.equal(Buffer.compare(await store.open('r', content, size).read(0, size), bytes), 0);
});

test('writes during a publication are for the next one', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  const bytes = randomBytesOf(20 * MiB, 2);
  const file = store.open('key', '', 0);
  await file.write(0, bytes);
  const publishing = file.publish();
  await new Promise((resolve) => setImmediate(resolve));
  const later = Buffer.from(bytes);
  for (let at = 0; at < 2 * MiB; at += MiB / 2) {
    const data = randomBytesOf(100_000, at + 1);
    data.copy(later, at);
    await file.write(at, data);
  }
  await file.truncate(19 * MiB);
  const first = await publishing;
  assert.equal(file.dirty, true);
  assert.equal(Buffer.compare(await store.open('r', first.content, first.size).read(0, 21 * MiB), bytes), 0);
  const second = await file.publish();
  assert.equal(file.dirty, false);
  const found = await store.open('r', second.content, second.size).read(0, 21 * MiB);
  assert.equal(Buffer.compare(found, later.subarray(0, 19 * MiB)), 0);
  assert.ok(
    second.newBytes < second.size,
    `untouched chunks were stored again: ${JSON.stringify([first, second])}`,
  );
});

test('two publications at the same time have one result', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  const file = store.open('key', '', 0);
  await file.write(0, randomBytesOf(2 * MiB, 3));
  const [one, two] = await Promise.all([file.publish(), file.publish()]);
  assert.equal(one.content, two.content);
  assert.equal(two.newChunks, 0);
});

test('what was staged is let go only when the owner says that names are durable', async (t) => {
  const folder = temporaryFolder(t);
  const { store, durable } = await openUntilDurable(t, folder);
  const samples = [randomBytesOf(1000, 4), randomBytesOf(MiB, 5)];
  for (const [i, bytes] of samples.entries()) {
    const file = store.open(`${i}`, '', 0);
    await file.write(0, bytes);
    await file.save();
    await file.publish();
    file.recordedAs(i + 1);
    await file.close();
  }
  await new Promise((resolve) => setTimeout(resolve, 400));
  const killed = await afterKill(t, folder);
  const found = killed.store.recovered();
  assert.deepEqual(found.map(({ key }) => key).sort(), ['0', '1']);
  for (const { key, content } of found) {
    const bytes = samples[Number(key)] as Buffer;
    assert.equal(Buffer.compare(await content.read(0, bytes.length + 1), bytes), 0);
    assert.equal((await content.publish()).newBytes, 0, 'it is there already');
    await content.close();
  }
  durable();
  for (let i = 0; i < 3_000 && readdirSync(join(folder, 'content', 'staging')).length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const later = await afterKill(t, folder);
  assert.deepEqual(later.store.recovered(), []);
  assert.deepEqual(readdirSync(join(folder, 'content', 'staging')), []);
});

test('a new key is the one under which it comes back', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const sizes = [500, 500, 200_000, 200_000];
  for (const [i, size] of sizes.entries()) {
    const file = store.open(`old-${i}`, '', 0);
    await file.write(0, randomBytesOf(size, i));
    if (i % 2 === 0) await file.save();
    file.rekey(`new-${i}`);
    await file.save();
  }
  const killed = await afterKill(t, folder);
  assert.deepEqual(
    killed.store
      .recovered()
      .map(({ key }) => key)
      .sort(),
    sizes.map((_, i) => `new-${i}`),
  );
});

test('what is discarded does not come back', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  for (const size of [500, 300_000]) {
    const file = store.open(`${size}`, '', 0);
    await file.write(0, randomBytesOf(size, 1));
    await file.save();
    await file.close(true);
  }
  const busy = store.open('busy', '', 0);
  await busy.write(0, randomBytesOf(5 * MiB, 1));
  const publishing = Promise.resolve(busy.publish());
  publishing.catch(() => {});
  await busy.close(true);
  await publishing.catch((error) => assert.equal(error.code, 'interrupted'));
  const killed = await afterKill(t, folder);
  assert.deepEqual(killed.store.recovered(), []);
  assert.equal(store.usage().stagedBytes, 0);
});

test('after a power cut a staged file is what was synced, and nothing that was not', async (t) => {
  const folder = temporaryFolder(t);
  const first = await openStore(t, folder);
  const synced = randomBytesOf(400_000, 7);
  const file = first.store.open('synced', '', 0);
  await file.write(0, synced);
  await file.sync();
  await file.write(100_000, randomBytesOf(500_000, 8));
  await file.save();
  const never = first.store.open('never', '', 0);
  await never.write(0, randomBytesOf(400_000, 9));
  await never.save();
  const copy = temporaryFolder(t);
  cpSync(folder, copy, { recursive: true });
  await pretendPowerCut(copy);
  const { store, lines } = await openStore(t, copy);
  const found = store.recovered();
  assert.deepEqual(
    found.map(({ key }) => key),
    ['synced'],
  );
  assert.equal(found[0]?.content.size, synced.length, 'the size is that of the sync');
  assert.ok(lines.some((line) => line.includes('did not survive') && line.includes('never')));
});

test('a staging file that is shorter than its record is not trusted', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const file = store.open('key', '', 0);
  await file.write(0, randomBytesOf(400_000, 7));
  await file.save();
  const copy = temporaryFolder(t);
  cpSync(folder, copy, { recursive: true });
  const [name] = readdirSync(join(copy, 'content', 'staging')) as [string];
  truncateSync(join(copy, 'content', 'staging', name), 399_999);
  assert.deepEqual((await openStore(t, copy)).store.recovered(), []);
});

test('a file cut to nothing and written anew forgets what it was, also through a restart', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const old = store.open('key', '', 0);
  await old.write(0, randomBytesOf(2 * MiB, 1));
  const { content, size } = await old.publish();
  await old.close();
  const file = store.open('key', content, size);
  await file.truncate(100);
  await file.truncate(300_000);
  await file.write(200_000, Buffer.from('end'));
  await file.save();
  const { store: later } = await afterKill(t, folder);
  const [found] = later.recovered();
  const expected = Buffer.alloc(300_000);
  randomBytesOf(2 * MiB, 1).copy(expected, 0, 0, 100);
  expected.write('end', 200_000);
  assert.equal(Buffer.compare((await found?.content.read(0, 400_000)) as Uint8Array, expected), 0);
});

test('the thread that publishes may die: what it did is done again', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  const bytes = randomBytesOf(12 * MiB, 1);
  const file = store.open('key', '', 0);
  await file.write(0, bytes);
  const failing = Promise.resolve(file.publish());
  failing.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 60));
  await store['parts'].publisher['worker']?.terminate();
  await failing.catch((error) => assert.equal(error.code, 'internal'));
  const { content, size } = await file.publish();
  assert.equal(Buffer.compare(await store.open('r', content, size).read(0, size), bytes), 0);
});

test('the staging log does not grow for ever', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const file = store.open('long', '', 0);
  await file.write(0, randomBytesOf(300_000, 1));
  const bytes = Buffer.from(await file.read(0, 400_000));
  for (let i = 0; i < 60_000; i++) {
    const at = (i * 7919) % 300_000;
    bytes[at] = i & 255;
    file.write(at, Buffer.from([i & 255]));
  }
  await file.save();
  await store['parts'].ground.log.compact(store['parts'].log);
  const log = join(folder, 'content', 'staging-log');
  const size = readdirSync(log).reduce((sum, name) => sum + statSync(join(log, name)).size, 0);
  assert.ok(size < 12 * MiB, `${size} bytes of log`);
  const { store: later } = await afterKill(t, folder);
  const [found] = later.recovered();
  assert.equal(Buffer.compare((await found?.content.read(0, 400_000)) as Uint8Array, bytes), 0);
});

test('bytes that were staged small are not mistaken for later ones', async (t) => {
  const { store } = await openStore(t, temporaryFolder(t));
  const file = store.open('key', '', 0);
  await file.write(0, Buffer.from('first'));
  await file.save();
  await file.truncate(300_000);
  await file.publish();
  const again = store.open('key', '', 0);
  await again.write(0, Buffer.from('other'));
  assert.deepEqual(await again.publish(), {
    content: `c${sha256(Buffer.from('other'))}`,
    size: 5,
    newChunks: 1,
    newBytes: 5,
  });
  await file.truncate(0);
  await file.write(0, Buffer.from('later'));
  assert.equal((await file.publish()).content, `c${sha256(Buffer.from('later'))}`);
});

test('a file that was published while it was written comes back whole after kill -9', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openStore(t, folder);
  const bytes = randomBytesOf(3 * MiB, 2);
  const file = store.open('key', '', 0);
  await file.write(0, bytes);
  const publishing = file.publish();
  await new Promise((resolve) => setImmediate(resolve));
  const data = randomBytesOf(10_000, 3);
  data.copy(bytes, 1_000_000);
  await file.write(1_000_000, data);
  await file.truncate(2_500_000);
  await file.save();
  const { content } = await publishing;
  const expected = bytes.subarray(0, 2_500_000);
  const before = (await afterKill(t, folder)).store.recovered();
  assert.equal(Buffer.compare((await before[0]?.content.read(0, 3 * MiB)) as Uint8Array, expected), 0);
  await store['parts'].settlement.settle();
  const after = (await afterKill(t, folder)).store.recovered();
  assert.equal(Buffer.compare((await after[0]?.content.read(0, 3 * MiB)) as Uint8Array, expected), 0);
  assert.equal(before[0]?.base, '');
  assert.equal(after[0]?.base, content);
});

test('what comes back after kill -9 is never older than what was published last', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openUntilDurable(t, folder);
  const file = store.open('key', '', 0);
  file.write(0, Buffer.from('one'));
  file.save();
  file.publish();
  file.write(0, Buffer.from('two'));
  file.publish();
  await file.close();
  const other = store.open('key v2', `c${sha256(Buffer.from('two'))}`, 3);
  other.write(0, Buffer.from('six'));
  other.publish();
  const found = (await afterKill(t, folder)).store.recovered();
  assert.deepEqual(
    found.map(({ key, content }) => [key, String(content.read(0, 9))]),
    [['key v2', 'six']],
  );
  other.rekey('moved v3');
  assert.deepEqual(
    (await afterKill(t, folder)).store
      .recovered()
      .map(({ key }) => key)
      .sort(),
    ['moved v3'],
  );
});

test('what was synced is not lost with what was written after it and did not survive a power cut', async (t) => {
  const folder = temporaryFolder(t);
  const { store } = await openUntilDurable(t, folder);
  const file = store.open('key', '', 0);
  await file.write(0, Buffer.from('synced'));
  await file.sync();
  await file.publish();
  await file.close();
  const contents = join('content', 'content-log');
  const contentsThen = temporaryFolder(t);
  cpSync(join(folder, contents), contentsThen, { recursive: true });

  const later = store.open('key', `c${sha256(Buffer.from('synced'))}`, 6);
  await later.write(6, Buffer.from(', and more'));
  await later.save();
  /** The records were written back by then, the contents were not. */
  const afterCut = async () => {
    const copy = temporaryFolder(t);
    cpSync(folder, copy, { recursive: true });
    rmSync(join(copy, contents), { recursive: true });
    cpSync(contentsThen, join(copy, contents), { recursive: true });
    return (await openStore(t, copy)).store
      .recovered()
      .map(({ key, content, named }) => [key, String(content.read(0, 99)), named]);
  };
  assert.deepEqual(await afterCut(), [['key', 'synced', 0]]);
  // If that name is there, the tree has more than what was synced before.
  await later.publish();
  later.recordedAs(7);
  assert.deepEqual(await afterCut(), [['key', 'synced', 7]]);
});

test('whatever was synced comes back, also where the staging files lost what was not flushed to them', async (t) => {
  const folder = temporaryFolder(t);
  const staging = (of: string) => join(of, 'content', 'staging');
  // A disk that keeps of a staging file what it was when it was flushed last.
  const kept = new Map<string, Buffer>();
  let flushes = 0;
  const { sync } = StagingFile.prototype;
  StagingFile.prototype.sync = function (this: StagingFile) {
    return then(sync.call(this), () => {
      flushes++;
      kept.set(basename(this.path), readFileSync(this.path));
    });
  };
  t.after(() => {
    StagingFile.prototype.sync = sync;
  });
  const { store } = await openStore(t, folder);
  const old = store.open('key', '', 0);
  await old.write(0, randomBytesOf(3 * MiB, 1));
  const { content, size } = await old.publish();
  await old.close();
  await store.flush();
  const file = store.open('key', content, size);
  const bytes = randomBytesOf(3 * MiB, 1);
  let synced = Buffer.from(bytes);
  let since: { at: number; length: number }[] = [];
  let syncs = 0;
  for (let i = 0; i < 120; i++) {
    const length = [10, 4096, 4096, 90_000][i % 4] as number;
    const at = (i * 611_953) % (size - length);
    const data = randomBytesOf(length, i);
    data.copy(bytes, at);
    await file.write(at, data);
    since.push({ at, length });
    if (i % 5 === 4) {
      since = [];
      await file.sync();
      syncs++;
      synced = Buffer.from(bytes);
    }
    if (i % 40 === 19) await store['parts'].ground.log['rewrite']();
    if (i % 24 !== 23) continue;
    await file.save();
    const copy = temporaryFolder(t);
    cpSync(folder, copy, { recursive: true });
    for (const name of readdirSync(staging(copy))) {
      const was = kept.get(name);
      if (was === undefined) rmSync(join(staging(copy), name));
      else writeFileSync(join(staging(copy), name), was);
    }
    // The system may not say that it was started anew.
    if (i % 48 !== 23) await pretendPowerCut(copy);
    const [found] = (await openStore(t, copy)).store.recovered();
    const back = (await found?.content.read(0, size)) as Uint8Array;
    // What was written since, and saved, may be there or not.
    for (const { at, length } of since) synced.copy(back, at, at, at + length);
    assert.equal(Buffer.compare(back, synced), 0, `after write ${i}`);
    const killed = (await afterKill(t, folder)).store.recovered()[0];
    assert.equal(
      Buffer.compare((await killed?.content.read(0, size)) as Uint8Array, bytes),
      0,
      'it was only killed',
    );
  }
  assert.ok(flushes < syncs / 3, `${flushes} flushes of the file in ${syncs} syncs`);
});

test('what was published stays staged until its owner has named it', async (t) => {
  const folder = temporaryFolder(t);
  const { store, close } = await openStore(t, folder, { namesDurable: async () => {} });
  const sizes = { small: 5_000, large: 400_000 };
  const keysOf = async () =>
    (await afterKill(t, folder)).store
      .recovered()
      .map(({ key }) => key)
      .sort();
  const files = [];
  for (const [key, size] of Object.entries(sizes)) {
    const file = store.open(key, '', 0);
    await file.write(0, randomBytesOf(size, size));
    await file.sync();
    await file.publish();
    files.push(file);
  }
  // The journal takes no name: the disk is full, or has failed.
  await store['parts'].settlement.settle();
  assert.deepEqual(await keysOf(), ['large', 'small']);
  for (const file of files) file.recordedAs(1);
  await store['parts'].settlement.settle();
  assert.deepEqual(await keysOf(), []);
  const atOnce = store.open('at once', '', 0);
  atOnce.write(0, randomBytesOf(5_000, 4));
  await atOnce.sync();
  atOnce.publish();
  atOnce.recordedAs(2);
  for (let i = 0; i < 3_000 && (await keysOf()).length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(await keysOf(), [], 'it is let go by itself');
  const dropped = store.open('dropped', '', 0);
  await dropped.write(0, randomBytesOf(400_000, 3));
  await dropped.sync();
  await dropped.publish();
  await dropped.close(true);
  await store['parts'].settlement.settle();
  assert.deepEqual(await keysOf(), []);
  await close();
});
