import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalIds } from '../../src/fs/local-ids.js';

test('a file that was renamed over another stands for it, and the other for nothing', () => {
  const ids = new LocalIds();
  ids.replaced('source', 'target');
  assert.equal(ids.local('target'), 'source');
  assert.equal(ids.tree('source'), 'target');
  assert.equal(ids.tree('target'), undefined);
});

test('an inode that an edit elsewhere brings back has an id of its own', () => {
  const ids = new LocalIds();
  ids.replaced('source', 'target');
  const back = ids.local('source');
  assert.notEqual(back, 'source');
  assert.equal(ids.tree(back), 'source');
  assert.equal(ids.local('source'), back);
  assert.equal(ids.tree('source'), 'target');
});

test('the same of one that stood at a name before: whatever is renamed over what, no two are one', () => {
  const ids = new LocalIds();
  for (const [from = '', to = ''] of ['ab', 'bc', 'dc', 'ce', 'ad', 'ba', 'ea'])
    ids.replaced(ids.local(from), to);
  const all = ['a', 'b', 'c', 'd', 'e', 'f'];
  const locals = all.map((tree) => ids.local(tree));
  assert.equal(new Set(locals).size, all.length, String(locals));
  assert.deepEqual(
    locals.map((local) => ids.tree(local)),
    all,
  );
});
