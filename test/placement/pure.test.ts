import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PodId, sha256, silentLog, systemClock } from '../../src/base/index.js';
import { defaultNetworkConfig, Policies, parseNetworkConfig } from '../../src/config/index.js';
import type { ChunkRef } from '../../src/content/index.js';
import type { Member } from '../../src/membership/index.js';
import { tally } from '../../src/placement/copies.js';
import { Doubts } from '../../src/placement/doubts.js';
import {
  belongsHere,
  type Candidate,
  candidatesOf,
  holders,
  type Layout,
  layoutOf,
  plainLayouts,
  plan,
} from '../../src/placement/index.js';
import { Testimony } from '../../src/placement/testimony.js';
import fc from '../property.js';

const podOf = (i: number): PodId => sha256(Buffer.from(`pod ${i}`));
const chunkOf = (i: number): string => sha256(Buffer.from(`chunk ${i}`));
const candidateOf = (i: number, weight = 1e12, zone?: string, media?: string): Candidate => ({
  id: podOf(i),
  name: `pod-${i}`,
  role: 'storage',
  weight,
  ...(zone === undefined ? {} : { zone }),
  ...(media === undefined ? {} : { media }),
});
const pods = (count: number): Candidate[] => Array.from({ length: count }, (_, i) => candidateOf(i));
const common = new Policies(defaultNetworkConfig()).common;
const plain = (self: PodId, candidates: readonly Candidate[], copies: number): Layout =>
  layoutOf(self, candidates, { ...common, copies });
const holdersOf = (id: string, candidates: readonly Candidate[], copies: number) =>
  holders(id, plain(podOf(0), candidates, copies));
const someCandidates = fc
  .array(fc.record({ id: fc.nat(50), weight: fc.integer({ min: 1, max: 1000 }) }), { maxLength: 8 })
  .map((list) => [...new Map(list.map((c) => [c.id, candidateOf(c.id, c.weight * 1e9)])).values()]);

test('holders are distinct candidates, as many as asked for or as there are, whatever their order', () => {
  fc.assert(
    fc.property(someCandidates, fc.nat(), fc.integer({ min: 1, max: 5 }), (candidates, chunk, copies) => {
      const chosen = holdersOf(chunkOf(chunk), candidates, copies);
      assert.equal(chosen.length, Math.min(copies, candidates.length));
      assert.equal(new Set(chosen).size, chosen.length);
      assert.ok(chosen.every((pod) => candidates.some((candidate) => candidate.id === pod)));
      assert.deepEqual(holdersOf(chunkOf(chunk), [...candidates].reverse(), copies), chosen);
    }),
  );
});

test('fewer copies are the first of more copies', () => {
  fc.assert(
    fc.property(someCandidates, fc.nat(), (candidates, chunk) => {
      const all = holdersOf(chunkOf(chunk), candidates, 8);
      for (let copies = 1; copies <= 8; copies++) {
        assert.deepEqual(holdersOf(chunkOf(chunk), candidates, copies), all.slice(0, copies));
      }
    }),
  );
});

test('when a pod goes only what it held moves, when one comes only what it gets', () => {
  fc.assert(
    fc.property(someCandidates, fc.nat(), fc.integer({ min: 1, max: 4 }), (candidates, chunk, copies) => {
      const id = chunkOf(chunk);
      const before = holdersOf(id, candidates, copies);
      for (const gone of candidates) {
        const after = holdersOf(
          id,
          candidates.filter((candidate) => candidate !== gone),
          copies,
        );
        if (before.includes(gone.id)) {
          assert.deepEqual(
            after.slice(0, before.length - 1),
            before.filter((pod) => pod !== gone.id),
          );
        } else assert.deepEqual(after, before);
      }
    }),
  );
});

