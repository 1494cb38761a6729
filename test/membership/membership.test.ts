import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { decodeCbor, encodeCbor } from '../../src/base/cbor.js';
import { silentLog, type WormholeError } from '../../src/base/index.js';
import { POD_TABLES } from '../../src/daemon/database-tables.js';
import { signFact } from '../../src/membership/fact.js';
import {
  createMembership,
  joinMembership,
  type Membership,
  type MembershipOptions,
  openMembership,
  tableOfSavedMembership,
} from '../../src/membership/index.js';
import type { Identity } from '../../src/net/identity.js';
import { temporaryIdentity } from '../../src/net/identity.js';
import { type Database, openDatabase, openSoundDatabase } from '../../src/store/index.js';
import { connect, MemoryLinks, until } from '../sync/memory-links.js';

const root = await mkdtemp(join(tmpdir(), 'wormhole-membership-'));
const opened: { close(): Promise<void> }[] = [];
let stores = 0;
const PAGE_BYTES = 4096;

after(async () => {
  for (const thing of opened.reverse()) await thing.close();
  await rm(root, { recursive: true, force: true });
});

interface Pod extends MembershipOptions {
  identity: Identity;
  database: Database;
  path: string;
}

function pod(): Pod {
  const path = join(root, String(stores++));
  const database = openDatabase(path, { mapBytes: 2 ** 26 });
  opened.push(database);
  return { identity: temporaryIdentity(), database, path, log: silentLog };
}

function keep(membership: Membership): Membership {
  opened.push(membership);
  return membership;
}

async function founded(): Promise<{ options: Pod; membership: Membership }> {
  const options = pod();
  return { options, membership: keep(await createMembership(options, { name: 'atelier', pod: 'first' })) };
}

async function joined(inviter: Membership, name: string): Promise<{ options: Pod; membership: Membership }> {
  const options = pod();
  const welcome = await inviter.welcome(options.identity.pod, { name, role: 'storage' });
  const overTheWire = decodeCbor(encodeCbor(welcome));
  return { options, membership: keep(await joinMembership(options, overTheWire, inviter.self)) };
}

function linked(membership: Membership): MemoryLinks {
  const links = new MemoryLinks(membership.self);
  membership.attach(links);
  return links;
}

const names = (membership: Membership) => membership.members().map((member) => member.name);

test('a network is made, opened again, and made only once in a store', async () => {
  const options = pod();
  await assert.rejects(openMembership(options), { code: 'corrupt' });
  const made = await createMembership(options, { name: 'atelier', pod: 'first' });
  assert.deepEqual(names(made), ['first']);
  await made.close();
  const again = keep(await openMembership(options));
  assert.deepEqual(again.network, made.network);
  assert.deepEqual(names(again), ['first']);
  assert.equal(again.member(options.identity.pod)?.role, 'storage');
  await assert.rejects(createMembership(options, { name: 'x', pod: 'y' }), { code: 'exists' });
});

test('who was let in belongs at once, here and there, and after the inviter has crashed', async () => {
  const { options, membership } = await founded();
  const second = await joined(membership, 'second');
  assert.deepEqual(names(membership), ['first', 'second']);
  assert.deepEqual(names(second.membership), ['first', 'second']);
  // Nothing was closed: a second opening sees what is durable only.
  const afterCrash = keep(await openMembership(options));
  assert.ok(afterCrash.isMember(second.membership.self));
});

test('a name is taken once, an invited pod may be answered twice, a removed one stays out', async () => {
  const { membership } = await founded();
  const second = await joined(membership, 'second');
  const stranger = temporaryIdentity().pod;
  await assert.rejects(
    membership.welcome(stranger, { name: 'second', role: 'storage' }),
    (error: WormholeError) => error.code === 'exists' && error.message.includes('--pod'),
  );
  await assert.rejects(membership.welcome(stranger, { name: 'a/b', role: 'storage' }), { code: 'invalid' });
  await membership.welcome(second.membership.self, { name: 'second', role: 'storage' });
  assert.equal(membership.members().length, 2);
  await membership.remove(second.membership.self);
  await assert.rejects(membership.remove(second.membership.self), { code: 'no-pod' });
  await assert.rejects(membership.welcome(second.membership.self, { name: 'new', role: 'storage' }), {
    code: 'not-permitted',
  });
});

