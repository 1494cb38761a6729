import { type Log, messageOf, type PodId, type Sha256, sha256 } from '../base/index.js';
import type { Database } from '../store/index.js';
import { type Fact, looksLikeFact, parseFact } from './fact.js';

const TABLE = 'membership-facts';
/** So many worthless entries are remembered, so as not to verify them again at each change. */
const WORTHLESS_MAX = 10_000;

interface Entry {
  fact: Fact;
  bytes: Uint8Array;
}

/** What is kept of one signer: who is removed, is so by a list of its facts that must fit into one fact. */
const SIGNER_FACTS_MAX = 4_096;
const SIGNER_BYTES_MAX = 32 * 1024 * 1024;

/**
 * The facts that this pod has verified once: it never forgets one, whatever becomes of the shared document.
 * A member can delete from that document, but cannot make others unlearn who was let in or removed.
 */
export class Ledger {
  private readonly database: Database;
  private readonly network: Sha256;
  private readonly log: Log;
  private readonly facts = new Map<Sha256, Entry>();
  private readonly worthless = new Set<Sha256>();
  /** Known and acted on, but the disk did not take them yet; the shared document has them too. */
  private unsaved: Entry[] = [];

  constructor(database: Database, network: Sha256, log: Log) {
    this.database = database;
    this.network = network;
    this.log = log;
    for (const { key, value } of database.table(TABLE).range({})) {
      const bytes = Uint8Array.from(value);
      const fact = parseFact(bytes, network);
      // A fact that no longer verifies is damaged; the shared document still has it.
      if (fact?.hash === key) this.facts.set(fact.hash, { fact, bytes });
    }
  }

  all(): Fact[] {
    return [...this.facts.values()].map(({ fact }) => fact);
  }

  /** The bytes of every fact, for a pod that joins or a document that lost some. */
  bytes(): [Sha256, Uint8Array][] {
    return [...this.facts].map(([hash, { bytes }]) => [hash, bytes]);
  }

  signedBy(pod: PodId): Sha256[] {
    return this.all()
      .filter((fact) => fact.by === pod)
      .map((fact) => fact.hash);
  }

  /**
   * Takes in what others say. What does not verify is passed over; so is what somebody signed who does not belong (yet),
   * and what a member says beyond all measure: nobody can fill the disk, or make a removal too long to be signed.
   * @param signers whose word counts, if these are the facts
   * @returns whether anything was new
   */
  learn(
    candidates: Iterable<readonly [Sha256, Uint8Array]>,
    signers: (facts: readonly Fact[]) => ReadonlySet<PodId>,
  ): boolean {
    const verified: Entry[] = [];
    for (const [hash, bytes] of candidates) {
      if (this.facts.has(hash) || this.worthless.has(hash)) continue;
      const fact = parseFact(bytes, this.network);
      if (fact?.hash === hash) verified.push({ fact, bytes: Uint8Array.from(bytes) });
      else this.setAside(hash);
    }
    if (verified.length === 0) return false;
    const known = signers([...this.all(), ...verified.map(({ fact }) => fact)]);
    const fresh = this.withinMeasure(verified.filter(({ fact }) => known.has(fact.by)));
    // A removal counts at once, even while the disk is full.
    for (const entry of fresh) this.facts.set(entry.fact.hash, entry);
    this.unsaved.push(...fresh);
    this.save();
    return fresh.length > 0;
  }

  private withinMeasure(entries: readonly Entry[]): Entry[] {
    const said = new Map<PodId, { facts: number; bytes: number }>();
    const count = ({ fact, bytes }: Entry): boolean => {
      const before = said.get(fact.by) ?? { facts: 0, bytes: 0 };
      const now = { facts: before.facts + 1, bytes: before.bytes + bytes.length };
      if (now.facts > SIGNER_FACTS_MAX || now.bytes > SIGNER_BYTES_MAX) return false;
      said.set(fact.by, now);
      return true;
    };
    for (const entry of this.facts.values()) count(entry);
    return entries.filter((entry) => {
      const fits = count(entry);
      if (!fits && this.setAside(entry.fact.hash))
        this.log.warn('a member says more than is kept of one', { member: entry.fact.by });
      return fits;
    });
  }

  /** @returns whether there is room to remember it */
  private setAside(hash: Sha256): boolean {
    if (this.worthless.size >= WORTHLESS_MAX) return false;
    this.worthless.add(hash);
    return true;
  }

  /** Takes in a fact of this pod's own; resolves when it is durable. @throws WormholeError `full` | `io` */
  async record(bytes: Uint8Array): Promise<void> {
    const fact = parseFact(bytes, this.network);
    if (fact === undefined) throw new Error('a fact that this pod signed does not verify');
    this.write([{ fact, bytes }]);
    await this.database.flush();
    this.facts.set(fact.hash, { fact, bytes });
  }

  private save(): void {
    if (this.unsaved.length === 0) return;
    try {
      this.write(this.unsaved);
      this.unsaved = [];
    } catch (error) {
      this.log.warn('what members said is not saved yet', { reason: messageOf(error) });
    }
  }

  private write(entries: readonly Entry[]): void {
    this.database.writeNow((batch) => {
      for (const { fact, bytes } of entries) batch.table(TABLE).put(fact.hash, bytes);
    });
  }
}

/** Writes facts that arrive together with a new network's other beginnings. */
export function ledgerWrites(facts: Iterable<Fact & { bytes: Uint8Array }>) {
  return [...facts].map((fact) => ({ table: TABLE, key: fact.hash, value: fact.bytes }));
}

/** The table of a fact that was saved from a damaged database; undefined for another row. */
export function tableOfSavedFact({ key, value }: { key: string; value: Uint8Array }): string | undefined {
  return sha256(value) === key && looksLikeFact(value) ? TABLE : undefined;
}
