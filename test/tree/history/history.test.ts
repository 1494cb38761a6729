import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '../../../src/base/index.js';
import { type InodeId, ROOT, type Tree } from '../../../src/tree/index.js';
import { DIRECTORY, exchange, file, lines, withTrees } from '../fixture.js';

const content = (text: string) => ({ size: text.length, mtime: BigInt(text.length), content: `c${text}` });

/** What is in the history of a file, the latest first. */
function past(tree: Tree, inode: InodeId): string[] {
  return tree.history.versions(inode).map((version) => version.content);
}

/** A folder of `count` files `f0`, `f1` … */
function makeFolder(tree: Tree, name: string, count: number): InodeId {
  const folder = tree.create(ROOT, name, DIRECTORY, {}).id;
  for (let n = 0; n < count; n++) tree.create(folder, `f${n}`, file(`c${name}${n}`), {});
  return folder;
}

test('an overwritten content is in the history, on every pod, and comes back', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`), await open(`${folder}/b`, 'b')];
    const note = a.create(ROOT, 'note', file(), {});
    a.setData(note.id, content('one'), note.versions);
    await a.commit();
    await exchange(a, b);
    a.setData(note.id, content('two'), a.node(note.id)?.versions ?? []);
    await a.commit();
    await exchange(a, b);
    assert.deepEqual(past(a, note.id), ['cone'], 'the nothing that every file begins with is no version');
    assert.deepEqual(past(b, note.id), ['cone']);

    const [version] = b.history.versions(note.id);
    assert.ok(version !== undefined);
    b.restoreData(note.id, version);
    await b.commit();
    await exchange(a, b);
    assert.deepEqual(lines(a), ['/note file cone']);
    assert.deepEqual(past(a, note.id), ['ctwo', 'cone']);
  }));

test('versions that came in one batch are all in the history of whoever took it', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`), await open(`${folder}/b`, 'b')];
    const note = a.create(ROOT, 'note', file('czero'), {});
    await a.commit();
    await exchange(a, b);
    for (const text of ['one', 'two', 'three']) {
      a.setData(note.id, content(text), a.node(note.id)?.versions ?? []);
      await a.commit();
    }
    await exchange(a, b);
    assert.deepEqual(past(b, note.id), ['ctwo', 'cone', 'czero']);
    assert.deepEqual(
      b.history.versions(note.id).map(({ at: _, ...rest }) => rest),
      a.history.versions(note.id).map(({ at: _, ...rest }) => rest),
    );
  }));

test('saving by renaming over leaves the old content to history, and nothing in the trash', () =>
  withTrees(async (folder, open) => {
    const a = await open(folder);
    const doc = a.create(ROOT, 'doc', file('cold'), {});
    await a.commit();
    a.create(ROOT, 'doc.tmp', file('cnew'), {});
    await a.commit();
    a.rename(ROOT, 'doc.tmp', ROOT, 'doc');
    await a.commit();
    assert.deepEqual(lines(a), ['/doc file cnew']);
    assert.deepEqual(past(a, doc.id), ['cold']);
    assert.deepEqual(a.history.deletedAfter(undefined, 100).entries, []);
  }));

test('a deleted file comes back as it was, with the folders around it, and elsewhere', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`), await open(`${folder}/b`, 'b')];
    const outer = a.create(ROOT, 'outer', DIRECTORY, {});
    const inner = a.create(outer.id, 'inner', DIRECTORY, {});
    const note = a.create(inner.id, 'note', file('cx'), { mode: 0o600 });
    await a.commit();
    await exchange(a, b);
    a.unlink(inner.id, 'note');
    a.rmdir(outer.id, 'inner');
    a.rmdir(ROOT, 'outer');
    await a.commit();
    await exchange(a, b);
    for (const tree of [a, b]) {
      assert.deepEqual(lines(tree), []);
      assert.deepEqual(
        tree.history.deletedIn(inner.id, 'note').map(({ inode }) => inode),
        [note.id],
      );
      assert.equal(tree.history.pathOf(note.id), '/outer/inner/note');
      assert.equal(tree.history.deleted(note.id)?.content, 'cx');
    }
    b.revive([{ inode: note.id, parent: inner.id, name: 'note' }]);
    const expected = ['/outer directory', '/outer/inner directory', '/outer/inner/note file cx'];
    assert.deepEqual(lines(b), expected, 'at once');
    await b.commit();
    await exchange(a, b);
    for (const tree of [a, b]) {
      assert.deepEqual(lines(tree), expected);
      assert.equal(tree.node(note.id)?.mode, 0o600);
      assert.deepEqual(tree.history.deletedIn(inner.id), [], 'what is back is not in the trash');
    }
    // The folders are there in their own right again.
    a.unlink(inner.id, 'note');
    await a.commit();
    assert.deepEqual(lines(a), expected.slice(0, 2));
    a.revive([{ inode: note.id, parent: ROOT, name: 'elsewhere' }]);
    await a.commit();
    await exchange(a, b);
    assert.deepEqual(lines(b), ['/elsewhere file cx', ...expected.slice(0, 2)]);
  }));

test('who deletes more than half of a folder at once is seen, on every pod; undone anywhere it is gone', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`), await open(`${folder}/b`, 'b')];
    const photos = makeFolder(a, 'photos', 30);
    const few = makeFolder(a, 'few', 10);
    await a.commit();
    await exchange(a, b);
    const before = lines(a);
    for (let n = 0; n < 16; n++) a.unlink(photos, `f${n}`);
    for (let n = 0; n < 10; n++) a.unlink(few, `f${n}`);
    await a.commit();
    await exchange(a, b);
    for (const tree of [a, b]) {
      await waitFor(() => tree.history.massDeletions().length === 1);
      const [mass] = tree.history.massDeletions();
      assert.ok(mass !== undefined);
      assert.equal(mass.deleted, 26);
      assert.deepEqual(mass.folders, [{ inode: photos, deleted: 16, left: 14 }]);
      assert.ok(tree.history.isMissing(photos, mass.run, 10));
    }
    const [mass] = b.history.massDeletions();
    const entries = b.history.deletedAfter(undefined, 100).entries.filter(({ run }) => run === mass?.run);
    assert.equal(entries.length, 26);
    b.revive(entries);
    await b.commit();
    await exchange(a, b);
    assert.deepEqual(lines(a), before);
    assert.deepEqual(lines(b), before);
    for (const tree of [a, b]) {
      const [seen] = tree.history.massDeletions();
      assert.equal(tree.history.isMissing(photos, seen?.run ?? 0, 100), false);
    }
  }));

