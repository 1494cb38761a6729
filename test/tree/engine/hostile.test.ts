/** A member that writes what no honest program would, straight into the document: nothing of it stops anybody, and
 *  nothing hides what others wrote. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeCbor } from '../../../src/base/cbor.js';
import { derivedBuckets } from '../../../src/tree/engine/allocator.js';
import { automerge, type Handle } from '../../../src/tree/engine/automerge.js';
import { foundingOf } from '../../../src/tree/engine/founding.js';
import { converse, created, file, NETWORK, openPod, type Pod, withFolder } from './rig.js';

const { top: TOP } = foundingOf(NETWORK);

async function pair(folder: string): Promise<[Pod, Pod]> {
  const a = await openPod(join(folder, 'a'));
  const b = await openPod(join(folder, 'b'), { name: 'bb' });
  a.apply(created('one/00', 'first'));
  await converse(a, b);
  return [a, b];
}

/** One change of a member that has everything `pod` gave out. */
function hostileChange(pod: Pod, write: (evil: Handle) => void, actor = 'ee'): Uint8Array {
  const evil = automerge.create({ actor });
  evil.applyChanges(pod.sent);
  write(evil);
  evil.commit(null, 0);
  return evil.getLastLocalChange() as Uint8Array;
}

async function reopen(pod: Pod, folder: string, name: string): Promise<Pod> {
  await pod.close();
  return openPod(join(folder, name.slice(0, 1)), { name });
}

test('what a hostile member writes is ignored where it does not fit, and read where it does', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const evil = automerge.create({ actor: 'ee' });
    evil.applyChanges(a.sent);
    const top = evil.getWithType('_root', 'b')?.[1] as string;
    const bucket = evil.getWithType(top, 'one')?.[1] as string;
    evil.put(bucket, '00l', 'not bytes');
    evil.put(bucket, '00d', encodeCbor([1, 0, -5, 0, 'c', 0]));
    evil.put(bucket, '00x', Uint8Array.from([0xff]));
    evil.put(bucket, 'something else', 1);
    evil.putObject(bucket, '01d', {});
    evil.put(top, 'made-00', 'no map');
    evil.put(top, '../..', 1);
    evil.putObject(top, 'ONE', { '00d': Uint8Array.from([1]) });
    evil.put('_root', 'junk', 1);
    evil.commit(null, 0);
    await b.engine.applyChanges([evil.getLastLocalChange() as Uint8Array]);
    assert.deepEqual(
      [...b.indexer.rows],
      ['one/00', 'one/01'].map((inode) => [inode, { l: [], d: [], a: [], x: [] }]),
      'it is there, to be counted, and nothing of it fits',
    );
    b.apply({ inode: 'one/00', l: { parent: 'root/0', name: 'again' }, d: file('back') });
    assert.equal(b.indexer.rows.get('one/00')?.l[0]?.value.name, 'again');
    await converse(a, b);
    assert.deepEqual(a.read('one/00'), b.read('one/00'));
    for (const pod of [a, b]) await pod.close();
  }));

test("a member that writes the document's own head stops nobody and hides nothing", () =>
  withFolder(async (folder) => {
    let [a, b] = await pair(folder);
    const over = hostileChange(a, (evil) => {
      evil.put('_root', 'v', 99, 'uint');
      evil.put('_root', 'network', Uint8Array.from([6, 6, 6]));
      evil.put('_root', 'b', 'no map');
    });
    const gone = hostileChange(
      a,
      (evil) => {
        for (const key of ['v', 'network', 'b']) evil.delete('_root', key);
        evil.putObject('_root', 'b', { one: {} });
      },
      'ed',
    );
    await a.engine.applyChanges([over, gone]);
    for (const change of [gone, over]) await b.engine.applyChanges([change]);
    b.apply(created('two/00', 'second'));
    await converse(a, b);
    await a.engine.snapshot();
    a = await reopen(a, folder, 'aa');
    b = await reopen(b, folder, 'bb');
    const joiner = await openPod(join(folder, 'c'), { name: 'cc' });
    await converse(a, joiner);
    await converse(b, a);
    for (const pod of [a, b, joiner]) {
      assert.ok(pod.engine.founded);
      assert.deepEqual(pod.engine.durable.heads, a.engine.durable.heads);
      assert.deepEqual([...pod.indexer.reader.all()].map(({ inode }) => inode).sort(), ['one/00', 'two/00']);
      assert.equal(pod.read('one/00')?.l[0]?.value.name, 'first');
      await pod.close();
    }
  }));

