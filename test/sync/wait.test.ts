import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type PodId, sha256, silentLog, systemClock, WormholeError } from '../../src/base/index.js';
import { Settled } from '../../src/sync/settled.js';
import { waitUntilShared } from '../../src/sync/wait.js';
import { ROOT } from '../../src/tree/index.js';
import { connect, MemoryLinks, until } from './memory-links.js';
import { createFile, Orchard, type TreePod } from './trees.js';

const orchards: Orchard[] = [];

after(async () => {
  for (const orchard of orchards) await orchard.close();
});

async function pods(...names: string[]): Promise<TreePod[]> {
  const orchard = new Orchard();
  orchards.push(orchard);
  const made: TreePod[] = [];
  for (const name of names) made.push(await orchard.pod(name));
  return made;
}

function wait(pod: TreePod, all: TreePod[], timeoutMs: number, signal?: AbortSignal) {
  const others = () => all.filter((other) => other !== pod).map((other) => other.id);
  const limits = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
  return waitUntilShared(limits, { tree: pod.tree, treeSync: pod.sync, others, clock: systemClock });
}

test('a wait ends when all that are linked have what is here, and here is what they have', async () => {
  const all = (await pods('a', 'b', 'c')) as [TreePod, TreePod, TreePod];
  const [a, b, c] = all;
  createFile(a.tree, 'root of all');
  await a.tree.commit();
  connect(a.links, b.links);
  connect(a.links, c.links);
  createFile(a.tree, 'from a');
  await until(() => b.tree.counts().files > 0);
  createFile(b.tree, 'from b');
  await b.tree.commit();
  const result = await wait(a, all, 20_000);
  assert.deepEqual(result, { done: true, shared: [b.id, c.id], missing: [] });
  for (const pod of [b, c]) assert.ok(pod.tree.lookup(ROOT, 'from a'));
  assert.ok(a.tree.lookup(ROOT, 'from b'));
});

test('a pod alone has nothing to wait for; one whose peers are away waits for one of them', async () => {
  const all = (await pods('a', 'b')) as [TreePod, TreePod];
  const [a, b] = all;
  createFile(a.tree, 'x');
  assert.deepEqual(await wait(a, [a], 20_000), { done: true, shared: [], missing: [] });
  const alone = await wait(a, all, 100);
  assert.deepEqual({ done: alone.done, missing: alone.missing }, { done: false, missing: [b.id] });
  assert.match(alone.reason ?? '', /no other pod is linked/);
  setTimeout(() => connect(a.links, b.links), 100);
  assert.deepEqual(await wait(a, all, 20_000), { done: true, shared: [b.id], missing: [] });
});

test('a pod that does not answer, or goes, is named; a wait can be given up', async () => {
  const all = (await pods('a', 'b')) as [TreePod, TreePod];
  const [a, b] = all;
  createFile(a.tree, 'x');
  b.links.handlers.set('tree.await', () => new Promise(() => {}));
  const cut = connect(a.links, b.links);
  const started = performance.now();
  assert.deepEqual(await wait(a, all, 200), { done: false, shared: [], missing: [b.id] });
  assert.ok(performance.now() - started < 20_000);
  const given = new AbortController();
  const waiting = wait(a, all, 20_000, given.signal);
  setTimeout(() => given.abort(), 50);
  await assert.rejects(waiting, { code: 'interrupted' });
  setTimeout(() => cut(), 50);
  assert.deepEqual(await wait(a, all, 20_000), { done: false, shared: [], missing: [b.id] });
});

test('what a pod holds is told, asked and forgotten with its link; strangers and nonsense count for nothing', async () => {
  const heads = [sha256(Buffer.from('some heads'))];
  const ids = ['x', 'y', 'stranger'].map((name) => sha256(Buffer.from(name))) as [PodId, PodId, PodId];
  const [x, y, stranger] = ids.map((id) => new MemoryLinks(id)) as [MemoryLinks, MemoryLinks, MemoryLinks];
  const isMember = (pod: PodId) => pod !== ids[2];
  const treeSync = {
    here: async (wanted: readonly string[]) => {
      if (wanted.length === 0) throw new WormholeError('internal', 'not here');
    },
  } as unknown as TreePod['sync'];
  const settledAt = (links: MemoryLinks) => new Settled({ links, treeSync, isMember, log: silentLog });
  const [atX, atY] = [settledAt(x), settledAt(y)];
  atX.tell(heads);
  const cut = connect(x, y);
  connect(stranger, y);
  await until(() => atY.at(x.self)?.[0] === heads[0]);
  await assert.rejects(atY.when(x.self, heads, { timeoutMs: 1_000 }), { code: 'not-supported' });
  let release = () => {};
  atX.serve(
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  const asked = atY.when(x.self, heads, { timeoutMs: 5_000 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  release();
  await asked;
  await assert.rejects(atY.when(x.self, [], { timeoutMs: 1_000 }), { code: 'internal' });
  stranger.get(y.self)?.send('settled', Buffer.alloc(32));
  await assert.rejects(async () => stranger.get(y.self)?.request('settled.await', Buffer.alloc(32)), {
    code: 'not-member',
  });
  assert.equal(atY.at(stranger.self), undefined);
  cut();
  assert.equal(atY.at(x.self), undefined);
  await assert.rejects(atY.when(x.self, heads, { timeoutMs: 1_000 }), { code: 'closed' });
  connect(x, y);
  x.get(y.self)?.send('settled', 'nonsense');
  await until(() => y.get(x.self) === undefined);
  atX.close();
  atY.close();
});
