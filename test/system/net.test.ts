import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, makeNetwork, namespacesMissing, type TestNetwork } from './namespaces.js';

interface Event {
  event: string;
  pod?: string;
  peer?: string;
  body?: string;
  atMs: number;
}

/** A pod in a namespace, and what it has said. */
class Pod {
  readonly events: Event[] = [];
  private readonly process: ChildProcess;

  constructor(host: Host, keyFile: string, ...words: string[]) {
    const program = join(import.meta.dirname, 'net-pod.js');
    this.process = host.spawn(process.execPath, [program, keyFile, ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.process;
    assert.ok(stdout !== null);
    createInterface({ input: stdout }).on('line', (line) => {
      this.events.push({ ...JSON.parse(line), atMs: performance.now() });
    });
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  /** The first such event at or after `sinceMs`. */
  async event(name: string, withinMs: number, sinceMs = 0): Promise<Event> {
    const end = performance.now() + withinMs;
    while (performance.now() < end) {
      const found = this.events.find((event) => event.event === name && event.atMs >= sinceMs);
      if (found !== undefined) return found;
      await sleep(10);
    }
    throw new Error(`no ${name} within ${withinMs} ms: ${JSON.stringify(this.events)}`);
  }
}

const missing = namespacesMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);
const skip = missing ?? false;

let network: TestNetwork | undefined;
let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'wormhole-net-'));
});
afterEach(async () => {
  await network?.remove();
});
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function startPods(hosts: readonly Host[], names: string[], networks: string[]): Promise<Pod[]> {
  const pods = names.map((name, index) => {
    const host = hosts[index % hosts.length];
    assert.ok(host !== undefined);
    return new Pod(host, join(folder, `${name}.pem`), networks[index] ?? '');
  });
  await Promise.all(pods.map((pod) => pod.event('started', 10_000)));
  return pods;
}

test('pods of one network find each other by mDNS, and only they', { skip }, async () => {
  network = makeNetwork(3);
  const [a, b, other] = (await startPods(network.hosts, ['a', 'b', 'other'], ['one', 'one', 'two'])) as [
    Pod,
    Pod,
    Pod,
  ];
  const started = Math.max(a.events[0]?.atMs ?? 0, b.events[0]?.atMs ?? 0);
  const up = await a.event('up', 5_000);
  await b.event('up', 5_000);
  console.log(`link up ${Math.round(up.atMs - started)} ms after both pods had started`);
  assert.ok(up.atMs - started < 2_000);
  assert.equal(up.peer, b.events[0]?.pod);
  a.say(`echo ${up.peer}`);
  assert.equal((await a.event('echo', 2_000)).body, up.peer);
  assert.equal(
    other.events.some((event) => event.event === 'up'),
    false,
    'linked with another network',
  );
});

test('a cut at the cable or at the switch is noticed in time, and healed soon', { skip }, async () => {
  const networks = [makeNetwork(2), makeNetwork(2)] as const;
  try {
    await Promise.all([cutAndHeal(networks[0], 'cable'), cutAndHeal(networks[1], 'switch')]);
  } finally {
    await Promise.all(networks.map((each) => each.remove()));
  }
});

async function cutAndHeal({ hosts }: TestNetwork, where: 'cable' | 'switch'): Promise<void> {
  const [a, b] = (await startPods(hosts, [`a-${where}`, `b-${where}`], ['one', 'one'])) as [Pod, Pod];
  await Promise.all([a.event('up', 5_000), b.event('up', 5_000)]);
  const cutAt = performance.now();
  hosts[1]?.cut(where);
  const downs = await Promise.all([a.event('down', 20_000), b.event('down', 20_000)]);
  const downMs = downs.map((down) => Math.round(down.atMs - cutAt));
  for (const ms of downMs) assert.ok(ms < 17_500, `${where}: noticed after ${ms} ms`);
  const healedAt = performance.now();
  hosts[1]?.heal();
  const ups = await Promise.all([a.event('up', 10_000, healedAt), b.event('up', 10_000, healedAt)]);
  const healMs = Math.round(Math.max(...ups.map((up) => up.atMs - healedAt)));
  console.log(`${where}: down after ${downMs} ms, up ${healMs} ms after healing`);
  assert.ok(healMs < 6_500, `${where}: linked again only after ${healMs} ms`);
}

