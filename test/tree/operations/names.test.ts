import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, link } from '../../../src/tree/operations/create.js';
import { rmdir, unlink } from '../../../src/tree/operations/remove.js';
import { rename } from '../../../src/tree/operations/rename.js';
import { LOST_FOUND, ROOT } from '../../../src/tree/schema.js';
import { Bench, data, withDatabase } from '../index/fixture.js';

async function bench(work: (bench: Bench) => void): Promise<void> {
  await withDatabase((database) => work(new Bench(database)));
}

function make(b: Bench, ...paths: string[]): void {
  for (const path of paths) {
    const at = path.replace(/\/$/, '').lastIndexOf('/');
    const [folder, name] = [path.slice(0, at), path.replace(/\/$/, '').slice(at + 1)];
    const kind = path.endsWith('/') ? 'directory' : 'file';
    b.run((view) =>
      create(
        view,
        b.id(folder),
        name,
        data(kind, kind === 'file' ? `c-${path.slice(1).replaceAll('/', '.')}` : ''),
        {},
      ),
    );
  }
}

function move(b: Bench, from: string, to: string, flags = {}) {
  const [a, z] = [from.lastIndexOf('/'), to.lastIndexOf('/')];
  return b.run((view) =>
    rename(
      view,
      { parent: b.id(from.slice(0, a)), name: from.slice(a + 1) },
      { parent: b.id(to.slice(0, z)), name: to.slice(z + 1) },
      flags,
    ),
  );
}

function code(expected: string) {
  return (error: unknown) => (error as { code?: string }).code === expected;
}

test('create: names and folders are checked as POSIX asks', () =>
  bench((b) => {
    make(b, '/d/', '/f', '/d/g');
    const attempt = (parent: string, name: string) => () =>
      b.run((view) => create(view, parent, name, data(), {}));
    assert.throws(attempt(ROOT, 'f'), code('exists'));
    assert.throws(attempt(b.id('/f'), 'x'), code('not-a-directory'));
    assert.throws(attempt('nowhere/0', 'x'), code('not-found'));
    assert.throws(attempt(LOST_FOUND, 'x'), code('not-found'));
    for (const bad of ['', '.', '..', 'a/b', 'a\0b']) assert.throws(attempt(ROOT, bad), code('invalid'));
    assert.throws(attempt(ROOT, 'é'.repeat(128)), code('name-too-long'));
    assert.throws(attempt(ROOT, 'a\ud800'), code('bad-name'));
    b.run((view) => create(view, ROOT, `${'é'.repeat(127)}x`, data(), {}));
    assert.deepEqual(b.lines().slice(0, 3), ['/d directory', '/d/g file c-d.g', '/f file c-f']);
  }));

test('unlink and rmdir: what is there must be of the right kind, and empty', () =>
  bench((b) => {
    make(b, '/d/', '/d/f', '/e/');
    assert.throws(() => b.run((view) => unlink(view, ROOT, 'd')), code('is-a-directory'));
    assert.throws(() => b.run((view) => unlink(view, ROOT, 'none')), code('not-found'));
    assert.throws(() => b.run((view) => rmdir(view, ROOT, 'd')), code('not-empty'));
    assert.throws(() => b.run((view) => rmdir(view, b.id('/d'), 'f')), code('not-a-directory'));
    const { gone, node } = b.run((view) => unlink(view, b.id('/d'), 'f'));
    assert.ok(gone);
    assert.equal(node.content, 'c-d.f');
    b.run((view) => rmdir(view, ROOT, 'd'));
    assert.deepEqual(b.lines(), ['/e directory']);
    assert.throws(() => b.run((view) => create(view, node.parent, 'x', data(), {})), code('not-found'));
  }));

