import {
  type Clock,
  Emitter,
  type Log,
  messageOf,
  type PodId,
  type Random,
  type Sha256,
  systemClock,
  systemRandom,
  WormholeError,
} from '../base/index.js';
import { isPodName, parseAddress, type Role } from '../config/index.js';
import type { Links } from '../net/index.js';
import type { Database } from '../store/index.js';
import { type Fact, parseFact, type Signer, type Statement, signFact } from './fact.js';
import { Ledger, ledgerWrites, tableOfSavedFact } from './ledger.js';
import { callTheRoll, type Declaration, type Member, type Roll } from './members.js';
import {
  encodeNetworkRecord,
  type NetworkRecord,
  networkIdOf,
  newNetworkRecord,
  parseNetworkRecord,
} from './network-record.js';
import { emptyNotebook, Notebook, notebookWrite } from './notebook.js';
import { type Presence, PresenceBoard, type Status } from './presence.js';

const TABLE = 'membership';
const RECORD = 'network';
/** The record once more, on a page of its own: without it nothing that others say can be checked. */
const COPY_TABLE = 'membership-record';
/** A stop waits no longer for the shared document to be saved; the ledger has all that matters. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Addresses that are tried of one member. */
const ADDRESSES_MAX = 8;
/** Deleted facts are put back at most so often, lest a hostile member keeps us busy. */
const HEAL_INTERVAL_MS = 10_000;

export interface MembershipOptions {
  database: Database;
  identity: Signer;
  log: Log;
  clock?: Clock;
  random?: Random;
}

export interface MembershipEvents extends Record<string, unknown> {
  /** Who belongs, what is declared or where pods can be reached is no longer as it was. */
  changed: undefined;
  /** A pod told how it is, or its link went. */
  presence: PodId;
}

/** What an inviter gives to the pod it lets in. Crosses the link as it is. */
export interface Welcome {
  v: 1;
  network: Uint8Array;
  facts: Uint8Array[];
  snapshot: Uint8Array;
}

/** Makes a network with this pod as its founder. @throws WormholeError `exists` where the store has one */
export async function createMembership(
  options: MembershipOptions,
  network: { name: string; pod: string; role?: Role },
): Promise<Membership> {
  refuseSecondNetwork(options.database);
  checkName(network.pod);
  checkName(network.name);
  const record = newNetworkRecord(network.name, options.identity.pod, options.random ?? systemRandom);
  const statement = { kind: 'add', pod: record.founder, name: network.pod, role: network.role ?? 'storage' };
  const at = millisecondsOf(options.clock ?? systemClock);
  const facts = [signFact(statement as Statement, networkIdOf(record), options.identity, at)];
  return begin(options, record, facts, await emptyNotebook());
}

/**
 * Begins with what an inviter gave: only if its signatures prove that both the inviter and this pod belong.
 * @param inviter the pod that the link's handshake proved
 * @throws WormholeError `protocol` when the welcome proves nothing, `exists` where the store has a network
 */
export async function joinMembership(
  options: MembershipOptions,
  welcome: unknown,
  inviter: PodId,
): Promise<Membership> {
  refuseSecondNetwork(options.database);
  const { network, facts, snapshot } = (welcome ?? {}) as { [K in keyof Welcome]?: unknown };
  const record = parseNetworkRecord(network);
  if (record === undefined || !(snapshot instanceof Uint8Array) || !Array.isArray(facts)) {
    throw new WormholeError('protocol', 'the inviter answered with something that is no network');
  }
  const known = facts
    .map((bytes) => parseFact(bytes, networkIdOf(record)))
    .filter((fact) => fact !== undefined);
  const { members } = callTheRoll(known, record.founder);
  if (!members.has(inviter) || !members.has(options.identity.pod)) {
    throw new WormholeError('protocol', 'the inviter could not prove that it belongs to the network');
  }
  return begin(options, record, facts, snapshot);
}

/** @throws WormholeError `corrupt` where the store holds no network, or the identity is not that of a member */
export async function openMembership(options: MembershipOptions): Promise<Membership> {
  const membership = await Membership.open(options, await storedRecord(options.database));
  if (membership.knows(membership.self)) return membership;
  await membership.close();
  const cure = 'put identity.pem and the store back from one backup, or join again as a new pod';
  throw new WormholeError(
    'corrupt',
    `the key in identity.pem is not the one that this pod joined with: ${cure}`,
  );
}

/** The table of a row that was saved from a damaged database, where that is not known; undefined: it is none of these. */
export function tableOfSavedMembership(row: { key: string; value: Uint8Array }): string | undefined {
  if (row.key === RECORD && parseNetworkRecord(row.value) !== undefined) return COPY_TABLE;
  return tableOfSavedFact(row);
}

