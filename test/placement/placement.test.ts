import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import { ROOT } from '../../src/tree/index.js';
import { connect, until } from '../sync/memory-links.js';
import { noise, read, Village, write } from './pods.js';

const villages: Village[] = [];

after(async () => {
  for (const village of villages) await village.close();
});

function village(): Village {
  const made = new Village();
  villages.push(made);
  return made;
}

const TIMES = { timeoutMs: 15_000 };

test('what one pod writes is soon held by two, and both say so', async () => {
  const here = village();
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  here.linkAll();
  const large = noise(1, 9 * 1024 * 1024 + 17);
  const names = Array.from({ length: 100 }, (_, i) => `small ${i}`);
  for (const [i, name] of names.entries()) await write(a, name, noise(i + 2, 1000 + i * 100));
  await write(a, 'large', large);
  await write(a, 'empty', Buffer.alloc(0));
  const result = await a.placement.waitForCopies(2, TIMES);
  assert.deepEqual({ done: result.done, missing: result.missing }, { done: true, missing: [] });
  assert.equal(a.placement.underReplicated(), 0, 'the answers that were waited for count at once');
  for (const { content } of b.tree.contents(undefined, 1000))
    assert.equal(b.content.presence(content), 'here');
  await until(() => a.placement.underReplicated() === 0 && b.placement.underReplicated() === 0);
  await until(() => a.placement.settled && b.placement.settled);
  here.members.length = 1; // b reads with nobody to ask
  assert.ok((await read(b, 'large')).equals(large));
  assert.deepEqual(b.placement.work(), []);
});

test('with more pods than copies each holds its share only, and everything can be read everywhere', async () => {
  const here = village();
  const pods = [await here.pod('a'), await here.pod('b'), await here.pod('c'), await here.pod('d')];
  const [a, b, c, d] = pods;
  assert.ok(a && b && c && d);
  here.linkAll();
  const large = noise(1, 24 * 1024 * 1024);
  await write(a, 'large', large);
  for (let i = 0; i < 60; i++) await write(a, `small ${i}`, noise(i + 2, 5000));
  const result = await a.placement.waitForCopies(2, TIMES);
  assert.ok(result.done);
  await until(() => pods.every((pod) => pod.placement.settled));
  for (const pod of [b, c, d]) {
    const held = [];
    for (const { content } of a.tree.contents(undefined, 1000)) {
      for (const chunk of await a.content.chunksOf(content)) {
        const meant = a.placement.holdersOf(chunk.id).includes(pod.id);
        if (meant) assert.ok(pod.content.has(chunk.id));
        held.push(pod.content.has(chunk.id));
      }
    }
    const share = held.filter(Boolean).length / held.length;
    assert.ok(share > 0.3 && share < 0.8, `${pod.name} holds ${share}`);
  }
  assert.ok((await read(d, 'large')).equals(large));
  const [inspection] = await b.placement.inspect(
    [a.tree.lookup(ROOT, 'large')].map((node) => ({ inode: node?.id ?? '', content: node?.content ?? '' })),
  );
  assert.deepEqual(inspection?.copies, { wanted: 2, held: 2 });
  assert.ok(inspection.holders.includes(a.id));
});

test('copies that cannot be had are told apart: impossible, not yet, and asked too much', async () => {
  const here = village();
  const [a, portal] = [await here.pod('a'), await here.pod('p', 'portal')];
  here.linkAll();
  await write(a, 'file', noise(1, 100));
  await assert.rejects(a.placement.waitForCopies(3, TIMES), { code: 'invalid' });
  await assert.rejects(a.placement.waitForCopies(0, TIMES), { code: 'invalid' });
  const alone = await a.placement.waitForCopies(2, TIMES);
  assert.equal(alone.done, false);
  assert.match(alone.reason ?? '', /only 1 of its pods/);
  assert.ok((await a.placement.waitForCopies(1, TIMES)).done);
  assert.ok((await portal.placement.waitForCopies(1, TIMES)).done);
  await until(() => portal.tree.counts().files === 1);
  assert.equal((await read(portal, 'file')).length, 100);
  const b = await here.pod('b');
  const started = performance.now();
  const late = await a.placement.waitForCopies(2, { timeoutMs: 300 });
  assert.ok(performance.now() - started < 10_000);
  assert.deepEqual(
    { ...late, reason: undefined },
    { done: false, settled: [a.id], missing: [b.id], reason: undefined },
  );
  assert.equal(a.placement.underReplicated(), 1);
  here.linkAll();
  assert.ok((await a.placement.waitForCopies(2, TIMES)).done);
});

