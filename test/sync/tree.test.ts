import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sha256 } from '../../src/base/index.js';
import { ROOT, sameHeads } from '../../src/tree/index.js';
import { connect, MemoryLinks, until } from './memory-links.js';
import { createFile, Orchard, type TreePod } from './trees.js';

const orchards: Orchard[] = [];

after(async () => {
  for (const orchard of orchards) await orchard.close();
});

async function pods<Names extends string[]>(...names: Names): Promise<{ [I in keyof Names]: TreePod }> {
  const orchard = new Orchard();
  orchards.push(orchard);
  const made: TreePod[] = [];
  for (const name of names) made.push(await orchard.pod(name));
  return made as { [I in keyof Names]: TreePod };
}

const has = (pod: TreePod, name: string) => pod.tree.lookup(ROOT, name) !== undefined;
const equal = (...all: TreePod[]) =>
  all.every((pod) => sameHeads(pod.tree.heads(), all[0]?.tree.heads() ?? [])) &&
  all[0]?.tree.heads().length !== 0;

test('two trees that were apart become one, and each tells what it has', async () => {
  const [a, b] = await pods('a', 'b');
  for (let i = 0; i < 300; i++) createFile(a.tree, `file ${i}`);
  await a.tree.commit();
  connect(a.links, b.links);
  await until(() => equal(a, b));
  assert.ok(has(b, 'file 299'));
  createFile(b.tree, 'from b');
  const heads = await b.tree.commit();
  await until(() => sameHeads(b.sync.acknowledged(a.id) ?? [], heads));
  assert.ok(has(a, 'from b'));
});

test('each change is visible on a linked pod as soon as its index says so', async () => {
  const [a, b] = await pods('a', 'b');
  connect(a.links, b.links);
  createFile(a.tree, 'first');
  await until(() => has(b, 'first'));
  for (let i = 0; i < 40; i++) {
    const seen = new Promise<void>((resolve) => {
      const off = b.tree.events.on('changed', () => {
        off();
        resolve();
      });
    });
    createFile(a.tree, `change ${i}`);
    await seen;
    assert.ok(has(b, `change ${i}`));
  }
});

test('a change reaches a pod that is not linked with the writer', async () => {
  const [a, b, c] = await pods('a', 'b', 'c');
  connect(a.links, b.links);
  connect(b.links, c.links);
  createFile(a.tree, 'one');
  await until(() => has(c, 'one'));
  createFile(c.tree, 'two');
  await until(() => has(a, 'two'));
  await until(() => equal(a, b, c));
});

