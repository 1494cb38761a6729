import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS, sha256, WormholeError } from '../../../src/base/index.js';
import { automerge } from '../../../src/tree/engine/automerge.js';
import type { InodeId } from '../../../src/tree/schema.js';
import fc from '../../property.js';
import { converse, created, file, NETWORK, openPod, operation, type Pod, withFolder } from './rig.js';

const isProtocol = (error: unknown) => error instanceof WormholeError && error.code === 'protocol';

async function pair(folder: string): Promise<[Pod, Pod]> {
  const a = await openPod(join(folder, 'a'));
  const b = await openPod(join(folder, 'b'), { name: 'bb' });
  a.apply(created('one/00', 'first'));
  await converse(a, b);
  return [a, b];
}

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
    assert.equal(await converse(a, b), 0, 'there is nothing more to say');
    for (const pod of [a, b]) await pod.close();
  }));

test('a pushed change is indexed, echoed as remote and acknowledged', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const before = a.sent.length;
    a.apply(created('one/01', 'second'));
    await a.engine.settle();
    const heads = await b.engine.applyChanges(a.sent.slice(before));
    assert.deepEqual(heads, a.engine.durable.heads);
    assert.deepEqual(b.indexer.calls.at(-1), { kind: 'update', touched: ['one/01'] });
    const echo = b.events.findLast(({ name }) => name === 'echo')?.value as { remote: boolean };
    assert.equal(echo.remote, true);
    for (const pod of [a, b]) await pod.close();
  }));

test('pushed out of order, twice and in parts: the same document', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const before = a.sent.length;
    for (let n = 1; n <= 6; n++) a.apply(created(`one/0${n}`, `file-${n}`));
    await a.engine.settle();
    const [one, two, three, four, five, six] = a.sent.slice(before) as Uint8Array[];
    const start = b.engine.durable.heads;
    assert.deepEqual(
      await b.engine.applyChanges([three, two] as Uint8Array[]),
      start,
      'it waits for the first',
    );
    assert.equal(await b.engine.contains(a.engine.durable.heads), false);
    await b.engine.applyChanges([six, one, one] as Uint8Array[]);
    await b.engine.applyChanges([five, four, two] as Uint8Array[]);
    assert.deepEqual(b.engine.durable.heads, a.engine.durable.heads);
    assert.equal(b.indexer.rows.size, 7);
    for (const pod of [a, b]) await pod.close();
  }));

test('changes that wait for others are not lost to anti-entropy', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const before = a.sent.length;
    a.apply(created('one/01', 'x'));
    a.apply(created('one/02', 'y'));
    await a.engine.settle();
    await b.engine.applyChanges(a.sent.slice(before + 1));
    await converse(a, b);
    assert.deepEqual(b.engine.durable.heads, a.engine.durable.heads);
    assert.equal(b.indexer.rows.size, 3);
    for (const pod of [a, b]) await pod.close();
  }));

test('a whole document that comes with a change that waits is indexed and kept', () =>
  withFolder(async (folder) => {
    const founder = await openPod(join(folder, 'a'));
    const [b, c] = [
      await openPod(join(folder, 'b'), { name: 'bb' }),
      await openPod(join(folder, 'c'), { name: 'cc' }),
    ];
    for (const joiner of [b, c]) await converse(founder, joiner);
    c.apply(created('two/00', 'first'));
    c.apply(created('two/01', 'second'));
    await c.engine.settle();
    await founder.engine.applyChanges(c.sent.slice(-1));
    founder.apply(created('one/00', 'here'));
    // So little that the founder tells all it has, and that is: its document, and what waits there for c's first.
    await converse(founder, b);
    assert.deepEqual(b.engine.durable.heads, founder.engine.durable.heads);
    assert.equal(b.indexer.rows.get('one/00')?.l[0]?.value.name, 'here');
    const { heads } = b.engine.durable;
    await b.close();
    const again = await openPod(join(folder, 'b'), { name: 'bb', indexer: b.indexer });
    assert.equal(again.engine.condition, undefined);
    assert.deepEqual(again.engine.durable.heads, heads);
    for (const pod of [founder, again, c]) await pod.close();
  }));

test('damaged changes and messages are refused whole', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const before = a.sent.length;
    a.apply(created('one/01', 'x'));
    a.apply(created('one/02', 'y'));
    await a.engine.settle();
    const [good, bad] = a.sent.slice(before) as [Uint8Array, Uint8Array];
    bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 1;
    const heads = b.engine.durable.heads;
    await assert.rejects(b.engine.applyChanges([good, bad]), isProtocol);
    await assert.rejects(b.engine.receive('peer-a', Uint8Array.from([0x42, 1, 2, 3])), isProtocol);
    await assert.rejects(b.engine.receive('peer-a', new Uint8Array()), isProtocol);
    assert.deepEqual(b.engine.durable.heads, heads);
    await converse(a, b);
    assert.deepEqual(b.engine.durable.heads, a.engine.durable.heads);
    for (const pod of [a, b]) await pod.close();
  }));

