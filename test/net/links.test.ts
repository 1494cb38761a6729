import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodId } from '../../src/base/index.js';
import { temporaryIdentity } from '../../src/net/index.js';
import { linkedPair, linkTo, orderedIdentities, testPod, until } from './support.js';

test('two members link, and each knows the other by its key', async () => {
  const { a, b, toA, toB, stop } = await linkedPair();
  assert.equal(toB.peer, b.identity.pod);
  assert.equal(toA.peer, a.identity.pod);
  assert.equal(toB.address, b.address);
  assert.equal(toA.address, a.address, 'the accepting side knows where the dialling one listens');
  await until(() => toB.roundTripMs, 20_000, 'no heartbeat was answered');
  await stop();
  assert.equal(toB.open, false);
});

test('a stranger is refused, in either role', async () => {
  const a = testPod(new Set());
  const stranger = testPod(new Set([a.identity.pod]));
  await a.links.start();
  await stranger.links.start();
  stranger.links.dial(a.address);
  a.links.dial(stranger.address);
  await sleep(700);
  assert.deepEqual([...a.links.list(), ...stranger.links.list()], []);
  a.members.add(stranger.identity.pod);
  a.links.membersChanged();
  await linkTo(a, stranger);
  a.members.clear();
  a.links.membersChanged();
  await until(() => stranger.links.list().length === 0, 20_000, 'a removed member kept its link');
  await Promise.all([a.links.stop(), stranger.links.stop()]);
});

test('both sides dial at once, many times: one link is left, and it works both ways', async () => {
  for (let round = 0; round < 20; round++) {
    const members = new Set<PodId>();
    const [first, second] = orderedIdentities();
    const a = testPod(members, { identity: first });
    const b = testPod(members, { identity: second });
    members.add(first.pod).add(second.pod);
    for (const pod of [a, b]) pod.links.handle('echo', (_link, body) => body);
    await Promise.all([a.links.start(), b.links.start()]);
    a.links.dial(b.address);
    if (round % 4 > 0) await sleep(round);
    b.links.dial(a.address);
    const toB = await linkTo(a, b);
    const toA = await linkTo(b, a);
    await sleep(60);
    assert.equal(a.links.get(second.pod), toB, 'the link was replaced for nothing');
    assert.equal(b.links.get(first.pod), toA, 'the link was replaced for nothing');
    assert.deepEqual(await toB.request('echo', { round }), { round });
    assert.deepEqual(await toA.request('echo', [round]), [round]);
    await Promise.all([a.links.stop(), b.links.stop()]);
  }
});

test('a pod that was restarted is linked again at once, whichever side remembers', async () => {
  for (const order of [0, 1]) {
    const members = new Set<PodId>();
    const pair = orderedIdentities();
    const [mine, other] = order === 0 ? pair : [pair[1], pair[0]];
    const a = testPod(members, { identity: mine });
    const b = testPod(members, { identity: other });
    members.add(mine.pod).add(other.pod);
    await Promise.all([a.links.start(), b.links.start()]);
    const { port } = b.links;
    b.links.dial(a.address);
    await linkTo(a, b);
    await b.links.stop();
    await until(() => a.links.list().length === 0, 20_000, 'the link of a stopped pod stayed up');
    const again = testPod(members, { identity: other, port });
    await again.links.start();
    const started = performance.now();
    await linkTo(a, again);
    assert.ok(performance.now() - started < 15_000);
    await Promise.all([a.links.stop(), again.links.stop()]);
  }
});

test('a pod that dials itself, or the same pod by two addresses, has no link too many', async () => {
  const { a, b, toB, stop } = await linkedPair();
  a.links.dial(a.address);
  a.links.dial(`localhost:${b.links.port}`);
  await sleep(300);
  assert.deepEqual(a.links.list(), [toB]);
  await stop();
});

test('a busy port is named with its cure, and an address that is none is refused', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const port = (taken.address() as { port: number }).port;
  const pod = testPod(new Set(), { port });
  await assert.rejects(pod.links.start(), { code: 'port-busy', message: /--port/ });
  taken.close();
  for (const address of ['nowhere', 'host:', 'host:0', 'host:70000', 'a b:1', 'http://host:80']) {
    assert.throws(() => pod.links.dial(address), { code: 'invalid' });
  }
  assert.notEqual(temporaryIdentity().pod, pod.identity.pod);
});