test('half of a folder, a small folder and a folder that was moved are no mass deletion', () =>
  withTrees(async (folder, open) => {
    const a = await open(folder);
    const half = makeFolder(a, 'half', 30);
    const small = makeFolder(a, 'small', 19);
    const moved = makeFolder(a, 'moved', 30);
    await a.commit();
    for (let n = 0; n < 15; n++) a.unlink(half, `f${n}`);
    for (let n = 0; n < 19; n++) a.unlink(small, `f${n}`);
    for (let n = 0; n < 30; n++) a.rename(moved, `f${n}`, ROOT, `f${n}`);
    await a.commit();
    // Longer than the thread takes to look closely.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.deepEqual(a.history.massDeletions(), []);
  }));

test('a folder of a thousand files comes back in few changes', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`), await open(`${folder}/b`, 'b')];
    const count = 1_000;
    const big = makeFolder(a, 'big', count);
    await a.commit();
    for (let n = 0; n < count; n++) a.unlink(big, `f${n}`);
    a.rmdir(ROOT, 'big');
    await a.commit();
    const { entries } = a.history.deletedAfter(undefined, 2 * count);
    assert.equal(entries.length, count + 1);
    let changes = 0;
    a.events.on('changes', (made) => {
      changes += made.changes.length;
    });
    for (let at = 0; at < entries.length; at += LIMITS.restoredPerOperation) {
      a.revive(entries.slice(at, at + LIMITS.restoredPerOperation));
    }
    await a.commit();
    assert.ok(changes >= 1 && changes <= 3, `${changes} changes`);
    await exchange(a, b);
    assert.equal(lines(b).length, count + 1);
  }));

test('what came and went while a pod was away is in its trash too, and counts for no mass deletion', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`), await open(`${folder}/b`, 'b')];
    await exchange(a, b);
    const made = makeFolder(a, 'made', 30);
    await a.commit();
    for (let n = 0; n < 30; n++) a.unlink(made, `f${n}`);
    await a.commit();
    await exchange(a, b);
    assert.equal(b.history.deletedIn(made).length, 30);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.deepEqual(b.history.massDeletions(), []);
    assert.equal(a.history.massDeletions().length, 1);
  }));

test('what history forgets is listed no more; a restart forgets nothing', () =>
  withTrees(async (folder, open) => {
    let a = await open(folder);
    const note = a.create(ROOT, 'note', file('cold'), {});
    const gone = a.create(ROOT, 'gone', file('cgone'), {});
    await a.commit();
    a.setData(note.id, content('new'), note.versions);
    a.unlink(ROOT, 'gone');
    await a.commit();
    await a.forgetHistory(60_000);
    await a.close();
    a = await open(folder);
    await a.commit();
    assert.deepEqual(past(a, note.id), ['cold']);
    assert.deepEqual(
      a.history.deletedIn(ROOT).map(({ inode }) => inode),
      [gone.id],
    );
    await a.forgetHistory(0);
    await a.commit();
    assert.deepEqual(past(a, note.id), []);
    assert.deepEqual(a.history.deletedIn(ROOT), []);
    await a.close();
  }));

test('what history holds outlives the index, which a power cut takes', () =>
  withTrees(async (folder, open) => {
    let a = await open(folder);
    const note = a.create(ROOT, 'note', file('cold'), {});
    const photos = makeFolder(a, 'photos', 30);
    await a.commit();
    a.setData(note.id, content('new'), note.versions);
    for (let n = 0; n < 20; n++) a.unlink(photos, `f${n}`);
    await a.commit();
    await waitFor(() => a.history.massDeletions().length === 1);
    const before = [a.history.versions(note.id), a.history.deletedIn(photos), a.history.massDeletions()];
    await a.close();
    await rm(join(folder, 'index'), { recursive: true });
    a = await open(folder);
    await a.commit();
    assert.deepEqual(lines(a).length, 12);
    assert.deepEqual(
      [a.history.versions(note.id), a.history.deletedIn(photos), a.history.massDeletions()],
      before,
    );
    await a.close();
  }));

async function waitFor(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 6_000 && !condition(); tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(condition());
}
