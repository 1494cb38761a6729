import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stat } from '../../src/fs/index.js';
import { Owners } from '../../src/fs/owners.js';

const shown = (owners: Owners, uid: number, gid: number) => {
  const stat = owners.show({ uid, gid } as Stat);
  return [stat.uid, stat.gid];
};

test('the tree\u2019s 0 is the pod\u2019s owner, other numbers are what they are', () => {
  const owners = new Owners({ uid: 1000, gid: 100 });
  assert.deepEqual(shown(owners, 0, 0), [1000, 100]);
  assert.deepEqual(shown(owners, 7, 8), [7, 8]);
  assert.deepEqual([owners.uid(1000), owners.gid(100), owners.uid(7), owners.gid(8)], [0, 0, 7, 8]);
  assert.deepEqual(owners.changed({ uid: 1000 }), { uid: 0 });
  assert.deepEqual(owners.changed({ uid: 7, gid: 8 }), { uid: 7, gid: 8 });
});

test('squashed, all files are the owner\u2019s, and nobody can give one away', () => {
  const owners = new Owners({ uid: 1000, gid: 100 }, true);
  assert.deepEqual(shown(owners, 7, 8), [1000, 100]);
  assert.deepEqual([owners.uid(7), owners.gid(8)], [0, 0]);
  // What other pods show stays as it is.
  assert.deepEqual(owners.changed({ uid: 1000, gid: 100 }), {});
  assert.deepEqual(owners.changed({}), {});
  for (const change of [{ uid: 7 }, { gid: 8 }, { uid: 1000, gid: 8 }])
    assert.throws(() => owners.changed(change), { code: 'not-permitted' });
});