test('a pod that holds nothing of it need not answer, where the file is the only one', async () => {
  const here = village();
  const pods = [await here.pod('a'), await here.pod('b'), await here.pod('c')];
  const [a] = pods;
  assert.ok(a);
  const content = await write(a, 'file', noise(1, 100));
  const meant = a.placement.holdersOf(content.slice(1));
  const other = pods.find((pod) => pod !== a && meant.includes(pod.id));
  assert.ok(other);
  connect(a.links, other.links);
  const result = await a.placement.waitForCopies(2, TIMES);
  assert.ok(result.done, 'the writer and one holder have it');
  assert.equal(result.missing.length, 1);
});

test('a pod that was away gets what it missed, also from others than the writer', async () => {
  const here = village();
  here.declared = 'copies: 3\n';
  const [a, b, c] = [await here.pod('a'), await here.pod('b'), await here.pod('c')];
  const cut = connect(a.links, b.links);
  for (let i = 0; i < 50; i++) await write(a, `file ${i}`, noise(i, 20_000));
  assert.equal((await a.placement.waitForCopies(3, { timeoutMs: 500 })).done, false);
  await until(() => b.placement.settled && b.tree.counts().files === 50);
  cut();
  connect(b.links, c.links);
  await until(() => c.placement.settled && c.tree.counts().files === 50);
  for (const { content } of c.tree.contents(undefined, 1000))
    assert.equal(c.content.presence(content), 'here');
});

test('what was deleted or overwritten before its turn is not copied', async () => {
  const here = village();
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  const cut = connect(a.links, b.links);
  await write(a, 'stays', noise(1, 1000));
  await a.placement.waitForCopies(2, TIMES);
  cut();
  const doomed = await write(a, 'doomed', noise(2, 1000));
  const first = await write(a, 'stays', noise(3, 1000));
  await a.tree.commit();
  a.tree.unlink(ROOT, 'doomed');
  await write(a, 'stays', noise(4, 1000));
  await a.tree.commit();
  connect(a.links, b.links);
  assert.ok((await a.placement.waitForCopies(2, TIMES)).done);
  assert.equal(b.content.presence(doomed), 'remote');
  assert.equal(b.content.presence(first), 'remote');
  assert.ok((await read(b, 'stays')).equals(noise(4, 1000)));
});

test('both versions of a concurrent edit are held by both', async () => {
  const here = village();
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  const cut = connect(a.links, b.links);
  await write(a, 'file', noise(1, 1000));
  await a.placement.waitForCopies(2, TIMES);
  cut();
  const [fromA, fromB] = [await write(a, 'file', noise(2, 1000)), await write(b, 'file', noise(3, 1000))];
  connect(a.links, b.links);
  for (const pod of [a, b]) {
    await until(() => pod.content.presence(fromA) === 'here' && pod.content.presence(fromB) === 'here');
    await until(() => pod.tree.counts().conflicts === 1);
  }
});

test('chunks that nobody has are tried again, show in the status, and do not keep others waiting', async () => {
  const here = village();
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  here.linkAll();
  // Named in the tree, but their bytes are nowhere: as if the only holder were away.
  for (let i = 0; i < 600; i++) {
    const content = `c${sha256(Buffer.from(`ghost ${i}`))}`;
    a.tree.create(ROOT, `ghost ${i}`, { kind: 'file', size: 10, content, mode: 0o644 }, {});
  }
  for (let i = 0; i < 20; i++) await write(a, `file ${i}`, noise(i, 3000));
  // Not by what the work counts as done: a file that is looked at twice is counted twice.
  const present = () =>
    b.tree.contents(undefined, 1000).filter((file) => b.content.presence(file.content) === 'here').length;
  await until(() => present() === 20 && b.placement.missing === 600);
  const [work] = b.placement.work();
  assert.equal((work?.total ?? 0) - (work?.done ?? 0), 600);
  await until(() => b.placement.work()[0]?.problem !== undefined);
  assert.equal(b.placement.settled, false);
  assert.ok(b.placement.underReplicated() > 0);
});

test('what is still to be copied goes on being so when it is renamed over another file here', async () => {
  const here = village();
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  here.linkAll();
  await write(a, 'over', noise(1, 100));
  const bytes = noise(2, 1000);
  const id = sha256(bytes);
  a.tree.create(ROOT, 'file', { kind: 'file', size: bytes.length, content: `c${id}`, mode: 0o644 }, {});
  await until(() => b.placement.missing === 1 && b.tree.lookup(ROOT, 'over') !== undefined);
  const left = () => b.placement.work().map(({ total, done }) => total - done);
  assert.deepEqual(left(), [1]);
  b.tree.rename(ROOT, 'file', ROOT, 'over');
  assert.deepEqual(left(), [2], 'it is taken up as the other file; as the one that is gone it is dropped');
  await a.content.put(id, bytes, { keep: true });
  await until(() => b.content.presence(`c${id}`) === 'here', 15_000);
});