test('a short cut is bridged, and a killed pod is linked again at once', { skip }, async () => {
  network = makeNetwork(2);
  const [a, b] = (await startPods(network.hosts, ['a', 'b'], ['one', 'one'])) as [Pod, Pod];
  await Promise.all([a.event('up', 5_000), b.event('up', 5_000)]);
  network.hosts[1]?.cut('switch');
  await sleep(9_000);
  const healedAt = performance.now();
  network.hosts[1]?.heal();
  await sleep(1_000);
  let answered = 0;
  while (answered === 0 && performance.now() - healedAt < 8_000) {
    a.say(`echo ${b.events[0]?.pod}`);
    await sleep(250);
    answered = a.events.find((event) => event.event === 'echo')?.atMs ?? 0;
  }
  console.log(`after 9 s of silence, an answer ${Math.round(answered - healedAt)} ms after healing`);
  assert.ok(answered > 0 && answered - healedAt < 6_500);
  b.kill();
  const killedAt = performance.now();
  await a.event('down', 3_000, killedAt);
  const [again] = (await startPods(network.hosts.slice(1), ['b'], ['one'])) as [Pod];
  const up = await a.event('up', 5_000, again.events[0]?.atMs);
  assert.ok(up.atMs - (again.events[0]?.atMs ?? 0) < 2_000);
});

test('a code joins a machine that knows no address, past pods of other networks', { skip }, async () => {
  network = makeNetwork(3);
  const [a, other] = (await startPods(network.hosts, ['a', 'other'], ['one', 'two'])) as [Pod, Pod];
  a.say('invite');
  const code = (await a.event('invited', 2_000)).body ?? '';
  const host = network.hosts[2];
  assert.ok(host !== undefined);
  const joiner = new Pod(host, join(folder, 'joiner.pem'), 'join', code);
  const started = await joiner.event('started', 10_000);
  const joined = await joiner.event('joined', 17_000);
  console.log(`joined ${Math.round(joined.atMs - started.atMs)} ms after the command`);
  assert.equal(joined.body, 'welcome test');
  const second = new Pod(host, join(folder, 'second.pem'), 'join', code);
  assert.match((await second.event('failed', 17_000)).body ?? '', /already used/);
  assert.ok(other.events.length > 0);
});

test('multicast packets tell nothing, and garbage in them harms nobody', { skip }, async () => {
  network = makeNetwork(3);
  const watcher = network.hosts[2]?.spawn(process.execPath, [join(import.meta.dirname, 'net-multicast.js')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.ok(watcher?.stdout);
  const packets: string[] = [];
  createInterface({ input: watcher.stdout }).on('line', (line) => packets.push(line));
  await sleep(300);
  const [a, b] = (await startPods(network.hosts, ['a', 'b'], ['secret-network', 'secret-network'])) as [
    Pod,
    Pod,
  ];
  await Promise.all([a.event('up', 5_000), b.event('up', 5_000)]);
  // The watcher sends thousands of malformed packets, ours with changed bytes among them.
  await sleep(4_000);
  a.say(`echo ${b.events[0]?.pod}`);
  await a.event('echo', 2_000);
  b.say(`echo ${a.events[0]?.pod}`);
  await b.event('echo', 2_000);
  assert.equal([...a.events, ...b.events].filter(({ event }) => event === 'down').length, 0);
  const ours = packets.filter((packet) => packet.includes('_wormhole'));
  assert.ok(ours.length >= 2, `saw only ${ours.length} of our packets`);
  const allowed = /^(_wormhole|_tcp|local|_services|_dns-sd|_udp|v=1|(salt=|short=)?[0-9a-f]{16})$/;
  for (const packet of ours) {
    // In a DNS message every name and text is its length and its bytes.
    for (const text of JSON.parse(packet).texts as string[]) assert.match(text, allowed);
  }
});

test('without a multicast route pods start, and find each other when there is one', { skip }, async () => {
  network = makeNetwork(2, { multicast: false });
  const [a, b] = (await startPods(network.hosts, ['a', 'b'], ['one', 'one'])) as [Pod, Pod];
  await sleep(1_500);
  assert.equal(
    a.events.some((event) => event.event === 'up'),
    false,
  );
  for (const host of network.hosts) host.run('ip', ['route', 'add', '224.0.0.0/4', 'dev', 'eth0']);
  const routed = performance.now();
  const up = await a.event('up', 25_000);
  await b.event('up', 25_000);
  console.log(`link up ${Math.round(up.atMs - routed)} ms after the route was there`);
});

test('pods that start without any network find each other when it comes', { skip }, async () => {
  network = makeNetwork(2);
  for (const host of network.hosts) host.run('ip', ['link', 'set', 'eth0', 'down']);
  const [a, b] = (await startPods(network.hosts, ['a', 'b'], ['one', 'one'])) as [Pod, Pod];
  await sleep(1_000);
  for (const host of network.hosts) {
    host.run('ip', ['link', 'set', 'eth0', 'up']);
    host.run('ip', ['route', 'add', '224.0.0.0/4', 'dev', 'eth0']);
  }
  const routed = performance.now();
  const up = await a.event('up', 10_000);
  await b.event('up', 10_000);
  console.log(`link up ${Math.round(up.atMs - routed)} ms after the network came`);
});