test('any bytes for a message end in a coded error', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    a.apply(created('one/01', 'x'));
    const honest = (await a.engine.generate('peer-b')) as Uint8Array;
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(255), fc.boolean(), async (at, value, cut) => {
        const broken = Uint8Array.from(honest);
        broken[at % broken.length] = value;
        const message = cut ? broken.subarray(0, at % broken.length) : broken;
        await b.engine.receive('stranger', message).catch((error) => assert.ok(isProtocol(error), error));
      }),
      { numRuns: 300 },
    );
    await b.engine.disconnect('stranger');
    await converse(a, b);
    assert.deepEqual(b.engine.durable.heads, a.engine.durable.heads);
    for (const pod of [a, b]) await pod.close();
  }));

test("another network's document is refused, and the joiner stays empty", () =>
  withFolder(async (folder) => {
    const foreign = await openPod(join(folder, 'a'), { network: Uint8Array.from([9]) });
    const home = await openPod(join(folder, 'b'));
    const joiner = await openPod(join(folder, 'c'), { name: 'cc' });
    foreign.apply(created('one/00', 'x'));
    await assert.rejects(converse(foreign, joiner), isProtocol);
    assert.equal(joiner.engine.founded, false);
    assert.deepEqual(joiner.engine.durable.heads, []);
    await joiner.close();
    const again = await openPod(join(folder, 'c'), { name: 'cc' });
    assert.equal(again.engine.founded, false);
    await converse(home, again);
    assert.deepEqual(again.engine.durable.heads, home.engine.durable.heads);
    for (const pod of [foreign, home, again]) await pod.close();
  }));

test('a reconnect after a restart says little: what the peer has is remembered', () =>
  withFolder(async (folder) => {
    let [a, b] = await pair(folder);
    for (let n = 1; n < 200; n++) a.apply({ inode: 'one/00', d: file(`c${n}`), replaces: [] });
    await converse(a, b);
    for (const pod of [a, b]) await pod.close();
    [a, b] = [await openPod(join(folder, 'a')), await openPod(join(folder, 'b'), { name: 'bb' })];
    const remembered = (await a.engine.generate('peer-b'))?.length ?? 0;
    const fresh = (await a.engine.generate('somebody else'))?.length ?? 0;
    assert.ok(remembered * 2 < fresh, `${remembered} bytes beside ${fresh}`);
    await converse(a, b);
    for (const pod of [a, b]) await pod.close();
  }));

test('a cold joiner takes a snapshot, once, and syncs from there', () =>
  withFolder(async (folder) => {
    const a = await openPod(join(folder, 'a'));
    assert.equal(await a.engine.snapshotForPeer(), undefined, 'a small document needs none');
    let seq = 0;
    for (let bucket = 0; bucket < 24; bucket++) {
      const writes = Array.from({ length: 256 }, (_, n) =>
        created(
          `b${bucket}/${n.toString(16).padStart(2, '0')}`,
          `file-${bucket}-${n}-${'x'.repeat(180)}`,
          `c${n}`,
        ),
      );
      a.engine.apply([operation(++seq, writes)]);
    }
    const snapshot = (await a.engine.snapshotForPeer()) as Uint8Array;
    const b = await openPod(join(folder, 'b'), { name: 'bb' });
    const broken = Uint8Array.from(snapshot);
    broken[1000] = (broken[1000] ?? 0) ^ 1;
    await assert.rejects(b.engine.adoptSnapshot(broken), isProtocol);
    assert.equal(b.engine.founded, false);
    assert.deepEqual(await b.engine.adoptSnapshot(snapshot), a.engine.durable.heads);
    assert.equal(b.indexer.rows.size, 24 * 256);
    await assert.rejects(b.engine.adoptSnapshot(snapshot), (error: WormholeError) => error.code === 'exists');
    assert.equal(b.engine.appliedSeq, 0, "the peer's journal is not ours");
    b.apply(created('mine/00', 'mine'));
    await b.close();
    const again = await openPod(join(folder, 'b'), { name: 'bb' });
    assert.equal(again.engine.appliedSeq, 1);
    await converse(a, again);
    assert.deepEqual(a.engine.durable.heads, again.engine.durable.heads);
    assert.ok(a.indexer.rows.has('mine/00'));
    for (const pod of [a, again]) await pod.close();
    const stranger = await openPod(join(folder, 'c'), { name: 'cc', network: Uint8Array.from([7]) });
    await assert.rejects(stranger.engine.adoptSnapshot(snapshot), isProtocol);
    await stranger.close();
  }));

