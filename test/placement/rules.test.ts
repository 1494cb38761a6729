/** Where rules put things, and what moves when pods come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PodId, sha256 } from '../../src/base/index.js';
import { type NetworkConfig, parseNetworkConfig } from '../../src/config/index.js';
import type { ChunkRef } from '../../src/content/index.js';
import type { Member } from '../../src/membership/index.js';
import { copiesWanted } from '../../src/placement/copies.js';
import {
  belongsHere,
  candidatesOf,
  FlowCount,
  holders,
  type Layout,
  type Layouts,
  plainLayouts,
  plan,
} from '../../src/placement/index.js';
import { holdersWithStandIns } from '../../src/placement/rendezvous.js';
import fc from '../property.js';

const podOf = (name: string): PodId => sha256(Buffer.from(`pod ${name}`));
const chunkOf = (i: number): string => sha256(Buffer.from(`chunk ${i}`));

/** The layouts of a network with these pods, and their names by id. */
function network(config: NetworkConfig, names: Iterable<string> = config.pods.keys()) {
  const list = [...names];
  const byId = new Map(list.map((name) => [podOf(name), name]));
  const layouts = layoutsOf(config, podOf(list[0] ?? ''), list);
  const at = (path: string, chunk: number, ageMs = 0) =>
    holders(chunkOf(chunk), layouts.of({ path, ageMs })).map((id) => byId.get(id) ?? '');
  return { layouts, at };
}

/** As one of these pods has them. */
function layoutsOf(
  config: NetworkConfig,
  self: PodId,
  names: Iterable<string> = config.pods.keys(),
): Layouts {
  const members = [...names].map(
    (name): Member => ({ id: podOf(name), name, role: 'storage', addedBy: podOf(name), addedAt: 0 }),
  );
  return plainLayouts(self, candidatesOf(members, config), config);
}

const CHUNKS = 300;
const each = (check: (chunk: number) => void) => {
  for (let i = 0; i < CHUNKS; i++) check(i);
};

test('copies stand in as many zones as the rule asks for, and where there are too few, in all there are', () => {
  const config = parseNetworkConfig(`copies: 3
pods: { a: { zone: x }, b: { zone: x }, c: { zone: x }, d: { zone: y }, e: {} }
rules: [{ path: /two/**, zones: 2 }, { path: /three/**, zones: 3 }]
`);
  const { at } = network(config);
  const zoneOf = (name: string) => config.pods.get(name)?.zone;
  const zones = (names: string[]) => new Set(names.map(zoneOf).filter((zone) => zone !== undefined)).size;
  let together = 0;
  each((chunk) => {
    assert.equal(new Set(at('/two/f', chunk)).size, 3);
    assert.equal(zones(at('/two/f', chunk)), 2);
    assert.equal(at('/three/f', chunk).length, 3, 'rather three copies in two zones than fewer');
    assert.equal(zones(at('/three/f', chunk)), 2);
    if (zones(at('/plain', chunk)) < 2) together++;
  });
  assert.ok(together > 0, 'without the rule some copies stand together');
});

test('what is required is held by no other, what is preferred by others only for want of more', () => {
  const { at } = network(
    parseNetworkConfig(`copies: 2
pods: { a: { media: ssd }, b: { media: ssd }, c: { media: hdd }, d: { media: hdd }, one: { media: tape } }
rules:
  - { path: /fast/**, prefer: { media: ssd } }
  - { path: /tape/**, prefer: { media: tape } }
  - { path: /old/**, require: { media: [hdd, tape] } }
  - { path: /glacier/**, require: { media: glass } }
  - { path: /pinned/**, pin: d, copies: 1 }
  - { path: /both/**, pin: [a, b, c], copies: 2 }
  - { path: /mine/**, ignore: true }
`),
  );
  each((chunk) => {
    assert.deepEqual(at('/fast/f', chunk).sort(), ['a', 'b']);
    assert.equal(at('/tape/f', chunk)[0], 'one');
    assert.equal(at('/tape/f', chunk).length, 2);
    assert.ok(at('/old/f', chunk).every((name) => ['c', 'd', 'one'].includes(name)));
    assert.deepEqual(at('/glacier/f', chunk), []);
    assert.deepEqual(at('/pinned/f', chunk), ['d']);
    assert.deepEqual(at('/both/f', chunk).sort(), ['a', 'b', 'c'], 'a pin is never one copy too many');
    assert.deepEqual(at('/mine/f', chunk), []);
  });
});

