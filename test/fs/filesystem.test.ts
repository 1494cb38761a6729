/** Tree and content joined, on the real ones: what the mount's own suite cannot see from outside. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, systemClock, WormholeError } from '../../src/base/index.js';
import { type ContentStore, openContentStore } from '../../src/content/index.js';
import {
  type Caller,
  type Invalidator,
  type OpenFlags,
  openFileSystem,
  type Stat,
  type WormholeFileSystem,
} from '../../src/fs/index.js';
import { type Database, openDatabase } from '../../src/store/index.js';
import { ROOT, type Tree } from '../../src/tree/index.js';
import { exchange, open as openTreeAt } from '../tree/fixture.js';

const CALLER: Caller = { uid: 0, gid: 0, pid: 1, umask: 0o022 };
const WRITE: OpenFlags = { read: true, write: true, append: false, truncate: false, sync: false };
const READ: OpenFlags = { ...WRITE, write: false };

/** One pod's tree, contents and file system. */
class Rig {
  readonly folder: string;
  readonly invalidated: string[] = [];
  /** Until it resolves nothing that is staged is let go. */
  namesHeld: Promise<void> | undefined;
  tree!: Tree;
  content!: ContentStore;
  fs!: WormholeFileSystem;
  private database!: Database;
  private podId = '';

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @param publishIntervalMs long enough by default that nothing goes on by itself while a test looks */
  async open(name = 'a', founder = true, publishIntervalMs = 60_000): Promise<this> {
    await mkdir(this.folder, { recursive: true });
    this.database = openDatabase(join(this.folder, 'database'));
    this.content = await openContentStore({
      folder: join(this.folder, 'content'),
      database: this.database,
      log: silentLog,
      namesDurable: async () => {
        await this.namesHeld;
        await this.tree.flush();
      },
    });
    this.podId = name.charCodeAt(0).toString(16).padStart(2, '0').repeat(32);
    this.tree = await openTreeAt(join(this.folder, 'tree'), name, {
      founder,
      beforePublish: () => this.content.flush(),
    });
    const invalidator: Invalidator = {
      inode: (inode) => this.invalidated.push(inode),
      entry: (parent, entry) => this.invalidated.push(`${parent}/${entry}`),
      everything: () => this.invalidated.push('everything'),
    };
    this.fs = openFileSystem({
      tree: this.tree,
      content: this.content,
      invalidator,
      podId: this.podId,
      storeFolder: this.folder,
      clock: systemClock,
      log: silentLog,
      publishIntervalMs,
    });
    return this;
  }

  async close(): Promise<void> {
    await this.fs.close();
    await this.tree.close();
    await this.content.close();
    await this.database.close();
  }

  /** What is not here comes from the other's store. */
  fetchFrom(other: Rig): void {
    this.content.useSource({
      fetch: async (id) => {
        const bytes = await other.content.get(id);
        if (bytes === undefined) throw new WormholeError('unreachable', 'the other does not have it');
        return bytes;
      },
    });
  }

  async save(name: string, text: string): Promise<Stat> {
    const { stat, handle } = await this.fs.create(ROOT, name, 0o644, WRITE, CALLER);
    await this.fs.write(handle, 0, Buffer.from(text));
    await this.fs.flush(handle);
    await this.fs.release(handle);
    return stat;
  }

  async text(name: string): Promise<string> {
    const stat = await this.stat(name);
    const handle = await this.fs.open(stat.inode, READ);
    const bytes = await this.fs.read(handle, 0, 1_000_000);
    await this.fs.release(handle);
    return Buffer.from(bytes).toString();
  }

  async stat(name: string): Promise<Stat> {
    const stat = await this.fs.lookup(ROOT, name);
    assert.ok(stat !== undefined, `${name} is missing`);
    return stat;
  }
}

let folder: string;
let a: Rig;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wormhole-fs-'));
  a = await new Rig(join(folder, 'a')).open();
});

after(async () => {
  await a.close();
  await rm(folder, { recursive: true, force: true });
});

test('what was written is read, and is in the tree once closed', async () => {
  await a.save('one', 'first words');
  assert.equal(await a.text('one'), 'first words');
  assert.equal(a.fs.unpublished(), 0);
  assert.equal(a.tree.lookup(ROOT, 'one')?.size, 11);
});

