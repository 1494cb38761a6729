/** What a pod keeps of what members say, and what it does not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Sha256, sha256, silentLog } from '../../src/base/index.js';
import { FACT_BYTES_MAX, type Fact, type Signer, signFact } from '../../src/membership/fact.js';
import { Ledger } from '../../src/membership/ledger.js';
import { callTheRoll } from '../../src/membership/members.js';
import { temporaryIdentity } from '../../src/net/identity.js';
import { openDatabase } from '../../src/store/index.js';

const NETWORK = sha256(Buffer.from('a network'));
const [founder, member, stranger] = Array.from({ length: 3 }, temporaryIdentity) as [
  ReturnType<typeof temporaryIdentity>,
  ReturnType<typeof temporaryIdentity>,
  ReturnType<typeof temporaryIdentity>,
];

async function withLedger(work: (ledger: Ledger) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'wormhole-ledger-'));
  const database = openDatabase(folder, { mapBytes: 2 ** 26 });
  try {
    work(new Ledger(database, NETWORK, silentLog));
  } finally {
    await database.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function say(signer: Signer, statement: Parameters<typeof signFact>[0]): [Sha256, Uint8Array] {
  const bytes = signFact(statement, NETWORK, signer, 0);
  return [sha256(bytes), bytes];
}

function signers(facts: readonly Fact[]): Set<string> {
  const { members, removed } = callTheRoll(facts, founder.pod);
  return new Set([...members.keys(), ...removed]);
}

const letIn = say(founder, { kind: 'add', pod: member.pod, name: 'member', role: 'storage' });

test('what a stranger signed is not kept, and is once it belongs', () =>
  withLedger((ledger) => {
    const early = say(stranger, { kind: 'config', text: 'early', number: 1 });
    assert.equal(ledger.learn([letIn, early], signers), true);
    assert.deepEqual(ledger.signedBy(stranger.pod), []);
    const invited = say(member, { kind: 'add', pod: stranger.pod, name: 'third', role: 'storage' });
    assert.equal(ledger.learn([letIn, early, invited], signers), true);
    assert.deepEqual(ledger.signedBy(stranger.pod), [early[0]]);
  }));

test('of one member only so much is kept that it can still be removed', () =>
  withLedger((ledger) => {
    const flood = Array.from({ length: 4_200 }, (_, number) =>
      say(member, { kind: 'config', text: '', number: number + 1 }),
    );
    ledger.learn([letIn, ...flood], signers);
    const saw = ledger.signedBy(member.pod);
    assert.equal(saw.length, 4_096);
    const [hash, removal] = say(founder, { kind: 'remove', pod: member.pod, saw });
    assert.ok(removal.length < FACT_BYTES_MAX, `${removal.length} bytes`);
    // Nobody else is kept from speaking.
    assert.equal(ledger.learn([...flood, [hash, removal]], signers), true);
    assert.deepEqual(ledger.signedBy(founder.pod).sort(), [letIn[0], hash].sort());
    assert.equal(ledger.learn(flood, signers), false);
  }));