test('affinity prefers one kind of pod while a file is young, and another once it is old', () => {
  const { at } = network(
    parseNetworkConfig(`copies: 1
pods: { a: { media: ssd }, b: { media: ssd }, c: { media: hdd } }
rules: [{ path: /posts/**, affinity: { hot: { media: ssd }, cold: { media: hdd, after: 30d } } }]
`),
  );
  const day = 86_400_000;
  each((chunk) => {
    assert.notEqual(at('/posts/f', chunk, 29 * day)[0], 'c');
    assert.deepEqual(at('/posts/f', chunk, 30 * day), ['c']);
  });
});

const someNetwork = fc
  .record({
    pods: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
        zone: fc.constantFrom('x', 'y', undefined),
        media: fc.constantFrom('ssd', 'hdd', undefined),
        capacity: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 1, maxLength: 6, selector: (pod) => pod.name },
    ),
    copies: fc.integer({ min: 1, max: 4 }),
    zones: fc.integer({ min: 1, max: 3 }),
    prefer: fc.constantFrom('ssd', undefined),
    require: fc.constantFrom('hdd', undefined),
  })
  .map(({ pods, copies, zones, prefer, require }) => {
    const word = (key: string, value: string | undefined) =>
      value === undefined ? '' : `${key}: ${value}, `;
    const label = (key: string, value: string | undefined) =>
      value === undefined ? '' : `, ${key}: { media: ${value} }`;
    const lines = pods.map(
      ({ name, zone, media, capacity }) =>
        `  ${name}: { ${word('zone', zone)}${word('media', media)}capacity: ${capacity}TB }`,
    );
    const rule = `{ path: /r, copies: ${copies}, zones: ${Math.min(zones, copies)}${label('prefer', prefer)}${label('require', require)} }`;
    return parseNetworkConfig(`copies: ${copies}\npods:\n${lines.join('\n')}\nrules: [${rule}]\n`);
  });

/** What every pod does by itself: it makes what it lacks, then lets go of what enough others hold. */
function carryOut(
  layouts: readonly Layout[],
  chunks: readonly ChunkRef[],
  holdings: Map<PodId, Set<string>>,
) {
  const heldBy = (pod: PodId) => holdings.get(pod) ?? new Set();
  let [made, dropped] = [0, 0];
  for (const layout of layouts) {
    for (const { id } of plan(chunks, layout, (chunk) => heldBy(layout.self).has(chunk))) {
      heldBy(layout.self).add(id);
      made++;
    }
  }
  for (const layout of layouts) {
    for (const { id } of chunks) {
      if (!heldBy(layout.self).has(id) || belongsHere(id, layout)) continue;
      const others = holders(id, layout).filter((pod) => pod !== layout.self && heldBy(pod).has(id));
      if (others.length < copiesWanted(layout)) continue;
      heldBy(layout.self).delete(id);
      dropped++;
    }
  }
  return { made, dropped };
}

test('a plan that was carried out leaves nothing to do, whatever the rules and wherever things were', () => {
  const chunks = [1, 2, 3, 4].map((i): ChunkRef => ({ id: chunkOf(i), length: i }));
  const subset = fc.subarray([0, 1, 2, 3]);
  const start = fc.tuple(subset, subset, subset, subset, subset, subset);
  fc.assert(
    fc.property(someNetwork, start, (config, held) => {
      const pods = [...config.pods.keys()].map(podOf);
      const holdings = new Map(
        pods.map((pod, i) => [pod, new Set((held[i] ?? []).map((at) => chunks[at]?.id ?? ''))]),
      );
      const layouts = pods.map((pod) => layoutsOf(config, pod).of({ path: '/r/f', ageMs: 0 }));
      carryOut(layouts, chunks, holdings);
      assert.deepEqual(carryOut(layouts, chunks, holdings), { made: 0, dropped: 0 });
      for (const { id } of chunks) {
        const there = pods.filter((pod) => holdings.get(pod)?.has(id));
        const [layout] = layouts as [Layout];
        const wanted = holders(id, layout);
        assert.ok(wanted.every((pod) => there.includes(pod)));
        // Where no pod is allowed, nobody makes a copy, and the last one is let go of by nobody.
        if (wanted.length > 0) assert.equal(there.length, copiesWanted(layout));
      }
      const flow = new FlowCount();
      const [at] = layouts as [Layout];
      for (const { id } of chunks) flow.add({ content: `c${id}`, size: 1 }, at, at);
      assert.deepEqual([flow.flow.make.copies, flow.flow.drop.copies], [0, 0], 'and the plan says so');
    }),
  );
});