test('rename over a file: the source keeps its inode and handles here, the target its identity in the tree', async () => {
  const target = await a.save('target', 'old');
  const inTree = a.tree.lookup(ROOT, 'target')?.id;
  const opened = await a.fs.open(target.inode, READ);
  const { stat: source, handle } = await a.fs.create(ROOT, 'source', 0o644, WRITE, CALLER);
  await a.fs.write(handle, 0, Buffer.from('new'));
  await a.fs.rename(ROOT, 'source', ROOT, 'target', { noreplace: false, exchange: false });
  const now = await a.stat('target');
  assert.deepEqual([now.inode, now.ino], [source.inode, source.ino]);
  assert.equal(a.tree.lookup(ROOT, 'target')?.id, inTree);
  assert.equal(
    Buffer.from(await a.fs.read(opened, 0, 10)).toString(),
    'old',
    'the replaced file lives on while open',
  );
  assert.equal((await a.fs.stat(target.inode)).nlink, 0);
  await a.fs.write(handle, 3, Buffer.from('er'));
  await a.fs.flush(handle);
  await a.fs.release(handle);
  assert.equal(await a.text('target'), 'newer');
  await a.fs.release(opened);
});

test('a file that is renamed over another again and again stays one file', async () => {
  await a.save('saved', 'version 0');
  for (let version = 1; version <= 5; version++) {
    const { inode } = await a.save('saved.tmp', `version ${version}`);
    await a.fs.rename(ROOT, 'saved.tmp', ROOT, 'saved', { noreplace: false, exchange: false });
    assert.equal((await a.stat('saved')).inode, inode);
    assert.equal(await a.text('saved'), `version ${version}`);
  }
  await a.fs.unlink(ROOT, 'saved');
  assert.equal(await a.fs.lookup(ROOT, 'saved'), undefined);
});

test('an unlinked file is read and written while it is open', async () => {
  const { stat, handle } = await a.fs.create(ROOT, 'temporary', 0o600, WRITE, CALLER);
  await a.fs.unlink(ROOT, 'temporary');
  await a.fs.write(handle, 0, Buffer.from('still here'));
  assert.equal(Buffer.from(await a.fs.read(handle, 6, 4)).toString(), 'here');
  assert.deepEqual([(await a.fs.stat(stat.inode)).size, (await a.fs.stat(stat.inode)).nlink], [10, 0]);
  await a.fs.flush(handle);
  await a.fs.release(handle);
  assert.throws(() => a.fs.stat(stat.inode), { code: 'not-found' });
  assert.equal(a.fs.unpublished(), 0);
});

test('utimens before close survives the publication', async () => {
  const { stat, handle } = await a.fs.create(ROOT, 'timed', 0o644, WRITE, CALLER);
  await a.fs.write(handle, 0, Buffer.from('x'));
  await a.fs.setStat(stat.inode, { mtime: 1_234_567_890_123_456_789n }, handle);
  await a.fs.flush(handle);
  await a.fs.release(handle);
  assert.equal((await a.stat('timed')).mtime, 1_234_567_890_123_456_789n);
});

test('a write clears set-user-id when the kernel asks for it', async () => {
  const { stat, handle } = await a.fs.create(ROOT, 'suid', 0o6755, WRITE, CALLER);
  await a.fs.write(handle, 0, Buffer.from('x'), { killSuidgid: true });
  assert.equal((await a.fs.stat(stat.inode)).mode & 0o7777, 0o755);
  await a.fs.release(handle);
});

test('to set space aside is a change, also where nothing grows', async () => {
  const { stat, handle } = await a.fs.create(ROOT, 'space', 0o644, WRITE, CALLER);
  await a.fs.write(handle, 0, Buffer.from('x'));
  await a.fs.setStat(stat.inode, { mtime: 5n }, handle);
  assert.equal((await a.fs.stat(stat.inode)).mtime, 5n);
  await a.fs.allocate(handle, 0, 1, { keepSize: true, zero: false });
  await a.fs.release(handle);
  assert.ok((await a.fs.stat(stat.inode)).mtime > 5n);
});

