import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { converse, created, openPod, withFolder } from './rig.js';

test('what a pod writes another reads, and both have the same heads', () =>
  withFolder(async (folder) => {
    const a = await openPod(join(folder, 'a'));
    const b = await openPod(join(folder, 'b'), { name: 'bb' });
    assert.equal(b.engine.founded, false);
    a.apply(created('one/00', 'hello'));
    assert.ok((await converse(a, b)) > 2);
    assert.deepEqual(b.engine.durable.heads, a.engine.durable.heads);
    assert.deepEqual(b.read('one/00'), a.read('one/00'));
    assert.equal(b.read('one/00')?.l[0]?.value.name, 'hello');
    assert.deepEqual(b.indexer.rows.get('one/00'), a.read('one/00'));
    await a.close();
    await b.close();
  }));