test('a change without a beginning does not make an empty document one of another network for good', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const alone = automerge.create({ actor: 'ee' });
    alone.put('_root', 'v', 99, 'uint');
    alone.commit(null, 0);
    const change = alone.getLastLocalChange() as Uint8Array;
    const joiner = await openPod(join(folder, 'c'), { name: 'cc' });
    await assert.rejects(joiner.engine.applyChanges([change]), { code: 'protocol' });
    await a.engine.applyChanges([change]);
    a.apply(created('one/01', 'after'));
    await converse(a, joiner);
    assert.deepEqual(joiner.engine.durable.heads, a.engine.durable.heads);
    assert.equal(joiner.read('one/01')?.l[0]?.value.name, 'after');
    for (const pod of [a, b, joiner]) await pod.close();
  }));

const MEDDLERS: { [how: string]: (pod: Pod) => Uint8Array } = {
  'makes again at the same time': (pod) => {
    const evil = automerge.create({ actor: 'ff' });
    evil.applyChanges(pod.sent.slice(0, 1));
    evil.putObject(TOP, 'one', {});
    evil.commit(null, 0);
    return evil.getLastLocalChange() as Uint8Array;
  },
  overwrites: (pod) => hostileChange(pod, (evil) => evil.putObject(TOP, 'one', {})),
  'overwrites with something else': (pod) => hostileChange(pod, (evil) => evil.put(TOP, 'one', 1)),
  deletes: (pod) => hostileChange(pod, (evil) => evil.delete(TOP, 'one')),
};

for (const [how, meddle] of Object.entries(MEDDLERS)) {
  test(`a bucket that another member ${how}: nothing in it is hidden, and it can be written`, () =>
    withFolder(async (folder) => {
      let [a, b] = await pair(folder);
      const change = meddle(a);
      await a.engine.applyChanges([change]);
      assert.equal(a.read('one/00')?.l[0]?.value.name, 'first');
      assert.ok(a.indexer.rows.has('one/00'));
      // One knows of it from its log, the other from its snapshot, the third from the sync.
      await b.engine.applyChanges([change]);
      await b.engine.snapshot();
      a = await reopen(a, folder, 'aa');
      b = await reopen(b, folder, 'bb');
      const joiner = await openPod(join(folder, 'c'), { name: 'cc' });
      await converse(b, joiner);
      for (const pod of [a, b, joiner]) assert.equal(pod.read('one/00')?.l[0]?.value.name, 'first');
      b.apply({ inode: 'one/00', d: file('again'), replaces: b.read('one/00')?.d.map(({ id }) => id) ?? [] });
      b.apply(created('one/01', 'new'));
      await converse(a, b);
      await converse(b, joiner);
      const [heads, made] = [a.engine.durable.heads, a.read('one/01')];
      for (const pod of [a, b, joiner]) {
        assert.deepEqual(pod.engine.durable.heads, heads);
        assert.deepEqual(
          pod.read('one/00')?.d.map(({ value }) => value.content),
          ['again'],
        );
        assert.equal(pod.read('one/01')?.l[0]?.value.name, 'new');
        assert.deepEqual(pod.read('one/01'), made);
        await pod.close();
      }
    }));
}

for (const how of ['overwrites', 'overwrites with something else', 'deletes']) {
  test(`a bucket of the document's beginning that a member ${how}: whoever joins later sees what is in it`, () =>
    withFolder(async (folder) => {
      const a = await openPod(join(folder, 'a'));
      const [bucket = ''] = derivedBuckets();
      a.apply(created(`${bucket}/00`, 'first'));
      const change = hostileChange(a, (evil) => {
        if (how === 'deletes') evil.delete(TOP, bucket);
        else if (how === 'overwrites') evil.putObject(TOP, bucket, {});
        else evil.put(TOP, bucket, 1);
      });
      await a.engine.applyChanges([change]);
      // All at once, with the beginning; and from the log.
      let joiner = await openPod(join(folder, 'c'), { name: 'cc' });
      await converse(a, joiner);
      assert.equal(joiner.read(`${bucket}/00`)?.l[0]?.value.name, 'first');
      joiner = await reopen(joiner, folder, 'cc');
      assert.equal(joiner.read(`${bucket}/00`)?.l[0]?.value.name, 'first');
      assert.deepEqual([...joiner.indexer.rows.keys()], [...a.indexer.rows.keys()]);
      for (const pod of [a, joiner]) await pod.close();
    }));
}
