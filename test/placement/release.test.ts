/** Letting go of what belongs elsewhere: late, and never wrongly (decision 21). */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { LIMITS } from '../../src/base/index.js';
import { ROOT, sameHeads } from '../../src/tree/index.js';
import { connect, until } from '../sync/memory-links.js';
import { noise, type Pod, read, Village, write } from './pods.js';

const villages: Village[] = [];

after(async () => {
  for (const village of villages) await village.close();
});

async function three(declared: string): Promise<{ here: Village; pods: [Pod, Pod, Pod] }> {
  const here = new Village();
  villages.push(here);
  here.declared = declared;
  return { here, pods: [await here.pod('a'), await here.pod('b'), await here.pod('c')] };
}

const FILES = 40;
const FOLDER = { kind: 'directory', size: 0, content: '', mode: 0o755 } as const;

async function fill(pod: Pod): Promise<void> {
  for (let i = 0; i < FILES; i++) await write(pod, `file ${i}`, noise(i + 1, 3000));
  await write(pod, 'large', noise(99, 6 * 1024 * 1024));
  // Contents are listed once they are in the document.
  await pod.tree.commit();
}

const NOTHING = { chunks: 0, bytes: 0 };

/** Small files that a pod keeps. */
function keptBy(pod: Pod): number {
  const files = pod.tree.contents(undefined, 1000).filter(({ content }) => content.startsWith('c'));
  return files.filter(({ content }) => pod.content.presence(content) === 'here').length;
}

/** Lets all pods let go of what they may, until so many copies of the small files are kept in all. */
async function evenOut(pods: readonly Pod[], copies: number): Promise<void> {
  const kept = () => pods.reduce((sum, pod) => sum + keptBy(pod), 0);
  for (let round = 0; round < 40 && kept() !== copies; round++) {
    await until(() => pods.every((pod) => pod.placement.handedOver));
    for (const pod of pods) await pod.placement.rebalance();
  }
  assert.equal(kept(), copies);
}

/** Chunks of all files that are kept on each pod, so that they cannot be evicted. */
async function keepers(pods: readonly Pod[]): Promise<Map<string, Pod[]>> {
  const found = new Map<string, Pod[]>();
  for (const { content, size } of pods[0]?.tree.contents(undefined, 1000) ?? []) {
    for (const pod of pods) {
      if (content.startsWith('m') && pod.content.presence(content) !== 'here') continue;
      for (const { id } of content.startsWith('m')
        ? [{ id: content }]
        : await pod.content.chunksOf(content, size)) {
        const kept = pod.content.presence(`c${id}`) === 'here';
        if (kept || content.startsWith('m')) found.set(id, [...(found.get(id) ?? []), pod]);
      }
    }
  }
  return found;
}

test('what belongs elsewhere is let go of once every pod agrees and holds its share, and nothing is lost', async () => {
  const { here, pods } = await three('copies: 1');
  const [a, b, c] = pods;
  here.linkAll();
  await fill(a);
  assert.ok((await a.placement.waitForCopies(1, { timeoutMs: 15_000 })).done);
  await until(() => pods.every((pod) => pod.placement.handedOver));
  await evenOut(pods, FILES);
  assert.ok(keptBy(a) < FILES, 'some of it belongs elsewhere');
  const { signal } = new AbortController();
  assert.deepEqual(await a.placement.surplus(signal), NOTHING, 'a plan carried out leaves nothing to do');
  for (const [id, kept] of await keepers(pods)) {
    if (!id.startsWith('m')) assert.equal(kept.length, 1, `${id} is kept by ${kept.map((pod) => pod.name)}`);
  }
  for (const pod of [b, c]) assert.ok((await read(pod, 'large')).equals(noise(99, 6 * 1024 * 1024)));
});

test('while a pod is away or places otherwise, nothing is let go of', async () => {
  const { here, pods } = await three('copies: 1');
  const [a, b, c] = pods;
  connect(a.links, b.links);
  await fill(a);
  await until(() => b.placement.settled);
  assert.equal(a.placement.handedOver, false);
  assert.deepEqual(await a.placement.rebalance(), NOTHING, 'c is away');
  assert.equal(a.placement.disagreement, 'c is not linked');
  const cut = connect(a.links, c.links);
  connect(b.links, c.links);
  await until(() => a.placement.handedOver);
  await until(() => a.placement.disagreement === undefined);
  cut();
  assert.deepEqual(await a.placement.rebalance(), NOTHING, 'c went');
  assert.equal(a.placement.disagreement, 'c is not linked');
  connect(a.links, c.links);
  await until(() => a.placement.handedOver);
  here.declared = 'copies: 2';
  here.changed();
  assert.deepEqual(await a.placement.rebalance(), NOTHING, 'nobody has said so under this declaration');
  assert.notEqual(a.placement.disagreement, undefined);
  await evenOut(pods, 2 * FILES);
});