/** From either of its places; where one has lost it, it is put there again. */
async function storedRecord(database: Database): Promise<NetworkRecord> {
  const tables = [TABLE, COPY_TABLE];
  const found = tables.map((table) => database.table(table).get(RECORD));
  const bytes = found.find(
    (candidate) => candidate !== undefined && parseNetworkRecord(candidate) !== undefined,
  );
  const record = parseNetworkRecord(bytes);
  if (bytes === undefined || record === undefined) {
    const cure = "put the pod's folder back from a backup, or join again as a new pod";
    throw new WormholeError(
      'corrupt',
      `the store does not say any more to which network it belongs: ${cure}`,
    );
  }
  const missing = tables.filter((_, index) => found[index] === undefined);
  const value = Uint8Array.from(bytes);
  // A disk that is full has one of them still.
  await database.write(missing.map((table) => ({ table, key: RECORD, value }))).catch(() => {});
  return record;
}

/** One durable batch: after it, {@link openMembership} finds the whole network; before, nothing. */
async function begin(
  options: MembershipOptions,
  record: NetworkRecord,
  facts: readonly unknown[],
  snapshot: Uint8Array,
): Promise<Membership> {
  const network = networkIdOf(record);
  const valid = facts.flatMap((bytes) => {
    const fact = parseFact(bytes, network);
    return fact === undefined ? [] : [{ ...fact, bytes: bytes as Uint8Array }];
  });
  options.database.writeNow((batch) => {
    for (const table of [TABLE, COPY_TABLE]) batch.table(table).put(RECORD, encodeNetworkRecord(record));
    for (const write of [...ledgerWrites(valid), notebookWrite(network, snapshot)]) {
      if (write.value !== undefined) batch.table(write.table).put(write.key, write.value);
    }
  });
  await options.database.flush();
  return Membership.open(options, record);
}

/** The members of one network as this pod knows them. */
export class Membership {
  readonly events = new Emitter<MembershipEvents>();
  readonly self: PodId;
  readonly network: { readonly id: Sha256; readonly name: string };
  private readonly record: NetworkRecord;
  private readonly identity: Signer;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly ledger: Ledger;
  private readonly board: PresenceBoard;
  private roll: Roll;
  private notebook: Notebook | undefined;
  private links: Links | undefined;
  private readonly dialled = new Set<string>();
  private healedAt = Number.NEGATIVE_INFINITY;

  static async open(options: MembershipOptions, record: NetworkRecord): Promise<Membership> {
    const membership = new Membership(options, record);
    membership.notebook = await Notebook.open({
      network: membership.network.id,
      self: membership.self,
      database: options.database,
      clock: membership.clock,
      log: membership.log,
      isMember: (pod) => membership.isMember(pod),
      changed: () => membership.read(),
    });
    membership.read();
    return membership;
  }

  private constructor(options: MembershipOptions, record: NetworkRecord) {
    this.record = record;
    this.network = { id: networkIdOf(record), name: record.name };
    this.identity = options.identity;
    this.self = options.identity.pod;
    this.clock = options.clock ?? systemClock;
    this.log = options.log;
    this.ledger = new Ledger(options.database, this.network.id, options.log);
    this.roll = callTheRoll(this.ledger.all(), record.founder);
    const isMember = (pod: PodId) => this.isMember(pod);
    this.board = new PresenceBoard({ database: options.database, clock: this.clock, isMember });
    this.board.events.on('changed', (pod) => this.events.emit('presence', pod));
  }

