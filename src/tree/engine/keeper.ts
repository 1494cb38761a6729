import { type Clock, type Emitter, LIMITS, WormholeError } from '../../base/index.js';
import type { Passed } from '../history/passed.js';
import type { LocalTimes } from '../resolver/tables.js';
import { type Heads, type InodeId, type Registers, ROOT } from '../schema.js';
import type { ChangeLog } from './change-log.js';
import type { ChangeRecord } from './change-record.js';
import type { EngineEvents } from './client.js';
import { entriesOf, type IndexChange, type Indexer, partsOf } from './indexer.js';
import type { KnownRegisters } from './known-registers.js';
import { sameHeads } from './load.js';

export interface KeeperParts {
  log: ChangeLog;
  indexer: Indexer;
  /** Reads the document. */
  read(inode: InodeId): Registers | undefined;
  events: Emitter<EngineEvents>;
  clock: Clock;
  /** Where the document stands. */
  now(): { heads: Heads; seq: number };
}

interface Dirty {
  inodes: Set<InodeId>;
  times: Map<InodeId, LocalTimes>;
  /** The registers of some of them, as the document has them now. */
  known: KnownRegisters;
  passed: Passed[];
  /** Not these inodes but the whole index. */
  all: boolean;
  remote: boolean;
}

/**
 * Carries what went into the document on to the log, the index and the disk, in this order: the index is never
 * ahead of what survives the process, and nobody else hears of what does not survive a power cut. Where a full
 * disk stops it, it can be told to go on later; nothing is skipped.
 */
export class Keeper {
  private readonly parts: KeeperParts;
  /** What the index does not show yet. */
  private dirty: Dirty | undefined;
  private unsent: Uint8Array[] = [];
  private reached: { heads: Heads; seq: number };
  private settling: Promise<void> = Promise.resolve();
  private nextSettle: Promise<void> | undefined;

  constructor(parts: KeeperParts) {
    this.parts = parts;
    this.reached = parts.now();
  }

  /** What survives a power cut. */
  get durable(): { heads: Heads; seq: number } {
    return this.reached;
  }

  /** True while log or index lag behind the document: {@link advance} goes on. */
  get stalled(): boolean {
    return this.parts.log.isBehind || this.dirty !== undefined;
  }

  /** The document has these changes now. */
  record(record: ChangeRecord): void {
    this.parts.log.push(record);
    if (record.own !== undefined) this.unsent.push(...record.changes);
  }

  /** An inode's registers in the document, from the index while that shows them: it answers faster. To be asked
   *  before the inode is written to. */
  registers(inode: InodeId): Registers | undefined {
    const { dirty } = this;
    if (dirty?.known.has(inode)) return dirty.known.get(inode);
    if (dirty !== undefined && (dirty.all || dirty.inodes.has(inode))) return this.parts.read(inode);
    try {
      return this.parts.indexer.registers(inode);
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
      return this.parts.read(inode);
    }
  }

  /** The index has to look at these inodes again. `known`: the registers of some of them as they are now. */
  mark(
    inodes: Iterable<InodeId>,
    known: KnownRegisters,
    by: { remote: true } | { remote: false; times: ReadonlyMap<InodeId, LocalTimes> },
  ): void {
    const dirty = this.begin();
    for (const inode of inodes) {
      dirty.inodes.add(inode);
      if (known.has(inode)) dirty.known.set(inode, known.get(inode));
      else dirty.known.delete(inode);
    }
    if (by.remote) dirty.remote = true;
    else
      for (const [inode, times] of by.times) dirty.times.set(inode, { ...dirty.times.get(inode), ...times });
  }

  /** Contents that came and went with what was marked. */
  pass(passed: readonly Passed[]): void {
    this.begin().passed.push(...passed);
  }

  /** The index has to be built anew. */
  markAll(): void {
    const dirty = this.begin();
    dirty.all = true;
    dirty.remote = true;
  }

  /** Log first, then the index, then the echo.
   *  @throws WormholeError `full`: free some space and call again */
  advance(): void {
    this.parts.log.append();
    // Begins now, beside the index's own write; `settle` reports what comes of it.
    this.parts.log.sync().catch(() => {});
    const dirty = this.dirty;
    if (dirty === undefined) return;
    const now = this.parts.now();
    const change = this.updateIndex(dirty, now);
    this.dirty = undefined;
    this.echo(now, change, dirty.remote);
  }

  private echo(now: { heads: Heads; seq: number }, change: IndexChange, remote: boolean): void {
    const { events } = this.parts;
    const of = entriesOf(change);
    if (!remote || of <= LIMITS.echoEntriesMax) {
      events.emit('echo', { ...now, change, remote });
      return;
    }
    const [first = change, ...others] = partsOf(change, LIMITS.echoEntriesMax);
    events.emit('echo', { ...now, change: first, remote, of });
    for (const part of others) events.emit('shown', { change: part, of });
  }

  /** Resolves when everything that went in so far survives a power cut; then peers and the journal hear of it.
   *  @throws WormholeError `io`: nothing more will ever be durable in this log; `full`: later perhaps */
  settle(): Promise<void> {
    this.nextSettle ??= this.settling
      .catch(() => {})
      .then(() => {
        this.nextSettle = undefined;
        this.settling = this.settleNow();
        return this.settling;
      });
    return this.nextSettle;
  }

  private async settleNow(): Promise<void> {
    if (this.parts.log.isBehind) throw new WormholeError('full', 'the disk is full: free some space');
    const now = this.parts.now();
    const changes = this.unsent;
    this.unsent = [];
    await this.parts.log.sync();
    const moved = now.seq !== this.reached.seq || !sameHeads(now.heads, this.reached.heads);
    this.reached = now;
    if (changes.length > 0) this.parts.events.emit('changes', { changes, heads: now.heads });
    if (moved) this.parts.events.emit('durable', now);
  }

  private begin(): Dirty {
    this.dirty ??= {
      inodes: new Set(),
      known: new Map(),
      times: new Map(),
      passed: [],
      all: false,
      remote: false,
    };
    return this.dirty;
  }

  private updateIndex(dirty: Dirty, now: { heads: Heads; seq: number }): IndexChange {
    const stamp = { ...now, time: this.parts.clock.wallNs() };
    const { inodes: touched, known, times, passed } = dirty;
    if (!dirty.all) return this.parts.indexer.update({ ...stamp, touched, known, times, passed });
    this.parts.indexer.rebuild(stamp);
    return { inodes: [ROOT], names: [] };
  }
}
