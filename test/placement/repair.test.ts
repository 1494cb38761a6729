/** What happens when pods go: what is scarce is copied first, and one that only slept is no loss. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ROOT } from '../../src/tree/index.js';
import { connect, until } from '../sync/memory-links.js';
import { noise, type Pod, Village, write } from './pods.js';

const villages: Village[] = [];

after(async () => {
  for (const village of villages) await village.close();
});

const GRACE_MS = 60_000;

async function four(declared: string): Promise<{ here: Village; pods: [Pod, Pod, Pod, Pod] }> {
  const here = new Village();
  villages.push(here);
  here.declared = `${declared}\ncrisis: { grace: ${GRACE_MS / 1000}s }\n`;
  const pods = [await here.pod('a'), await here.pod('b'), await here.pod('c'), await here.pod('d')];
  return { here, pods: pods as [Pod, Pod, Pod, Pod] };
}

/** Every pod holds its share, has said so, and keeps nothing that belongs elsewhere. */
async function evenOut(pods: readonly Pod[]): Promise<void> {
  for (let released = -1; released !== 0; ) {
    await until(() => pods.every((pod) => pod.placement.handedOver));
    released = 0;
    for (const pod of pods) released += (await pod.placement.rebalance()).chunks;
  }
}

function cutOff(pod: Pod): void {
  for (const link of pod.links.list()) link.close('gone');
}

/** So much later, as all of them see it. */
function pass(here: Village, pods: readonly Pod[], ms: number): void {
  here.changed();
  for (const pod of pods) pod.clock.pass(ms);
  here.changed();
}

const kept = (pod: Pod, content: string) => pod.content.presence(content) === 'here';

test('after a loss what one pod has is copied before what two have', async () => {
  const { here, pods } = await four('copies: 3\nrules: [{ path: /two/**, copies: 2 }]');
  const [a, b, c, d] = pods;
  here.linkAll();
  const contents: string[] = [];
  const folder = a.tree.create(ROOT, 'two', { kind: 'directory', size: 0, content: '', mode: 0o755 }, {});
  for (let i = 0; i < 60; i++) {
    contents.push(await write(a, `three ${i}`, noise(i, 3000)));
    contents.push(await write(a, `two ${i}`, noise(1000 + i, 3000)));
    a.tree.rename(ROOT, `two ${i}`, folder.id, `${i}`);
  }
  await a.tree.commit();
  await evenOut(pods);
  const left = [a, b, c];
  // What was let go of is cached: without that all of it has to be fetched.
  for (const pod of left) for (const content of contents) await pod.content.evict(content.slice(1));
  const holders = new Map(
    contents.map((content) => [content, left.filter((pod) => kept(pod, content)).length]),
  );
  const fetched = new Map(left.map((pod) => [pod, [] as string[]]));
  for (const [pod, ids] of fetched) {
    const fetch = pod.sync.fetchNow.bind(pod.sync);
    pod.sync.fetchNow = (id, signal) => {
      ids.push(`c${id}`);
      return fetch(id, signal);
    };
  }
  cutOff(d);
  pass(here, left, GRACE_MS);
  await until(() => left.every((pod) => contents.filter((content) => kept(pod, content)).length > 0));
  await until(
    () => contents.every((content) => left.filter((pod) => kept(pod, content)).length >= 2),
    30_000,
  );
  await until(() => left.every((pod) => pod.placement.settled));
  for (const [pod, ids] of fetched) {
    const scarce = ids.map((id) => (holders.get(id) ?? 0) <= 1);
    assert.ok(scarce.includes(true) && scarce.includes(false), `${pod.name} had both to copy`);
    const firstPlenty = scarce.indexOf(false);
    assert.ok(firstPlenty > scarce.lastIndexOf(true), `${pod.name}: ${scarce.map(Number).join('')}`);
  }
});

test('a pod that was asleep for less than the grace time fetches what changed, and nobody anything else', async () => {
  const { here, pods } = await four('copies: 2');
  const [a, , c] = pods;
  here.linkAll();
  for (let i = 0; i < 100; i++) await write(a, `file ${i}`, noise(i, 20_000));
  await write(a, 'large', noise(999, 6 * 1024 * 1024));
  await a.tree.commit();
  await evenOut(pods);
  cutOff(c);
  const received = (pod: Pod) => pod.links.list().reduce((sum, link) => sum + link.receivedBytes, 0);
  const before = pods.reduce((sum, pod) => sum + received(pod), 0);
  pass(here, pods, GRACE_MS / 2);
  const changed = Array.from({ length: 8 }, (_, i) => noise(5000 + i, 1000));
  for (const [i, bytes] of changed.entries()) await write(a, `file ${i}`, bytes);
  await a.tree.commit();
  for (const pod of pods) if (pod !== c) connect(pod.links, c.links);
  await until(() => pods.every((pod) => pod.placement.handedOver));
  const moved = pods.reduce((sum, pod) => sum + received(pod), 0) - before;
  // 8 MB lie here twice; what changed are 8 kB, with the words about them.
  assert.ok(moved < 200_000, `${moved} bytes went over the links`);
});
