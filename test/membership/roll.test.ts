import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCbor } from '../../src/base/cbor.js';
import { type PodId, sha256, systemRandom } from '../../src/base/index.js';
import { type Fact, parseFact, type Statement, signFact } from '../../src/membership/fact.js';
import { callTheRoll } from '../../src/membership/members.js';
import {
  encodeNetworkRecord,
  networkIdOf,
  newNetworkRecord,
  parseNetworkRecord,
} from '../../src/membership/network-record.js';
import { temporaryIdentity } from '../../src/net/identity.js';
import fc from '../property.js';

const identities = Array.from({ length: 6 }, temporaryIdentity);
const [founder, ada, bea, cid, dan] = identities.map((identity) => identity.pod) as [
  PodId,
  PodId,
  PodId,
  PodId,
  PodId,
];
const record = newNetworkRecord('atelier', founder, systemRandom);
const network = networkIdOf(record);

function bytesOf(by: PodId, statement: Statement, at = 1): Uint8Array {
  const identity = identities.find((candidate) => candidate.pod === by);
  assert.ok(identity);
  return signFact(statement, network, identity, at);
}

function fact(by: PodId, statement: Statement, at = 1): Fact {
  const parsed = parseFact(bytesOf(by, statement, at), network);
  assert.ok(parsed, 'a fact that was just signed must verify');
  return parsed;
}

function add(by: PodId, pod: PodId, name = pod.slice(0, 6)): Fact {
  return fact(by, { kind: 'add', pod, name, role: 'storage' });
}

function remove(by: PodId, pod: PodId, saw: Fact[] = []): Fact {
  return fact(by, { kind: 'remove', pod, saw: saw.map((seen) => seen.hash) });
}

function idsOf(facts: Fact[]): PodId[] {
  return [...callTheRoll(facts, founder).members.keys()].sort();
}

test('a chain of signatures from the founder makes a member, anything else does not', () => {
  const chain = [add(founder, founder, 'first'), add(founder, ada), add(ada, bea)];
  assert.deepEqual(idsOf(chain), [founder, ada, bea].sort());
  assert.deepEqual(idsOf([add(ada, bea)]), [founder], 'nobody let ada in');
  assert.deepEqual(idsOf([add(cid, cid), add(cid, dan), add(dan, cid)]), [founder], 'a ring of strangers');
  assert.equal(callTheRoll(chain, founder).members.get(founder)?.name, 'first');
});

test('a removed pod is out, whom it let in before stays, whom it lets in behind our backs does not', () => {
  const before = [add(founder, ada), add(ada, bea)];
  const late = add(ada, cid);
  const out = remove(founder, ada, before);
  assert.deepEqual(idsOf([...before, out]), [founder, bea].sort());
  assert.deepEqual(idsOf([...before, late, out]), [founder, bea].sort());
  assert.deepEqual(idsOf([...before, late, out, add(cid, ada)]), [founder, bea].sort());
  assert.deepEqual(idsOf([...before, out, add(founder, ada)]), [founder, bea].sort(), 'for good');
});

test('where pods remove one another at the same time the one nearer to the founder prevails', () => {
  const all = [add(founder, ada), add(ada, bea)];
  assert.deepEqual(idsOf([...all, remove(ada, bea, all), remove(bea, ada, all)]), [founder, ada].sort());
  assert.deepEqual(
    idsOf([...all, remove(bea, founder, all), remove(founder, bea, all)]),
    [founder, ada].sort(),
  );
});

test('a founder can go and the network lives on', () => {
  const all = [add(founder, ada), add(ada, bea)];
  assert.deepEqual(idsOf([...all, remove(ada, founder, all)]), [ada, bea].sort());
});

test('two pods let in under one name are told apart', () => {
  const names = [
    ...callTheRoll([add(founder, ada, 'nas'), add(founder, bea, 'nas')], founder).members.values(),
  ]
    .map((member) => member.name)
    .filter((name) => name.startsWith('nas'));
  assert.equal(new Set(names).size, 2);
});

test('the newest declaration of a member counts, that of a stranger does not', () => {
  const declare = (by: PodId, text: string, number: number) => fact(by, { kind: 'config', text, number });
  const all = [add(founder, ada), declare(founder, 'one', 1), declare(ada, 'two', 2), declare(cid, 'no', 9)];
  assert.equal(callTheRoll(all, founder).config?.text, 'two');
});