  /** In the order of their names. */
  members(): Member[] {
    return [...this.roll.members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  isMember(pod: PodId): boolean {
    return this.roll.members.has(pod);
  }

  /** Whether it belongs, or did once. */
  knows(pod: PodId): boolean {
    return this.isMember(pod) || this.roll.removed.has(pod);
  }

  member(pod: PodId): Member | undefined {
    return this.roll.members.get(pod);
  }

  memberNamed(name: string): Member | undefined {
    return this.members().find((member) => member.name === name);
  }

  /** The declared configuration's text, or undefined where nobody declared one. */
  declared(): Declaration | undefined {
    return this.roll.config;
  }

  /** All that was ever declared, the one in force last. */
  declarations(): readonly Declaration[] {
    return this.roll.declarations;
  }

  /** Lets a pod in, durably; the answer goes to it through the invite's exchange.
   *  @throws WormholeError `exists` when another pod has the name, `not-permitted` when it was removed, `full` */
  async welcome(pod: PodId, wanted: { name: string; role: Role }): Promise<Welcome> {
    checkName(wanted.name);
    if (this.roll.removed.has(pod)) {
      const cure = 'to come back it joins with a new identity (an empty WH_HOME)';
      throw new WormholeError('not-permitted', `this pod was removed from the network: ${cure}`);
    }
    if (!this.isMember(pod)) {
      if (this.memberNamed(wanted.name) !== undefined) {
        const cure = 'join with another name: wh join CODE --pod NAME';
        throw new WormholeError('exists', `the network already has a pod called ${wanted.name}: ${cure}`);
      }
      await this.state({ kind: 'add', pod, ...wanted });
    }
    const facts = this.ledger.bytes().map(([, bytes]) => bytes);
    const snapshot = await this.open().snapshot();
    return { v: 1, network: encodeNetworkRecord(this.record), facts, snapshot };
  }

  /** Takes a member out for good, durably. @throws WormholeError `no-pod` | `full` */
  async remove(pod: PodId): Promise<void> {
    if (!this.isMember(pod)) throw new WormholeError('no-pod', 'this pod is not a member');
    await this.state({ kind: 'remove', pod, saw: this.ledger.signedBy(pod) });
  }

  /** Declares the network's configuration; the text was checked by the caller. */
  async declare(text: string): Promise<void> {
    await this.state({ kind: 'config', text, number: this.roll.nextNumber });
  }

  /** Tells the members at which addresses, `host:port`, this pod listens. */
  announce(addresses: readonly string[]): void {
    const current = this.addressesOf(this.self);
    if (current.length === addresses.length && current.every((address, i) => address === addresses[i]))
      return;
    this.open().setAddresses(this.self, addresses);
  }

  /** Where a member says it can be reached; empty when it never did. Hints only: the handshake decides. */
  addressesOf(pod: PodId): string[] {
    return this.open()
      .addresses()
      .filter(([id]) => id === pod && this.isMember(id))
      .flatMap(([, addresses]) => addresses);
  }

  /** Syncs over these links and dials where members say they are. Call before the links are started. */
  attach(links: Links): void {
    this.links = links;
    this.open().attach(links);
    this.board.attach(links);
    this.dialMembers();
  }

  /** Tells the linked pods how this one is. */
  tell(status: Status): void {
    this.board.tell(status);
  }

  presenceOf(pod: PodId): Presence {
    return this.board.of(pod);
  }

  async close(): Promise<void> {
    this.links = undefined;
    this.board.close();
    const notebook = this.notebook;
    this.notebook = undefined;
    const stop = new AbortController();
    const giveUp = this.clock.sleep(CLOSE_TIMEOUT_MS, stop.signal).catch(() => {});
    await notebook?.close(giveUp);
    stop.abort();
  }

  /** Signs a statement; resolves when it is durable here. */
  private async state(statement: Statement): Promise<void> {
    const at = millisecondsOf(this.clock);
    const bytes = signFact(statement, this.network.id, this.identity, at);
    await this.ledger.record(bytes);
    this.judge();
    this.open().addFacts([bytes]);
  }

  /** Takes in what the shared document says now. */
  private read(): void {
    const notebook = this.notebook;
    if (notebook === undefined) return;
    const shared = notebook.facts();
    if (this.ledger.learn(shared, (facts) => this.signers(facts))) this.judge();
    else this.events.emit('changed', undefined);
    this.dialMembers();
    this.heal(notebook, new Set(shared.map(([hash]) => hash)));
  }

  /** Those whose word counts, or did. */
  private signers(facts: readonly Fact[]): ReadonlySet<PodId> {
    const { members, removed } = callTheRoll(facts, this.record.founder);
    return new Set([...members.keys(), ...removed]);
  }

  /** Puts back what somebody took out of the shared document. */
  private heal(notebook: Notebook, shared: ReadonlySet<Sha256>): void {
    const missing = this.ledger.bytes().filter(([hash]) => !shared.has(hash));
    const now = this.clock.monotonicMs();
    if (missing.length === 0 || now - this.healedAt < HEAL_INTERVAL_MS) return;
    this.healedAt = now;
    // Not from within the document's own change event.
    queueMicrotask(() => {
      if (this.notebook !== notebook) return;
      try {
        notebook.addFacts(missing.map(([, bytes]) => bytes));
      } catch (error) {
        this.log.warn('facts could not be put back', { reason: messageOf(error) });
      }
    });
  }

  private judge(): void {
    this.roll = callTheRoll(this.ledger.all(), this.record.founder);
    this.notebook?.membersChanged();
    this.links?.membersChanged();
    this.events.emit('changed', undefined);
  }

  private dialMembers(): void {
    const links = this.links;
    for (const [pod, addresses] of links === undefined ? [] : this.open().addresses()) {
      if (pod === this.self || !this.isMember(pod)) continue;
      for (const address of addresses.slice(0, ADDRESSES_MAX)) {
        if (this.dialled.has(address) || parseAddress(address) === undefined) continue;
        this.dialled.add(address);
        links?.dial(address);
      }
    }
  }

  private open(): Notebook {
    if (this.notebook === undefined) throw new WormholeError('closed', 'the membership is closed');
    return this.notebook;
  }
}

function refuseSecondNetwork(database: Database): void {
  if (database.table(TABLE).get(RECORD) === undefined) return;
  throw new WormholeError('exists', 'this pod belongs to a network already: set WH_HOME for a second one');
}

function checkName(name: string): void {
  if (isPodName(name)) return;
  const form = 'letters, digits, dots and hyphens, at most 63, the first a letter or digit';
  throw new WormholeError('invalid', `"${name}" cannot be a name: use ${form}`);
}

function millisecondsOf(clock: Clock): number {
  return Number(clock.wallNs() / 1_000_000n);
}
