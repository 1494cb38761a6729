import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RemoteChange } from '../../src/fs/index.js';
import { PendingChanges, repeatsOf } from '../../src/mount/watching/changes.js';

const file = (inode: string) => ({ inode, kind: 'file' as const });
const name = (
  parent: string,
  entry: string,
  before: { inode: string; kind: 'file' } | undefined,
  after: { inode: string; kind: 'file' } | undefined,
): RemoteChange => ({ what: 'name', parent, name: entry, before, after });
const everything = () => true;
const short = (changes: RemoteChange[], isWatched: (inode: string) => boolean = everything) =>
  repeatsOf(changes, isWatched).map((repeat) =>
    repeat.do === 'rename'
      ? `rename ${repeat.parent}/${repeat.name} ${repeat.to.parent}/${repeat.to.name}`
      : `${repeat.do} ${repeat.parent}/${repeat.name}`,
  );

test('a name that leads elsewhere is a creation, a removal, or both', () => {
  assert.deepEqual(short([name('d', 'a', undefined, file('1'))]), ['create d/a']);
  assert.deepEqual(short([name('d', 'a', file('1'), undefined)]), ['remove d/a']);
  assert.deepEqual(short([name('d', 'a', file('1'), file('2'))]), ['remove d/a', 'create d/a']);
  assert.deepEqual(short([name('d', 'a', file('1'), file('1'))]), []);
});

test('an inode that leaves one name and comes to another is a rename, whatever the order', () => {
  const [from, to] = [name('d', 'a', file('1'), undefined), name('e', 'b', file('2'), file('1'))];
  assert.deepEqual(short([from, to]), ['rename d/a e/b']);
  assert.deepEqual(short([to, from]), ['rename d/a e/b']);
  const followed = name('d', 'a', file('1'), file('3'));
  assert.deepEqual(short([followed, to]), ['rename d/a e/b', 'create d/a']);
});

test('what nobody watches is not repeated', () => {
  const changes = [
    name('d', 'a', undefined, file('1')),
    name('e', 'b', file('2'), undefined),
    { what: 'content', parent: 'd', name: 'c', inode: '3', kind: 'file' } as const,
  ];
  assert.deepEqual(
    short(changes, () => false),
    [],
  );
  assert.deepEqual(
    short(changes, (inode) => inode === 'd'),
    ['create d/a', 'modify d/c'],
  );
  assert.deepEqual(
    short(changes, (inode) => inode === '2'),
    ['remove e/b'],
  );
  assert.deepEqual(
    short(changes, (inode) => inode === '3'),
    ['modify d/c'],
  );
  const [from, to] = [name('d', 'a', file('1'), undefined), name('e', 'b', undefined, file('1'))];
  for (const watched of ['d', 'e', '1'])
    assert.deepEqual(
      short([from, to], (inode) => inode === watched),
      ['rename d/a e/b'],
    );
});

test('what happens to one thing while it waits becomes one change', () => {
  const pending = new PendingChanges(10);
  pending.add(name('d', 'a', undefined, file('1')));
  pending.add(name('d', 'a', file('1'), undefined));
  pending.add({ what: 'content', parent: 'd', name: 'c', inode: '3', kind: 'file' });
  pending.add({ what: 'attributes', parent: 'd', name: 'c', inode: '3', kind: 'file' });
  // Who began to watch when the file was there learns that it is gone.
  assert.deepEqual(short(pending.take()), ['remove d/a', 'modify d/c']);
  assert.equal(pending.size, 0);
  assert.deepEqual(pending.take(), []);
});

test('what goes and comes back is as it was, and what is new is not taken for that', () => {
  const pending = new PendingChanges(10);
  const add = (entry: string, ...states: (string | undefined)[]) =>
    states.slice(1).forEach((state, index) => {
      const [before, after] = [states[index], state].map((inode) => inode && file(inode));
      pending.add(name('d', entry, before || undefined, after || undefined));
    });
  add('back', '1', undefined, '1');
  add('new', undefined, '2', undefined, '2');
  add('other', undefined, '3', undefined, '4');
  assert.deepEqual(short(pending.take()), ['remove d/other', 'create d/new', 'create d/other']);
});

test('no more wait than there is room for', () => {
  const pending = new PendingChanges(2);
  assert.ok(pending.add(name('d', 'a', undefined, file('1'))));
  assert.ok(pending.add({ what: 'content', parent: 'd', name: 'b', inode: '2', kind: 'file' }));
  assert.equal(pending.add(name('d', 'c', undefined, file('3'))), false);
  // What waits already takes what comes after.
  assert.ok(pending.add(name('d', 'a', file('1'), file('4'))));
  assert.equal(pending.size, 2);
});