test('a file that is held open and written is published now and then', async () => {
  const rig = await new Rig(join(folder, 'held')).open('a', true, 100);
  const { stat, handle } = await rig.fs.create(ROOT, 'log', 0o644, WRITE, CALLER);
  await rig.fs.write(handle, 0, Buffer.from('a line\n'));
  const end = performance.now() + 60_000;
  while (rig.tree.lookup(ROOT, 'log')?.size !== 7) {
    assert.ok(performance.now() < end, 'not published while open');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal((await rig.fs.stat(stat.inode)).size, 7);
  await rig.fs.release(handle);
  await rig.close();
});

test('mode and owner that are set while a file is written go along with its content', async () => {
  const rig = await new Rig(join(folder, 'owner')).open();
  const { stat, handle } = await rig.fs.create(ROOT, 'copied', 0o600, WRITE, CALLER);
  await rig.fs.write(handle, 0, Buffer.from('text'));
  const before = rig.tree.counts().pendingOperations;
  await rig.fs.setStat(stat.inode, { mode: 0o4755, uid: 7 }, handle);
  assert.equal(rig.tree.counts().pendingOperations, before, 'no operation of their own');
  const shown = await rig.stat('copied');
  assert.deepEqual([shown.mode & 0o7777, shown.uid], [0o4755, 7]);
  await rig.fs.write(handle, 4, Buffer.from(' more'), { killSuidgid: true });
  await rig.fs.flush(handle);
  const node = rig.tree.lookup(ROOT, 'copied');
  assert.deepEqual([node?.mode, node?.uid, node?.size], [0o755, 7, 9]);
  // A second round over content that is published: the mode is a register of its own now.
  await rig.fs.write(handle, 0, Buffer.from('TEXT'));
  await rig.fs.setStat(stat.inode, { mode: 0o640 }, handle);
  await rig.fs.fsync(handle, false);
  assert.equal(rig.tree.lookup(ROOT, 'copied')?.mode, 0o640, 'fsync waits for nothing');
  await rig.fs.setStat(stat.inode, { mode: 0o600 }, handle);
  await rig.fs.unlink(ROOT, 'copied');
  assert.equal((await rig.fs.stat(stat.inode)).mode & 0o7777, 0o600, 'also without a name');
  await rig.fs.release(handle);
  await rig.close();
});

test('what was closed survives a restart; what was staged and saved is taken up', async () => {
  const rig = await new Rig(join(folder, 'restart')).open();
  await rig.save('closed', 'closed');
  const { handle } = await rig.fs.create(ROOT, 'large', 0o644, WRITE, CALLER);
  const large = Buffer.alloc(300_000, 'large ');
  await rig.fs.write(handle, 0, large);
  await rig.fs.fsync(handle, false);
  await rig.close();
  await rig.open();
  assert.equal(await rig.text('closed'), 'closed');
  assert.equal(await rig.text('large'), large.toString());
  await rig.fs.publishAll();
  assert.equal(rig.tree.lookup(ROOT, 'large')?.size, large.length);
  await rig.close();
});

/** The pod as it would start after a kill -9 at this moment, at which nothing goes on: a copy is not atomic. */
async function afterKill(rig: Rig, name = 'a', committed = true): Promise<Rig> {
  if (committed) await rig.tree.commit();
  const copy = `${rig.folder}-killed`;
  // At once: whoever goes on meanwhile would leave files of different ages.
  cpSync(rig.folder, copy, { recursive: true });
  return new Rig(copy).open(name, name === 'a');
}

test('what was written on after a rename over another file, and fsynced, survives kill -9', async () => {
  const rig = await new Rig(join(folder, 'renamed-open')).open();
  await rig.save('document', 'old');
  const { handle } = await rig.fs.create(ROOT, 'document.tmp', 0o644, WRITE, CALLER);
  const before = Buffer.alloc(200_000, 'before ');
  const behind = Buffer.alloc(300_000, 'behind ');
  await rig.fs.write(handle, 0, before);
  await rig.fs.rename(ROOT, 'document.tmp', ROOT, 'document', { noreplace: false, exchange: false });
  await rig.fs.write(handle, before.length, behind);
  await rig.fs.fsync(handle, false);
  const killed = await afterKill(rig);
  await killed.fs.publishAll();
  assert.equal(await killed.text('document'), before.toString() + behind.toString());
  await killed.close();
  await rig.close();
});

test('an edit elsewhere stands beside what was staged here before a kill -9', async () => {
  const [here, there] = [
    await new Rig(join(folder, 'here')).open(),
    await new Rig(join(folder, 'there')).open('b', false),
  ];
  here.fetchFrom(there);
  there.fetchFrom(here);
  await here.save('shared', 'common');
  await here.tree.commit();
  await exchange(here.tree, there.tree);
  const mine = await here.fs.open((await here.stat('shared')).inode, WRITE);
  await here.fs.write(mine, 0, Buffer.from('mine'));
  const theirs = await there.fs.open((await there.stat('shared')).inode, { ...WRITE, truncate: true });
  await there.fs.write(theirs, 0, Buffer.from('theirs'));
  await there.fs.flush(theirs);
  await there.tree.commit();
  await here.fs.fsync(mine, false);
  await exchange(here.tree, there.tree);
  const killed = await afterKill(here);
  killed.fetchFrom(there);
  await killed.fs.publishAll();
  await killed.tree.commit();
  const names = (killed.fs.list(ROOT, undefined, 100) as { name: string }[]).map((entry) => entry.name);
  const texts = await Promise.all(
    names.filter((name) => name.startsWith('shared')).map((name) => killed.text(name)),
  );
  assert.deepEqual(texts.sort(), ['mineon', 'theirs']);
  await killed.close();
  await here.close();
  await there.close();
});

test('what was written and fsynced before a kill -9 comes back after a delete elsewhere, not after one here', async () => {
  const [here, there] = [
    await new Rig(join(folder, 'edited-here')).open(),
    await new Rig(join(folder, 'deleted-there')).open('b', false),
  ];
  for (const name of ['theirs', 'mine']) await here.save(name, 'common');
  await here.tree.commit();
  await exchange(here.tree, there.tree);
  for (const name of ['theirs', 'mine']) {
    const handle = await here.fs.open((await here.stat(name)).inode, { ...WRITE, truncate: true });
    await here.fs.write(handle, 0, Buffer.alloc(100_000, name));
    await here.fs.fsync(handle, false);
  }
  await here.fs.unlink(ROOT, 'mine');
  await there.fs.unlink(ROOT, 'theirs');
  for (const { tree } of [here, there]) await tree.commit();
  await exchange(here.tree, there.tree);
  const killed = await afterKill(here);
  await killed.tree.commit();
  await killed.fs.publishAll();
  const names = (killed.fs.list(ROOT, undefined, 100) as { name: string }[]).map((entry) => entry.name);
  assert.deepEqual(names, ['theirs']);
  assert.equal(await killed.text('theirs'), Buffer.alloc(100_000, 'theirs').toString());
  await killed.close();
  await here.close();
  await there.close();
});

test('what was published does not come back over what was renamed over it, after a kill -9', async (t) => {
  const here = await new Rig(join(folder, 'old-staging')).open();
  let letGo = () => {};
  here.namesHeld = new Promise((resolve) => {
    letGo = resolve;
  });
  t.after(async () => {
    letGo();
    await here.close();
  });
  const { handle } = await here.fs.create(ROOT, 'document', 0o644, WRITE, CALLER);
  await here.fs.write(handle, 0, Buffer.from('first'));
  await here.fs.fsync(handle, false);
  await here.fs.flush(handle);
  await here.fs.release(handle);
  await here.save('document.tmp', 'second');
  await here.fs.rename(ROOT, 'document.tmp', ROOT, 'document', { noreplace: false, exchange: false });
  const killed = await afterKill(here, 'a', false);
  await killed.fs.publishAll();
  await killed.tree.commit();
  assert.equal(await killed.text('document'), 'second');
  assert.deepEqual(
    (killed.fs.list(ROOT, undefined, 100) as { name: string }[]).map((entry) => entry.name),
    ['document'],
  );
  await killed.close();
});

test('an edit elsewhere brings back what was deleted and replaced here: each name shows its own file, the open ones theirs', async () => {
  const [here, there] = [
    await new Rig(join(folder, 'back-here')).open(),
    await new Rig(join(folder, 'back-there')).open('b', false),
  ];
  here.fetchFrom(there);
  there.fetchFrom(here);
  for (const name of ['deleted', 'draft', 'document']) await here.save(name, `old ${name}`);
  await here.tree.commit();
  await exchange(here.tree, there.tree);
  const opened = await here.fs.open((await here.stat('deleted')).inode, READ);
  here.fs.unlink(ROOT, 'deleted');
  await here.fs.rename(ROOT, 'draft', ROOT, 'document', { noreplace: false, exchange: false });
  for (const name of ['deleted', 'draft']) {
    const { inode } = await there.stat(name);
    const handle = await there.fs.open(inode, { ...WRITE, truncate: true });
    await there.fs.write(handle, 0, Buffer.from(`new ${name}`));
    await there.fs.flush(handle);
    await there.fs.release(handle);
  }
  for (const rig of [here, there]) await rig.tree.commit();
  await exchange(here.tree, there.tree);
  assert.equal(await here.text('deleted'), 'new deleted');
  assert.equal(await here.text('draft'), 'new draft');
  assert.equal(await here.text('document'), 'old draft');
  assert.equal(Buffer.from(await here.fs.read(opened, 0, 100)).toString(), 'old deleted');
  const numbers = await Promise.all(['deleted', 'draft', 'document'].map((name) => here.stat(name)));
  assert.equal(new Set(numbers.map(({ ino }) => ino)).size, 3);
  await here.fs.release(opened);
  assert.equal(await here.text('deleted'), 'new deleted');
  for (const rig of [here, there]) await rig.close();
});

test('a remote edit reaches an open reader; an edit here at the same time stays beside it', async () => {
  const b = await new Rig(join(folder, 'b')).open('b', false);
  a.fetchFrom(b);
  await a.save('shared', 'common');
  await a.tree.commit();
  await exchange(a.tree, b.tree);
  const theirs = await b.stat('shared');
  const reader = await a.fs.open((await a.stat('shared')).inode, READ);
  const writer = await b.fs.open(theirs.inode, WRITE);
  await b.fs.setStat(theirs.inode, { size: 0 }, writer);
  await b.fs.write(writer, 0, Buffer.from('by b'));

  const here = await a.fs.open((await a.stat('shared')).inode, { ...WRITE, truncate: true });
  await a.fs.write(here, 0, Buffer.from('by a, longer'));
  await a.fs.flush(here);
  await a.fs.release(here);
  await a.tree.commit();
  await exchange(a.tree, b.tree);
  // b wrote on what it had opened: its own version does not silently replace a's.
  await b.fs.flush(writer);
  await b.fs.release(writer);
  await b.tree.commit();
  await exchange(a.tree, b.tree);

  const names = a.fs.list(ROOT, undefined, 1_000) as { name: string }[];
  const versions = names.map((entry) => entry.name).filter((name) => name.startsWith('shared'));
  assert.equal(versions.length, 2, versions.join(', '));
  assert.ok(a.invalidated.includes((await a.stat('shared')).inode), 'the kernel was told');
  const contents = await Promise.all(versions.map((name) => a.text(name)));
  assert.deepEqual(contents.sort(), ['by a, longer', 'by b']);
  assert.equal(Buffer.from(await a.fs.read(reader, 0, 100)).toString(), await a.text('shared'));
  await a.fs.release(reader);
  await b.close();
});

test('errors carry the code whose errno POSIX asks for', async () => {
  await a.save('plain', 'x');
  const plain = await a.stat('plain');
  assert.throws(() => a.fs.mkdir(ROOT, 'plain', 0o755, CALLER), { code: 'exists' });
  assert.throws(() => a.fs.rmdir(ROOT, 'plain'), { code: 'not-a-directory' });
  assert.throws(() => a.fs.unlink(ROOT, 'nothing'), { code: 'not-found' });
  assert.throws(() => a.fs.open(ROOT, READ), { code: 'is-a-directory' });
  assert.equal(a.fs.getxattr(plain.inode, 'user.none'), undefined);
  assert.equal(a.fs.getxattr(plain.inode, 'constructor'), undefined);
  assert.throws(() => a.fs.removexattr(plain.inode, 'user.none'), { code: 'no-attribute' });
  assert.throws(
    () =>
      a.fs.setxattr(plain.inode, 'system.posix_acl_access', Buffer.alloc(1), {
        create: false,
        replace: false,
      }),
    {
      code: 'not-supported',
    },
  );
  assert.throws(() => a.fs.read(999_999, 0, 1), { code: 'bad-handle' });
  assert.throws(() => a.fs.setStat(plain.inode, { size: 2 ** 49 }), { code: 'too-large' });
});