test('the share of each pod is in proportion to its weight', () => {
  const candidates = [1, 1, 2, 4].map((weight, i) => candidateOf(i, weight * 1e12));
  const counts = new Map<PodId, number>();
  const chunks = 40_000;
  for (let i = 0; i < chunks; i++) {
    const [first = ''] = holdersOf(chunkOf(i), candidates, 1);
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  for (const { id, weight } of candidates) {
    const expected = (chunks * weight) / 8e12;
    assert.ok(
      Math.abs((counts.get(id) ?? 0) - expected) < expected * 0.06,
      `${counts.get(id)} of ${expected}`,
    );
  }
});

test('pods hold equal shares of two copies, and every pair of pods shares some', () => {
  const candidates = pods(6);
  const pairs = new Map<string, number>();
  for (let i = 0; i < 15_000; i++) {
    const key = [...holdersOf(chunkOf(i), candidates, 2)].sort().join();
    pairs.set(key, (pairs.get(key) ?? 0) + 1);
  }
  assert.equal(pairs.size, 15);
  for (const count of pairs.values()) assert.ok(Math.abs(count - 1000) < 150, `${count}`);
});

test('the choice is part of the protocol: it stays as it is', () => {
  const chosen = [0, 1, 2, 3, 4].map((i) =>
    holdersOf(chunkOf(i), pods(5), 2).map((id) => pods(5).findIndex((p) => p.id === id)),
  );
  assert.deepEqual(chosen, [
    [4, 2],
    [3, 0],
    [0, 4],
    [0, 2],
    [4, 2],
  ]);
});

test('portals hold nothing, by membership or by declaration', () => {
  const member = (i: number, name: string, role: Member['role']): Member => ({
    id: podOf(i),
    name,
    role,
    addedBy: podOf(0),
    addedAt: 0,
  });
  const members = [member(0, 'nas', 'storage'), member(1, 'laptop', 'portal'), member(2, 'desk', 'storage')];
  assert.equal(candidatesOf(members, defaultNetworkConfig()).length, 2);
  const config = parseNetworkConfig(
    'pods: { nas: { capacity: 4TB }, laptop: { role: storage }, desk: { role: portal } }',
  );
  assert.deepEqual(
    new Set(candidatesOf(members, config)),
    new Set([
      { id: podOf(0), name: 'nas', role: 'storage', weight: 4e12 },
      { id: podOf(1), name: 'laptop', role: 'storage', weight: 1e12 },
    ]),
  );
});

test('a plan that was carried out leaves nothing to do', () => {
  const chunk = fc.record({ n: fc.nat(30), hole: fc.boolean() });
  const chunks = fc
    .array(chunk)
    .map((list): ChunkRef[] => list.map(({ n, hole }) => ({ id: hole ? '' : chunkOf(n), length: n + 1 })));
  fc.assert(
    fc.property(
      someCandidates,
      chunks,
      fc.integer({ min: 1, max: 4 }),
      fc.nat(50),
      (candidates, refs, copies, self) => {
        const layout = plain(podOf(self), candidates, copies);
        const kept = new Set<string>();
        const actions = plan(refs, layout, (id) => kept.has(id));
        assert.equal(new Set(actions.map((action) => action.id)).size, actions.length);
        for (const action of actions) {
          assert.ok(belongsHere(action.id, layout));
          kept.add(action.id);
        }
        assert.deepEqual(
          plan(refs, layout, (id) => kept.has(id)),
          [],
        );
      },
    ),
  );
});

test('copies are counted by who should hold a chunk, and by this pod while it keeps it', () => {
  const candidates = pods(4);
  const id = chunkOf(1);
  const [first, second, third] = holdersOf(id, candidates, 4) as [PodId, PodId, PodId, PodId];
  const layout = (self: PodId) => plain(self, candidates, 2);
  const has = (...who: PodId[]) => new Map(who.map((pod) => [pod, [true]]));
  assert.equal(tally([id], has(first, second), layout(first)).held, 2);
  assert.equal(tally([id], has(second, third), layout(second)).held, 1, 'third may drop it');
  assert.equal(tally([id], has(second, third), layout(third)).held, 2, 'third keeps it');
  assert.equal(tally([id], has(podOf(9)), layout(podOf(9))).held, 0, 'a portal');
  assert.deepEqual(tally([id, chunkOf(2)], has(first), layout(second)).whole, []);
  assert.equal(tally([id, chunkOf(2)], has(first), layout(second)).short, 2);
});

test('what others hold is in doubt until they have said so', () => {
  const three = parseNetworkConfig('copies: 3');
  const layouts = plainLayouts(podOf(0), pods(3), three);
  const doubts = new Doubts();
  assert.equal(doubts.count(layouts, 10), 10, 'nobody has spoken');
  doubts.settle(podOf(1));
  assert.equal(doubts.count(layouts, 10), 10, 'one has not');
  doubts.settle(podOf(2));
  assert.equal(doubts.count(layouts, 10), 0);
  doubts.raise([`c${chunkOf(1)}`, `c${chunkOf(1)}`, `m${chunkOf(2)}`, '']);
  assert.equal(doubts.count(layouts, 12), 2);
  doubts.settle(podOf(1));
  assert.equal(doubts.count(layouts, 12), 2);
  doubts.settle(podOf(2));
  assert.equal(doubts.count(layouts, 12), 0);
  doubts.reset();
  assert.equal(doubts.count(layouts, 12), 12);
  assert.equal(doubts.count(plainLayouts(podOf(0), pods(1), three), 12), 0, 'nobody else should hold any');
});

test('a pod that spoke of an older version places alike, but nobody counts on what it holds of the newest', () => {
  const config = parseNetworkConfig('copies: 2');
  const members = [0, 1, 2].map(
    (i): Member => ({ id: podOf(i), name: `pod-${i}`, role: 'storage', addedBy: podOf(0), addedAt: 0 }),
  );
  const layouts = plainLayouts(podOf(0), candidatesOf(members, config), config);
  const said = new Map<PodId, string[]>();
  const of = (linked: PodId[]) =>
    new Testimony({
      tree: {
        heads: () => ['new'],
        commit: async () => ['new'],
        counts: () => assert.fail('nothing is counted here'),
      },
      membership: { self: podOf(0), members: () => members },
      peers: { linked: () => linked, settledAt: (pod) => said.get(pod), whenSettled: async () => {} },
      outlook: { layouts, config },
      clock: systemClock,
      log: silentLog,
    });
  const all = of([podOf(1), podOf(2)]);
  const word = () => [all.othersPlaceAlike(), all.othersAgree()];
  said.set(podOf(1), [layouts.fingerprint, 'new']).set(podOf(2), [layouts.fingerprint, 'new']);
  assert.deepEqual(word(), [true, true]);
  said.set(podOf(2), [layouts.fingerprint, 'old']);
  assert.deepEqual(word(), [true, false]);
  said.set(podOf(2), ['another layout', 'new']);
  assert.deepEqual(word(), [false, false]);
  said.set(podOf(2), []);
  assert.deepEqual(word(), [false, false], 'it took its word back');
  assert.equal(of([podOf(1)]).othersPlaceAlike(), false, 'one is away');
});