const BY_PATH = `copies: 1
pods: { a: { zone: x }, b: { zone: y }, c: { zone: z } }
rules: [{ path: /there/**, copies: 2, require: { zone: [y, z] } }]
`;

test('somebody who writes without a pause keeps nobody from letting go, nor from knowing what is held', async () => {
  const { here, pods } = await three(BY_PATH);
  const [a, b] = pods;
  here.linkAll();
  await fill(a);
  await until(() => pods.every((pod) => pod.placement.handedOver));
  // For the first ten minutes a pod takes it that it promised everything before it was started.
  for (const pod of pods) pod.clock.pass(LIMITS.keptLeaseMs + 1);
  let written = 0;
  let writing = true;
  const writer = (async () => {
    while (writing) {
      await write(b, `new ${written}`, noise(1000 + written++, 500));
      await pause(5);
    }
  })();
  await until(() => written > 20);
  let released = 0;
  for (let round = 0; round < 200 && released === 0; round++) {
    released = (await a.placement.rebalance()).chunks;
    await pause(20);
  }
  assert.ok(released > 0, 'the writer keeps it from letting go');
  const before = written;
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 400 && !(written > before + 100 && least < before); round++) {
    least = Math.min(least, b.placement.underReplicated());
    await pause(20);
  }
  assert.ok(least < before, `${least} of ${written} files are told to be short of copies`);
  here.declared = BY_PATH.replace('c: { zone: z }', 'c: { zone: z, capacity: 0B }');
  here.changed();
  await until(() => pods[2].placement.handedOver);
  writing = false;
  await writer;
  for (let i = 0; i < FILES; i++) assert.ok((await read(b, `file ${i}`)).equals(noise(i + 1, 3000)));
});

test('with its path a file gets other places, on the pod that moves it and on the others', async () => {
  const { here, pods } = await three(BY_PATH);
  const [a, b, c] = pods;
  here.linkAll();
  await until(() => pods.every((pod) => pod.links.list().length === 2));
  const folder = a.tree.create(ROOT, 'folder', FOLDER, {}).id;
  const there = a.tree.create(ROOT, 'there', FOLDER, {}).id;
  const contents: string[] = [];
  for (let i = 0; i < 10; i++) {
    contents.push(await write(a, `f${i}`, noise(i + 1, 3000)));
    a.tree.rename(ROOT, `f${i}`, folder, `f${i}`);
  }
  await a.tree.commit();
  await until(() => pods.every((pod) => pod.placement.handedOver));
  const lacking = (pod: Pod) => contents.filter((content) => pod.content.presence(content) !== 'here').length;
  assert.ok(lacking(b) > 0 && lacking(c) > 0, 'one copy each, of which a has some');
  b.tree.rename(ROOT, 'folder', there, 'folder');
  const heads = await b.tree.commit();
  await until(() => sameHeads(c.tree.heads(), heads));
  await until(() => b.placement.settled && c.placement.settled);
  assert.deepEqual([lacking(b), lacking(c)], [0, 0], 'whoever says that it holds its share does');
});

test('a file that is opened on several pods gains a copy where its rule says', async () => {
  const { here, pods } = await three(`copies: 1
pods: { a: { media: hdd }, b: { media: hdd }, c: { media: ssd } }
rules: [{ path: /**, require: { media: hdd }, affinity: { hot: { media: ssd } } }]
`);
  const [a, b, c] = pods;
  here.linkAll();
  const content = await write(a, 'asked for', noise(1, 3000));
  await a.tree.commit();
  await until(() => c.tree.lookup(ROOT, 'asked for') !== undefined);
  const inode = a.tree.lookup(ROOT, 'asked for')?.id ?? '';
  for (const pod of [a, b, a]) pod.placement.opened(inode);
  here.changed();
  await pause(50);
  assert.equal(c.content.presence(content), 'remote', 'three times are few');
  b.placement.opened(inode);
  here.changed();
  await until(() => c.content.presence(content) === 'here');
  for (const pod of pods) assert.ok(pod.placement.isHot(inode), pod.name);
});