test('when the declaration asks for more copies the pods that lack them fetch', async () => {
  const here = village();
  const pods = [await here.pod('a'), await here.pod('b'), await here.pod('c')];
  here.declared = 'copies: 1\n';
  here.changed();
  here.linkAll();
  const [a] = pods;
  assert.ok(a);
  for (let i = 0; i < 30; i++) await write(a, `file ${i}`, noise(i, 3000));
  assert.ok((await a.placement.waitForCopies(1, TIMES)).done);
  here.declared = 'copies: 3\n';
  here.changed();
  assert.ok((await a.placement.waitForCopies(3, TIMES)).done);
  for (const pod of pods) {
    for (const { content } of a.tree.contents(undefined, 100))
      assert.equal(pod.content.presence(content), 'here');
  }
});

test('what was overwritten or deleted goes from every pod once all know, and not before', async () => {
  const here = village();
  here.declared = 'history: 0s\n';
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  for (const pod of [a, b]) pod.clock.pass(3_600_000);
  const cut = connect(a.links, b.links);
  const old = [await write(a, 'small', noise(1, 3000)), await write(a, 'large', noise(2, 5_000_000))];
  assert.ok((await a.placement.waitForCopies(2, TIMES)).done);
  cut();
  const fresh = await write(a, 'small', noise(3, 3000));
  a.tree.unlink(ROOT, 'large');
  const rounds = async (pod: typeof a) => {
    for (let i = 0; i < 4; i++) {
      pod.clock.pass(3_600_000);
      await pod.placement.collection.collect();
    }
  };
  await rounds(a);
  for (const content of old) assert.notEqual(a.content.presence(content), 'remote', 'b may still need it');
  connect(a.links, b.links);
  assert.ok((await a.placement.waitForCopies(2, TIMES)).done);
  for (const pod of [a, b]) {
    await rounds(pod);
    for (const content of old) assert.equal(pod.content.presence(content), 'remote');
    assert.equal(pod.content.presence(fresh), 'here');
    assert.ok((await read(pod, 'small')).equals(noise(3, 3000)));
    assert.equal(pod.placement.collection.last?.unnamed, 0);
  }
});

test('a portal lets go of what it wrote once those who should have it keep it, and not before', async () => {
  const here = village();
  const [a, portal] = [await here.pod('a'), await here.pod('p', 'portal')];
  const cut = connect(a.links, portal.links);
  await until(() => portal.tree.heads().length > 0);
  portal.clock.pass(3_600_000);
  const first = await write(portal, 'first', noise(1, 3_000_000));
  await until(() => a.placement.settled && a.tree.counts().files === 1);
  cut();
  const second = await write(portal, 'second', noise(2, 3000));
  await portal.placement.collection.collect();
  assert.equal(portal.content.presence(first), 'here', 'nobody can be asked');
  connect(a.links, portal.links);
  await portal.placement.collection.collect();
  assert.equal(portal.content.presence(first), 'cached');
  await until(() => a.placement.settled && a.tree.counts().files === 2);
  await portal.placement.collection.collect();
  assert.equal(portal.content.presence(second), 'cached');
  // Whoever was told that a pod keeps something can count on it.
  const id = second.slice(1);
  assert.deepEqual(await portal.sync.whoKeeps([id], [a.id]), new Map([[a.id, [true]]]));
  assert.ok(a.placement.collection.isPromised(id));
  assert.deepEqual(await a.sync.whoKeeps([id], [portal.id]), new Map([[portal.id, [false]]]));
});

test('history by path: what was deleted under a rule with less goes before the rest, and a chunk of both stays', async () => {
  const here = village();
  here.declared = 'copies: 1\nhistory: 30d\nrules: [{ path: /scratch, history: 0s }]\n';
  const a = await here.pod('a');
  a.clock.pass(3_600_000);
  const folder = a.tree.create(ROOT, 'scratch', { kind: 'directory', size: 0, content: '', mode: 0o755 }, {});
  const shared = await write(a, 'shared', noise(1, 3000));
  const kept = await write(a, 'kept', noise(2, 3_000_000));
  const gone = await write(a, 'gone', noise(3, 3_000_000));
  const small = await write(a, 'small', noise(4, 3000));
  assert.equal(await write(a, 'same', noise(1, 3000)), shared);
  for (const name of ['shared', 'gone', 'small']) a.tree.rename(ROOT, name, folder.id, name);
  await a.tree.commit();
  for (const name of ['same', 'kept']) a.tree.unlink(ROOT, name);
  for (const name of ['shared', 'gone', 'small']) a.tree.unlink(folder.id, name);
  await a.tree.commit();
  for (let i = 0; i < 3; i++) {
    a.clock.pass(3_600_000);
    await a.placement.collection.collect();
  }
  const presence = [shared, kept, gone, small].map((content) => a.content.presence(content));
  assert.deepEqual(presence, ['here', 'here', 'remote', 'remote']);
  a.clock.pass(31 * 86_400_000);
  await a.placement.collection.collect();
  for (const content of [shared, kept]) assert.equal(a.content.presence(content), 'remote');
});