test('a number out of the blue does not count, and leaves room for the next one', () => {
  const declare = (by: PodId, text: string, number: number) => fact(by, { kind: 'config', text, number });
  const all = [add(founder, ada), declare(founder, 'one', 1), declare(ada, 'evil', Number.MAX_SAFE_INTEGER)];
  for (const number of [0, -1, 3, 2 ** 40]) all.push(declare(ada, 'evil', number));
  const roll = callTheRoll(all, founder);
  assert.equal(roll.config?.text, 'one');
  assert.equal(roll.nextNumber, 2);
  all.push(declare(founder, 'two', roll.nextNumber));
  // It has made 3 the next one to follow, no more than that.
  assert.equal(callTheRoll(all, founder).nextNumber, 4);
  all.push(declare(founder, 'four', 4));
  assert.equal(callTheRoll(all, founder).config?.text, 'four');
});

test('the roll does not depend on the order of the facts', () => {
  const pods = identities.map((identity) => identity.pod);
  const pick = fc.constantFrom(...pods);
  const made = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(pick, pick).map(([by, pod]) => add(by, pod)) },
    { weight: 1, arbitrary: fc.tuple(pick, pick).map(([by, pod]) => remove(by, pod)) },
  );
  fc.assert(
    fc.property(fc.array(made, { maxLength: 14 }), fc.infiniteStream(fc.nat()), (facts, weights) => {
      const shuffled = facts
        .map((value) => ({ value, weight: weights.next().value }))
        .sort((a, b) => a.weight - b.weight)
        .map(({ value }) => value);
      assert.deepEqual(callTheRoll(shuffled, founder), callTheRoll(facts, founder));
      assert.deepEqual(callTheRoll([...facts, ...shuffled], founder), callTheRoll(facts, founder));
    }),
    { numRuns: 150 },
  );
});

test('members are only ever those whom somebody on the roll, now or before, let in', () => {
  const pods = identities.map((identity) => identity.pod);
  const pick = fc.constantFrom(...pods);
  const made = fc
    .tuple(pick, pick, fc.boolean())
    .map(([by, pod, out]) => (out ? remove(by, pod) : add(by, pod)));
  fc.assert(
    fc.property(fc.array(made, { maxLength: 14 }), (facts) => {
      const { members, removed } = callTheRoll(facts, founder);
      for (const member of members.values()) {
        assert.ok(!removed.has(member.id));
        if (member.id === founder) continue;
        assert.ok(facts.some((f) => f.by === member.addedBy && f.statement.kind === 'add'));
        assert.ok(members.has(member.addedBy) || removed.has(member.addedBy));
      }
    }),
    { numRuns: 150 },
  );
});

test('a fact counts in its own network only, and not with a bit changed', () => {
  const bytes = bytesOf(founder, { kind: 'add', pod: ada, name: 'ada', role: 'portal' });
  const other = networkIdOf(newNetworkRecord('atelier', founder, systemRandom));
  assert.ok(parseFact(bytes, network));
  assert.equal(parseFact(bytes, other), undefined);
  let accepted = 0;
  for (let bit = 0; bit < bytes.length * 8; bit += 3) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const parsed = parseFact(flipped, network);
    // The frame around what is signed may be spelled otherwise; what it says may not.
    if (parsed === undefined) continue;
    accepted++;
    assert.equal(parsed.by, founder);
    assert.deepEqual(parsed.statement, { kind: 'add', pod: ada, name: 'ada', role: 'portal' });
  }
  assert.ok(accepted < bytes.length / 10);
});

test('no value at all makes the readers throw', () => {
  fc.assert(
    fc.property(fc.anything({ withTypedArray: true }), fc.uint8Array(), (value, bytes) => {
      const candidates: unknown[] = [value, bytes, encodeCbor({ body: bytes, key: bytes, signature: bytes })];
      for (const candidate of candidates) {
        assert.equal(parseFact(candidate, network), undefined);
        assert.equal(parseNetworkRecord(candidate), undefined);
      }
    }),
  );
  const nonsense = [
    {},
    { kind: 'add' },
    { kind: 'remove', pod: ada, saw: [1] },
    { kind: 'add', pod: '../x' },
  ];
  for (const statement of nonsense) {
    assert.equal(parseFact(bytesOf(founder, statement as Statement), network), undefined);
  }
});

test("a network's id binds its founder, not its name", () => {
  assert.deepEqual(parseNetworkRecord(encodeNetworkRecord(record)), record);
  assert.equal(networkIdOf({ ...record, name: 'other' }), network);
  assert.notEqual(networkIdOf({ ...record, founder: sha256(Buffer.from('x')) }), network);
});