test("what belongs where in a folder is what belongs there path by path, whatever the files' ages and their order", () => {
  const path = fc.constantFrom('/', '/a', '/a/b', '/a/*', '**/b', '/a/?', '/a/b/c');
  const affinity = ', affinity: { hot: { media: ssd }, cold: { media: hdd, after: 1h } }';
  const rule = fc.record({
    path,
    more: fc.constantFrom('', affinity, ', affinity: { hot: { media: ssd } }', ', prefer: { media: hdd }'),
  });
  const HOUR_MS = 3_600_000;
  const file = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    ageMs: fc.constantFrom(0, HOUR_MS - 1, HOUR_MS, 9 * HOUR_MS),
  });
  const rules = fc.uniqueArray(rule, { maxLength: 4, selector: ({ path }) => path });
  const folders = fc.constantFrom('', '/a', '/a/b', '/b');
  const pins = fc.subarray(['/a', '/a/b', '/a/b/c', '/b']);
  fc.assert(
    fc.property(rules, folders, pins, fc.array(file, { maxLength: 8 }), (written, folder, pinned, files) => {
      const lines = written.map(({ path, more }, i) => `  - { path: "${path}", copies: ${i + 1}${more} }\n`);
      const config = parseNetworkConfig(lines.length === 0 ? '' : `rules:\n${lines.join('')}`);
      const self = podOf('p');
      const member: Member = { id: self, name: 'p', role: 'storage', addedBy: self, addedAt: 0 };
      const layouts = plainLayouts(self, candidatesOf([member], config), config, pinned);
      const inFolder = layouts.inFolder(folder);
      for (const { name, ageMs } of files)
        assert.equal(inFolder(name, ageMs), layouts.of({ path: `${folder}/${name}`, ageMs }));
    }),
    { numRuns: 300 },
  );
});

test('a copy that stays is never moved: what a pod that goes did not hold stays where it is', () => {
  fc.assert(
    fc.property(someNetwork, fc.nat(), (config, chunk) => {
      const before = network(config).at('/r/f', chunk);
      for (const gone of config.pods.keys()) {
        if (before.includes(gone)) continue;
        const left = [...config.pods.keys()].filter((name) => name !== gone);
        const zone = config.pods.get(gone)?.zone;
        // With the last pod of a zone goes the wish for that zone.
        if (zone !== undefined && !left.some((name) => config.pods.get(name)?.zone === zone)) continue;
        assert.deepEqual(network(config, left).at('/r/f', chunk).sort(), [...before].sort());
      }
    }),
  );
});

test('a pod that comes gets its share, and hardly more moves', () => {
  const chunks = 20_000;
  for (const n of [2, 3, 5, 8]) {
    const names = Array.from({ length: n + 1 }, (_, i) => `p${i}`);
    const config = parseNetworkConfig('copies: 2');
    const [before, after] = [network(config, names.slice(0, n)), network(config, names)];
    let moved = 0;
    for (let i = 0; i < chunks; i++) {
      const held = new Set(before.at('/', i));
      moved += after.at('/', i).filter((name) => !held.has(name)).length;
    }
    const share = moved / (2 * chunks);
    assert.ok(share <= 1.1 / (n + 1), `${share} of the bytes moved to pod ${n + 1}`);
    assert.ok(share >= 0.9 / (n + 1), `pod ${n + 1} got only ${share}`);
  }
});

test('a full pod keeps what falls to it, and the next one stands in behind it', () => {
  const config = parseNetworkConfig('copies: 2');
  const members = ['a', 'b', 'c', 'd'].map(
    (name): Member => ({ id: podOf(name), name, role: 'storage', addedBy: '', addedAt: 0 }),
  );
  const layout = (full: string) =>
    plainLayouts(
      '',
      candidatesOf(
        members,
        config,
        () => false,
        (id) => id === podOf(full),
      ),
      config,
    ).common;
  const [none, some] = [layout('nobody'), layout('a')];
  each((chunk) => {
    const [before, after] = [holders(chunkOf(chunk), none), holders(chunkOf(chunk), some)];
    assert.deepEqual(after.slice(0, 2), before, 'nothing moves that is where it belongs');
    const { full, standIns } = holdersWithStandIns(chunkOf(chunk), some);
    assert.deepEqual(
      full,
      before.filter((id) => id === podOf('a')),
    );
    assert.equal(standIns.length, full.length);
    const third = holders(chunkOf(chunk), { ...none, copies: 3 })[2];
    if (full.length > 0) assert.deepEqual(standIns, [third], 'the next one in the order');
  });
});

test('pods that place alike know it, and others do not', () => {
  const of = (text: string): Layouts => network(parseNetworkConfig(text), ['a', 'b', 'c']).layouts;
  const base = of('copies: 2').fingerprint;
  assert.equal(of('# a comment\nhistory: 1d\ncrisis: { grace: 1m }').fingerprint, base);
  for (const other of [
    'copies: 3',
    'pods: { a: { zone: x } }',
    'rules: [{ path: /a, copies: 1 }]',
    'pods: { a: { capacity: 0B } }',
  ]) {
    assert.notEqual(of(other).fingerprint, base, other);
  }
});