test('a welcome that proves nothing is refused and leaves the store empty', async () => {
  const { membership } = await founded();
  const other = await founded();
  const options = pod();
  const self = options.identity.pod;
  const welcome = await membership.welcome(self, { name: 'second', role: 'storage' });
  const stranger = temporaryIdentity().pod;
  const bad: [unknown, string][] = [
    [null, membership.self],
    [{ ...welcome, facts: [] }, membership.self],
    [{ ...welcome, facts: 'x' }, membership.self],
    [{ ...welcome, snapshot: 1 }, membership.self],
    [{ ...welcome, network: new Uint8Array(9) }, membership.self],
    [
      { ...welcome, network: (await other.membership.welcome(self, { name: 's', role: 'storage' })).network },
      membership.self,
    ],
    [welcome, stranger],
  ];
  for (const [body, inviter] of bad) {
    await assert.rejects(joinMembership(options, body, inviter), { code: 'protocol' });
  }
  await assert.rejects(openMembership(options), { code: 'corrupt' });
  keep(await joinMembership(options, welcome, membership.self));
});

test('members learn of each other over links, and of removals', async () => {
  const { membership: first } = await founded();
  const { membership: second } = await joined(first, 'second');
  const { membership: third } = await joined(first, 'third');
  assert.deepEqual(names(second), ['first', 'second'], 'second cannot know of third yet');
  const [a, b, c] = [linked(first), linked(second), linked(third)];
  connect(a, b);
  await until(() => second.isMember(third.self));
  connect(b, c);
  const removedOne = await joined(third, 'fourth');
  await until(() => first.isMember(removedOne.membership.self));
  await first.remove(removedOne.membership.self);
  await until(() => !third.isMember(removedOne.membership.self));
  await first.declare('copies: 3\n');
  await until(() => third.declared()?.text === 'copies: 3\n');
  assert.equal(third.declared()?.by, first.self);
});

test('nothing is said to a pod that does not belong', async () => {
  const { membership } = await founded();
  const links = linked(membership);
  const stranger = new MemoryLinks(temporaryIdentity().pod);
  const heard: unknown[] = [];
  stranger.handle('membership', (_link, body) => void heard.push(body));
  connect(links, stranger);
  stranger
    .get(membership.self)
    ?.send('membership', { type: 'request', data: Buffer.from([0x42, 0, 0, 0, 0]) });
  membership.announce(['10.0.0.1:4747']);
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.deepEqual(heard, []);
});

