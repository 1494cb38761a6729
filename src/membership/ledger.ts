import { type Log, messageOf, type PodId, type Sha256 } from '../base/index.js';
import type { Database } from '../store/index.js';
import { type Fact, parseFact } from './fact.js';

const TABLE = 'membership-facts';
/** So many worthless entries are remembered, so as not to verify them again at each change. */
const WORTHLESS_MAX = 10_000;

interface Entry {
  fact: Fact;
  bytes: Uint8Array;
}

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

  /** Takes in what others say; what does not verify is passed over. @returns whether anything was new */
  learn(candidates: Iterable<readonly [Sha256, Uint8Array]>): boolean {
    const fresh: Entry[] = [];
    for (const [hash, bytes] of candidates) {
      if (this.facts.has(hash) || this.worthless.has(hash)) continue;
      const fact = parseFact(bytes, this.network);
      if (fact?.hash === hash) fresh.push({ fact, bytes: Uint8Array.from(bytes) });
      else if (this.worthless.size < WORTHLESS_MAX) this.worthless.add(hash);
    }
    // A removal counts at once, even while the disk is full.
    for (const entry of fresh) this.facts.set(entry.fact.hash, entry);
    this.unsaved.push(...fresh);
    this.save();
    return fresh.length > 0;
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