test('who missed little of a large tree is told little, not the whole document again', () =>
  withFolder(async (folder) => {
    const [a, b] = await pair(folder);
    const total = 2_560;
    // Smaller than real ones, as the tree is.
    const size = Math.min(total, LIMITS.groupOperationsMax / 8);
    for (let made = 0; made < total; made += size) {
      const { appliedSeq } = a.engine;
      const group = Array.from({ length: size }, (_, n) => {
        const [bucket, index] = [(made + n) >> 8, (made + n) & 255];
        const inode = `many${bucket}/${index.toString(16).padStart(2, '0')}`;
        const content = `c${sha256(Buffer.from(inode))}`;
        return operation(appliedSeq + 1 + n, [created(inode, `file-${made + n}`, content)], appliedSeq);
      });
      a.engine.apply(group);
    }
    await converse(a, b);
    await a.engine.disconnect('peer-a');
    await b.engine.disconnect('peer-b');
    a.apply(created('one/01', 'second'));
    a.apply(created('one/02', 'third'));
    let bytes = 0;
    const told = async () => {
      const message = await a.engine.generate('peer-b');
      bytes += message?.length ?? 0;
      if (message !== undefined) await b.engine.receive('peer-a', message);
      const answer = await b.engine.generate('peer-a');
      if (answer !== undefined) await a.engine.receive('peer-b', answer);
      return message !== undefined || answer !== undefined;
    };
    while (await told());
    assert.deepEqual(b.engine.durable.heads, a.engine.durable.heads);
    assert.ok(bytes < 4_000, `${bytes} bytes for two small changes`);
    for (const pod of [a, b]) await pod.close();
  }));

test('an operation of a joiner waits in the journal: nothing goes into an unfounded document', () =>
  withFolder(async (folder) => {
    const joiner = await openPod(folder, { name: 'bb' });
    assert.throws(() => joiner.engine.apply([operation(1, [created('one/00', 'x')])]), { code: 'busy' });
    assert.equal(joiner.engine.appliedSeq, 0);
    await joiner.close();
  }));

test('pods that exchange at random end in the same document, and each index equals it', async () => {
  const step = fc.tuple(fc.nat(2), fc.nat(5), fc.nat(3));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) =>
      withFolder(async (folder) => {
        const pods = [
          await openPod(join(folder, 'a')),
          await openPod(join(folder, 'b'), { name: 'bb' }),
          await openPod(join(folder, 'c'), { name: 'cc' }),
        ] as [Pod, Pod, Pod];
        await meetAll(pods);
        for (const [n, [who, inode, what]] of steps.entries()) await act(pods, who, `one/0${inode}`, what, n);
        await meetAll(pods);
        await meetAll(pods);
        for (const pod of pods) {
          assert.deepEqual(pod.engine.durable.heads, pods[0].engine.durable.heads);
          const rows = [...pod.indexer.reader.all()]
            .map(({ inode }) => inode)
            .map((id) => [id, pod.read(id)] as const);
          assert.deepEqual(new Map(rows), new Map([...pod.indexer.rows]));
          assert.deepEqual(new Map(rows), new Map([...pods[0].indexer.rows]));
        }
        for (const pod of pods) await pod.close();
      }),
    ),
    { numRuns: 8 },
  );
});

async function act(
  pods: readonly Pod[],
  who: number,
  inode: InodeId,
  what: number,
  n: number,
): Promise<void> {
  const pod = pods[who] as Pod;
  const now = pod.read(inode);
  const versions = now?.d.map(({ id }) => id) ?? [];
  if (what === 0) pod.apply(created(inode, `name-${n}`, `c${n}`));
  else if (what === 1) pod.apply({ inode, d: file(`c${n}`), replaces: versions.slice(-1) });
  else if (what === 2) pod.apply({ inode, x: { saw: [...(now?.l.map(({ id }) => id) ?? []), ...versions] } });
  else await converse(pod, pods[(who + 1) % pods.length] as Pod);
}

async function meetAll([a, b, c]: readonly [Pod, Pod, Pod]): Promise<void> {
  await converse(a, b);
  await converse(b, c);
  await converse(c, a);
}

test('the network id is in the document', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    await a.engine.settle();
    const document = automerge.create({ actor: 'dd' });
    document.applyChanges(a.sent);
    assert.deepEqual(document.get('_root', 'network'), NETWORK);
    assert.equal(Number(document.get('_root', 'v')), 1);
    assert.equal(Number(document.get('_root', 'epoch')), 0);
    await a.close();
  }));