test('rename: moves, replaces, exchanges and refuses as POSIX asks', () =>
  bench((b) => {
    make(b, '/a/', '/a/b/', '/a/b/f', '/c/', '/g');
    assert.throws(() => move(b, '/a', '/a/b/a'), code('invalid'));
    assert.throws(() => move(b, '/a', '/a/x'), code('invalid'));
    assert.throws(() => move(b, '/none', '/x'), code('not-found'));
    assert.throws(() => move(b, '/c', '/a'), code('not-empty'));
    assert.throws(() => move(b, '/c', '/g'), code('not-a-directory'));
    assert.throws(() => move(b, '/g', '/c'), code('is-a-directory'));
    assert.throws(() => move(b, '/g', '/c', { noreplace: true }), code('exists'));
    assert.throws(() => move(b, '/g', '/x', { exchange: true }), code('not-found'));
    assert.throws(() => move(b, '/g', `/${'x'.repeat(256)}`), code('name-too-long'));
    assert.throws(() => move(b, '/a', '/a/b', { exchange: true }), code('invalid'));
    assert.throws(() => move(b, '/a/b', '/a', { exchange: true }), code('invalid'));
    assert.deepEqual(move(b, '/a/b', '/a/b').writes, []);

    const id = b.id('/a');
    move(b, '/a', '/c');
    assert.equal(b.id('/c'), id);
    assert.deepEqual(b.lines(), ['/c directory', '/c/b directory', '/c/b/f file c-a.b.f', '/g file c-g']);
    move(b, '/c', '/g', { exchange: true });
    assert.deepEqual(b.lines(), ['/c file c-g', '/g directory', '/g/b directory', '/g/b/f file c-a.b.f']);
    move(b, '/g/b/f', '/f');
    assert.deepEqual(b.lines(), ['/c file c-g', '/f file c-a.b.f', '/g directory', '/g/b directory']);
  }));

test('a file renamed over a file takes its place in the inode that was there', () =>
  bench((b) => {
    make(b, '/f', '/tmp');
    const [target, source] = [b.id('/f'), b.id('/tmp')];
    const { inode, replaced } = move(b, '/tmp', '/f');
    assert.equal(inode, target);
    assert.equal(replaced?.content, 'c-f');
    assert.deepEqual(b.lines(), ['/f file c-tmp']);
    assert.equal(b.view.node(source), undefined);
  }));

test('hard links: one file, many names, whichever goes first', () =>
  bench((b) => {
    make(b, '/d/', '/f', '/g');
    const file = b.id('/f');
    b.run((view) => link(view, file, b.id('/d'), 'one'));
    b.run((view) => link(view, file, ROOT, 'two'));
    assert.throws(() => b.run((view) => link(view, file, ROOT, 'g')), code('exists'));
    assert.throws(() => b.run((view) => link(view, b.id('/d'), ROOT, 'x')), code('not-permitted'));
    assert.deepEqual(
      ['/f', '/d/one', '/two'].map((path) => [b.id(path), b.at(path)?.nlink]),
      [1, 2, 3].map(() => [file, 3]),
    );
    // Two names of one file: nothing to do.
    assert.deepEqual(move(b, '/f', '/two').writes, []);
    assert.equal(b.run((view) => unlink(view, ROOT, 'f')).gone, false);
    assert.deepEqual([b.id('/d/one'), b.at('/d/one')?.nlink], [file, 2]);
    move(b, '/d/one', '/d/three');
    assert.deepEqual(b.lines(), ['/d directory', '/d/three file c-f', '/g file c-g', '/two file c-f']);
    // Over a file with another name: only the name is taken, the other goes on showing what it showed.
    move(b, '/g', '/two');
    assert.deepEqual(b.lines(), ['/d directory', '/d/three file c-f', '/two file c-g']);
    assert.equal(b.at('/d/three')?.nlink, 1);
    const last = b.run((view) => unlink(view, b.id('/d'), 'three'));
    assert.equal(last.gone, true);
    assert.equal(b.view.node(file), undefined);
    assert.deepEqual(b.lines(), ['/d directory', '/two file c-g']);
  }));

test('the last name of a file whose own went before can be replaced too', () =>
  bench((b) => {
    make(b, '/f', '/g');
    const file = b.id('/f');
    b.run((view) => link(view, file, ROOT, 'h'));
    b.run((view) => unlink(view, ROOT, 'f'));
    move(b, '/h', '/g');
    assert.deepEqual(b.lines(), ['/g file c-f']);
    assert.equal(b.view.node(file), undefined);
  }));