test('a pod that is to hold nothing more hands over all it has', async () => {
  const { here, pods } = await three('copies: 2');
  const [a, b] = pods;
  here.linkAll();
  await fill(b);
  here.declared = 'copies: 2\npods: { b: { capacity: 0B } }';
  here.changed();
  await until(() => b.placement.handedOver);
  assert.equal(await b.placement.onlyHere(new AbortController().signal), 0);
  await b.placement.rebalance();
  for (const { content } of a.tree.contents(undefined, 1000)) {
    assert.equal(a.content.presence(content), 'here');
    assert.equal(b.content.presence(content), 'cached');
  }
  here.declared =
    'copies: 1\npods: { a: { media: hdd }, b: , c: }\nrules: [{ path: /**, require: { media: tape } }]';
  here.changed();
  assert.ok((await a.placement.onlyHere(new AbortController().signal)) > FILES, 'no pod may hold any of it');
});

test('what a full pod cannot take is held by the next one, and goes back when there is room', async () => {
  const { here, pods } = await three('copies: 1');
  const [a, b, c] = pods;
  here.full.add('b');
  here.linkAll();
  await until(
    () => pods.every((pod) => pod.placement.layoutOf('').candidates.some((one) => one.full)),
    15_000,
  );
  await fill(a);
  assert.ok((await a.placement.waitForCopies(1, { timeoutMs: 15_000 })).done);
  await until(() => keptBy(c) > 0);
  await evenOut(pods, FILES);
  assert.equal(keptBy(b), 0, 'it takes nothing');
  for (let i = 0; i < FILES; i++) assert.ok((await read(c, `file ${i}`)).equals(noise(i + 1, 3000)));
  here.full.delete('b');
  await until(() => keptBy(b) > 0);
  await evenOut(pods, FILES);
  assert.ok(keptBy(b) > 0);
});

test('where nobody stands in for a full pod there are too few copies, until it has room', async () => {
  const here = new Village();
  villages.push(here);
  here.declared = 'copies: 2';
  const [a, b] = [await here.pod('a'), await here.pod('b')];
  here.full.add('b');
  here.linkAll();
  await until(
    () => [a, b].every((pod) => pod.placement.layoutOf('').candidates.some((one) => one.full)),
    15_000,
  );
  await write(a, 'file', noise(1, 3000));
  await until(() => b.placement.work()[0]?.problem !== undefined, 15_000);
  // The names are there before the version that has them.
  await until(() => a.placement.settled && !b.placement.settled, 15_000);
  assert.equal(a.placement.underReplicated(), 1);
  assert.equal(b.placement.underReplicated(), 1);
  assert.equal((await a.placement.waitForCopies(2, { timeoutMs: 300 })).done, false);
  assert.equal(b.placement.missing, 0, 'it can be had');
  here.full.delete('b');
  await until(() => keptBy(b) === 1, 15_000);
  await until(() => [a, b].every((pod) => pod.placement.underReplicated() === 0), 15_000);
});

test('a scrub reads every chunk that is here', async () => {
  const { here, pods } = await three('copies: 3');
  const [a] = pods;
  here.linkAll();
  await fill(a);
  const places: string[] = [];
  const so = await a.placement.scrub({
    bytesPerSecond: () => Number.POSITIVE_INFINITY,
    reached: (inode) => places.push(inode),
    signal: new AbortController().signal,
  });
  assert.equal(so.files, FILES + 1);
  assert.ok(so.bytes >= FILES * 3000 + 6 * 1024 * 1024);
  assert.equal(so.damaged, 0);
  const rest = await a.placement.scrub({
    after: places[0],
    bytesPerSecond: () => Number.POSITIVE_INFINITY,
    reached: () => {},
    signal: new AbortController().signal,
  });
  assert.deepEqual([rest.files, rest.chunks], [0, 0], 'it goes on where it was');
  const lines: string[] = [];
  await a.placement.check({
    readData: true,
    progress: (line) => lines.push(line),
    signal: new AbortController().signal,
  });
  const told = `${FILES + 1} of ${FILES + 1} files looked at`;
  assert.ok(lines.includes(told), lines.join());
  await write(a, 'file 0', noise(200, 3000));
  await a.tree.commit();
  const again = await a.placement.scrub({
    bytesPerSecond: () => Number.POSITIVE_INFINITY,
    reached: () => {},
    signal: new AbortController().signal,
  });
  assert.deepEqual(
    [again.files, again.chunks],
    [FILES + 1, so.chunks + 1],
    'what was overwritten is read too',
  );
});