test('garbage from a member ends its link or is passed over; the others sync on', async () => {
  const { membership: first } = await founded();
  const { membership: second } = await joined(first, 'second');
  const hostile = await joined(first, 'hostile');
  const [a, b] = [linked(first), linked(second)];
  const evil = new MemoryLinks(hostile.membership.self);
  evil.handle('membership', () => {});
  const senseless: unknown[] = [null, 7, [], {}, { type: 'sync' }, { type: 'sync', data: Buffer.alloc(9) }];
  for (const body of senseless) {
    connect(a, evil);
    evil.get(first.self)?.send('membership', body);
    await until(() => a.get(evil.self) === undefined);
  }
  // Begins like a sync message, and is none.
  const log = console.log;
  console.log = () => {};
  connect(a, evil);
  for (let length = 1; length < 200; length += 7) {
    const data = Buffer.alloc(length, length);
    data[0] = 0x42;
    evil.get(first.self)?.send('membership', { type: 'sync', data });
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  console.log = log;
  connect(a, b);
  const late = await joined(first, 'late');
  await until(() => second.isMember(late.membership.self));
});

test('a member that deletes facts from the shared document makes nobody forget them', async () => {
  const { membership: first } = await founded();
  const { membership: second } = await joined(first, 'second');
  const { membership: third } = await joined(first, 'third');
  const [a, b] = [linked(first), linked(second)];
  connect(a, b);
  await until(() => second.isMember(third.self));
  // What a hostile program would do with its copy of the document.
  const { notebook } = second as unknown as {
    notebook: { handle: { change(act: (doc: Doc) => void): void } };
  };
  interface Doc {
    facts: { [hash: string]: unknown };
  }
  notebook.handle.change((doc) => {
    for (const hash of Object.keys(doc.facts)) delete doc.facts[hash];
    doc.facts['nonsense'] = 'text';
  });
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepEqual(names(first), ['first', 'second', 'third']);
  const fresh = await joined(first, 'fourth');
  assert.deepEqual(names(fresh.membership), ['first', 'fourth', 'second', 'third']);
});

test('a member that declares the highest number there is, and much more, keeps nobody from declaring', async () => {
  const { membership: first } = await founded();
  const { membership: second, options } = await joined(first, 'second');
  const [a, b] = [linked(first), linked(second)];
  connect(a, b);
  await first.declare('one');
  const { notebook } = second as unknown as { notebook: { addFacts(facts: Uint8Array[]): void } };
  const evil = [Number.MAX_SAFE_INTEGER, 2 ** 40, -1].map((number) =>
    signFact({ kind: 'config', text: 'evil', number }, first.network.id, options.identity, 0),
  );
  notebook.addFacts(evil);
  await until(() => second.declared()?.text === 'one');
  await second.declare('two');
  await until(() => first.declared()?.text === 'two');
  await first.declare('three');
  await until(() => second.declared()?.text === 'three');
});

test('a database that has lost the list of its tables still says which network it is of, and who belongs', async () => {
  const options = pod();
  const made = await createMembership(options, { name: 'atelier', pod: 'first' });
  await made.close();
  await options.database.close();
  const file = join(options.path, 'data.mdb');
  const bytes = readFileSync(file);
  const tables = ['membership-facts', 'membership-record'];
  let spoilt = 0;
  for (let at = 2 * PAGE_BYTES; at < bytes.length; at += PAGE_BYTES) {
    if (!tables.every((name) => bytes.subarray(at, at + PAGE_BYTES).includes(name))) continue;
    bytes.fill(0x5a, at, at + PAGE_BYTES);
    spoilt++;
  }
  assert.ok(spoilt > 0);
  writeFileSync(file, bytes);
  const database = await openSoundDatabase(options.path, {
    tables: POD_TABLES,
    home: tableOfSavedMembership,
    log: silentLog,
  });
  opened.push(database);
  const again = keep(await openMembership({ ...options, database }));
  assert.deepEqual(again.network, made.network);
  assert.deepEqual(
    again.members().map(({ name }) => name),
    ['first'],
  );
});

test('presence and addresses reach the others', async () => {
  const { membership: first } = await founded();
  const { options, membership: second } = await joined(first, 'second');
  const [a, b] = [linked(first), linked(second)];
  second.tell({ free: 1000, state: 'ready' });
  assert.deepEqual(first.presenceOf(second.self), {});
  const cut = connect(a, b);
  await until(() => first.presenceOf(second.self).status?.free === 1000);
  second.tell({ free: 900, capacity: 5000, state: 'full' });
  await until(() => first.presenceOf(second.self).status?.state === 'full');
  second.announce(['10.1.2.3:4747', 'not an address']);
  await until(() => a.dialled.includes('10.1.2.3:4747'));
  assert.deepEqual(a.dialled, ['10.1.2.3:4747']);
  b.get(first.self)?.send('presence', { free: -1, state: 'x' });
  b.get(first.self)?.send('presence', 'nonsense');
  cut();
  const seen = first.presenceOf(second.self);
  assert.equal(seen.status, undefined);
  await until(() => Math.abs(Date.now() - (first.presenceOf(second.self).lastSeen ?? 0)) < 5_000);
  await second.close();
  const again = keep(await openMembership(options));
  assert.ok((again.presenceOf(first.self).lastSeen ?? 0) > 0);
});