test('nobody forwards what the others have anyway: pods that are all linked stay calm', async () => {
  const [a, b, c, d] = await pods('a', 'b', 'c', 'd');
  const all = [a, b, c, d];
  for (const [i, x] of all.entries()) for (const y of all.slice(i + 1)) connect(x.links, y.links);
  createFile(a.tree, 'start');
  await until(() => equal(...all));
  const sent = () => all.flatMap((pod) => pod.links.list()).reduce((sum, link) => sum + link.sentBytes, 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = sent();
  for (let i = 0; i < 20; i++) {
    createFile(a.tree, `file ${i}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await until(() => equal(...all));
  // On a busy machine the last acknowledgements take their time.
  let [spent, talks] = [-1, 0];
  for (; spent !== sent() - before; talks++) {
    assert.ok(talks < 20, 'still talking');
    spent = sent() - before;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  // A change is some 250 bytes, for three peers; the rest is heads of 32 bytes.
  assert.ok(spent < 20 * 3 * 1_500, `${spent} bytes`);
});

test('edits on both sides while cut off merge when the link is back', async () => {
  const [a, b] = await pods('a', 'b');
  const cut = connect(a.links, b.links);
  createFile(a.tree, 'before');
  await until(() => has(b, 'before'));
  cut();
  for (let i = 0; i < 50; i++) {
    createFile(a.tree, `a ${i}`);
    createFile(b.tree, `b ${i}`);
    if (i % 10 === 0) await a.tree.commit();
  }
  connect(a.links, b.links);
  await Promise.all([a.tree.commit(), b.tree.commit()]);
  await until(() => equal(a, b));
  for (let i = 0; i < 50; i++) assert.ok(has(a, `b ${i}`) && has(b, `a ${i}`));
});

test('links that come and go while both write lose nothing', async () => {
  const [a, b] = await pods('a', 'b');
  createFile(a.tree, 'root of all');
  await a.tree.commit();
  for (let round = 0; round < 12; round++) {
    const cut = connect(a.links, b.links);
    for (let i = 0; i < 5; i++) {
      createFile(a.tree, `a ${round} ${i}`);
      createFile(b.tree, `b ${round} ${i}`);
      await new Promise((resolve) => setTimeout(resolve, (round * 7 + i) % 9));
    }
    cut();
  }
  connect(a.links, b.links);
  await Promise.all([a.tree.commit(), b.tree.commit()]);
  await until(() => equal(a, b));
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < 5; i++) assert.ok(has(a, `b ${round} ${i}`) && has(b, `a ${round} ${i}`));
  }
});

test('who waits for a peer hears when it has the heads, not before', async () => {
  const [a, b] = await pods('a', 'b');
  await assert.rejects(a.sync.peerHas(b.id, [], { timeoutMs: 100 }), { code: 'closed' });
  const cut = connect(a.links, b.links);
  createFile(a.tree, 'x');
  const heads = await a.tree.commit();
  const theirs = await a.sync.peerHas(b.id, heads, { timeoutMs: 5_000 });
  assert.ok(await b.tree.contains(heads));
  assert.ok(await a.tree.contains(theirs));
  const never = [sha256(Buffer.from('never'))];
  await assert.rejects(a.sync.peerHas(b.id, never, { timeoutMs: 50 }), { code: 'timeout' });
  const waiting = a.sync.peerHas(b.id, never, { timeoutMs: 5_000 });
  cut();
  await assert.rejects(waiting, { code: 'closed' });
});

test('a hostile peer ends its own link and disturbs nobody', async () => {
  const [a, b] = await pods('a', 'b');
  connect(a.links, b.links);
  createFile(a.tree, 'x');
  await until(() => has(b, 'x'));
  const hash = Buffer.alloc(32, 7);
  const bad: [string, unknown][] = [
    ['tree.heads', null],
    ['tree.heads', Buffer.alloc(33)],
    ['tree.heads', Buffer.alloc(32 * 5000)],
    ['tree.push', {}],
    ['tree.push', { changes: [1], heads: hash }],
    ['tree.push', { changes: [Buffer.from('no change')], heads: hash }],
    ['tree.push', { changes: [Buffer.alloc(300, 0x85)], heads: hash }],
    ['tree.sync', { bytes: Buffer.from('nonsense'), last: true }],
    ['tree.sync', { bytes: 'x', last: 1 }],
    ['tree.sync', { bytes: Buffer.concat([Buffer.from([0x42]), Buffer.alloc(400, 0xff)]), last: true }],
  ];
  for (const [type, body] of bad) {
    const evil = new MemoryLinks(sha256(Buffer.from('evil')));
    for (const name of ['tree.heads', 'tree.push', 'tree.sync']) evil.handle(name, () => {});
    connect(a.links, evil);
    evil.get(a.id)?.send(type, body);
    await until(() => evil.get(a.id) === undefined).catch(() => assert.fail(`${type} was swallowed`));
  }
  createFile(b.tree, 'still here');
  await until(() => has(a, 'still here'));
});

test('heads that nobody has are asked for ever more rarely', async () => {
  const [a] = await pods('a');
  createFile(a.tree, 'x');
  await a.tree.commit();
  const evil = new MemoryLinks(sha256(Buffer.from('evil')));
  let heard = 0;
  for (const name of ['tree.heads', 'tree.push', 'tree.sync']) evil.handle(name, () => void heard++);
  connect(a.links, evil);
  evil.get(a.id)?.send('tree.heads', Buffer.alloc(32, 9));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.ok(heard <= 6, `${heard} messages`);
});

test('a large tree comes to a joining pod as a snapshot', async () => {
  const [a, b] = await pods('a', 'b');
  const long = 'n'.repeat(240);
  for (let i = 0; i < 4_500; i++) createFile(a.tree, `${i} ${long}`);
  await a.tree.commit();
  assert.ok((await a.tree.sync.snapshot()) !== undefined, 'too small for this test');
  let parts = 0;
  const handler = a.links.handlers.get('tree.snapshot.part');
  assert.ok(handler);
  a.links.handlers.set('tree.snapshot.part', (...args) => {
    parts++;
    return handler(...args);
  });
  connect(a.links, b.links);
  createFile(a.tree, 'made meanwhile');
  await until(() => equal(a, b));
  assert.ok(parts >= 3, `${parts} pieces`);
  assert.ok(has(b, `4499 ${long}`) && has(b, 'made meanwhile'));
  createFile(b.tree, 'from b');
  await until(() => has(a, 'from b'));
});

test('a peer that lies about its snapshot is no harm: the tree comes by the sync protocol', async () => {
  const [a, b] = await pods('a', 'b');
  createFile(a.tree, 'x');
  await a.tree.commit();
  a.links.handlers.set('tree.snapshot', () => ({ size: 1_500_000 }));
  a.links.handlers.set('tree.snapshot.part', () => Buffer.alloc(512 * 1024, 1));
  connect(a.links, b.links);
  await until(() => has(b, 'x'));
});

test('a pod that is no member learns nothing', async () => {
  const [a] = await pods('a');
  const orchard = orchards.at(-1) as Orchard;
  orchard.isMember = () => false;
  const stranger = new MemoryLinks(sha256(Buffer.from('stranger')));
  let heard = 0;
  for (const name of ['tree.heads', 'tree.push', 'tree.sync']) stranger.handle(name, () => void heard++);
  connect(a.links, stranger);
  createFile(a.tree, 'secret');
  await a.tree.commit();
  stranger.get(a.id)?.send('tree.heads', Buffer.alloc(32, 9));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(heard, 0);
  await assert.rejects(async () => stranger.get(a.id)?.request('tree.await', Buffer.alloc(0)), {
    code: 'not-member',
  });
});
