/**
 * Pods whose addresses are not what one would wish: two behind one address and one port, one that gets another address
 * while it runs, one whose cable comes and goes. Nothing multicasts between the networks.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Host, makeNetwork, type TestNetwork, translationMissing } from './namespaces.js';
import { endAll, eventually, TestPod } from './pods.js';

const missing = translationMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

const PORT = 7_001;
/** What is silent is given up after 15 s; a pod looks at its own addresses every ten. */
const AGAIN_WITHIN_MS = 60_000;

let folder: string;
let outside: TestNetwork;
let inside: TestNetwork;
/** alpha and delta are outside, beta and gamma behind the router. */
let pods: TestPod[];

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'wormhole-addresses-'));
  outside = makeNetwork(3, { multicast: false });
  const [first, second, router] = outside.hosts as [Host, Host, Host];
  inside = makeNetwork(2, { multicast: false, behind: router });
  const pod = (name: string, host: Host | undefined) => new TestPod(host, name, folder);
  const alpha = pod('alpha', first);
  const others = [pod('delta', second), pod('beta', inside.hosts[0]), pod('gamma', inside.hosts[1])];
  pods = [alpha, ...others];
  await alpha.create('addresses', { port: PORT });
  // All use one port, so that both that are inside seem to listen at the same address.
  const options = { port: PORT, address: `${first.address}:${PORT}` };
  await Promise.all(others.map((other) => other.join(alpha, options)));
});

after(async () => {
  if (skip) return;
  await endAll((pods ?? []).filter(({ pid }) => pid > 0));
  await inside?.remove();
  await outside?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Each is linked with each, and what each writes comes to all. */
async function allAgree(label: string): Promise<void> {
  await eventually(async () => {
    for (const pod of pods) {
      const { pods: others } = await pod.status();
      const links = others.map(({ name, link }) => `${name} ${link}`).sort();
      const wanted = pods.map(({ name }) => `${name} ${name === pod.name ? 'self' : 'up'}`).sort();
      assert.deepEqual(links, wanted, `${pod.name}${pod.logTail(15)}`);
    }
  }, AGAIN_WITHIN_MS);
  for (const pod of pods) writeFileSync(pod.path(`${label}-${pod.name}`), `${label} of ${pod.name}`);
  await eventually(() => {
    for (const reader of pods) {
      for (const { name } of pods)
        assert.equal(readFileSync(reader.path(`${label}-${name}`), 'utf8'), `${label} of ${name}`);
    }
  }, AGAIN_WITHIN_MS);
}

async function addressOf(pod: TestPod, seenBy: TestPod): Promise<string | null | undefined> {
  return (await seenBy.status()).pods.find(({ name }) => name === pod.name)?.address;
}

test('two pods behind one address and one port link with all that are outside', { skip }, async () => {
  await allAgree('behind');
  const [alpha, , beta, gamma] = pods as [TestPod, TestPod, TestPod, TestPod];
  const router = `${outside.hosts[2]?.address}:${PORT}`;
  assert.deepEqual([await addressOf(beta, alpha), await addressOf(gamma, alpha)], [router, router]);
});

test('a pod that gets another address is found again, also by those that it cannot call', {
  skip,
}, async () => {
  const [alpha, , beta] = pods as [TestPod, TestPod, TestPod];
  const host = outside.hosts[0] as Host;
  const renewed = '10.77.0.99';
  host.renumber(renewed);
  await eventually(async () => {
    assert.equal(await addressOf(alpha, beta), `${renewed}:${PORT}`, beta.logTail(15));
  }, AGAIN_WITHIN_MS);
  await allAgree('renumbered');
});

test('a cable that comes and goes', { skip }, async () => {
  const host = outside.hosts[0] as Host;
  const [alpha] = pods as [TestPod];
  for (let round = 0; round < 6; round++) {
    if (round % 2 === 0) host.cut(round === 2 ? 'switch' : 'cable');
    else host.heal();
    writeFileSync(alpha.path(`flapping-${round}`), `${round}`);
    await delay(400);
  }
  await allAgree('flapping');
});
