import {
  type Clock,
  type Emitter,
  LIMITS,
  type Log,
  messageOf,
  type PodId,
  WormholeError,
} from '../../base/index.js';
import type { Database } from '../../store/index.js';
import { type Heads, type InodeId, type Operation, ROOT } from '../schema.js';
import { parseInode } from './allocator.js';
import { automerge, isDead } from './automerge.js';
import { checkChange, isWholeDocument } from './change-check.js';
import type { ChangeLog } from './change-log.js';
import type { ChangeRecord } from './change-record.js';
import type { EngineCondition, EngineEvents } from './client.js';
import { conflictPlace } from './conflict-place.js';
import { type LocalChange, TreeDocument } from './document.js';
import type { IndexChange, Indexer, RegisterReader } from './indexer.js';
import { type Loaded, loadDocument, rewrite, sameHeads } from './load.js';
import { LocalGroup } from './local-group.js';
import type { OwnWrites } from './own-writes.js';
import { PeerStates } from './peer-states.js';
import { decodeSnapshot, encodeSnapshot } from './snapshot.js';

/** The schema's versions that this program understands. */
const SCHEMA_VERSION = 1;
/** Remote writes at once from which on the buckets they touched are spread again. */
const SPREAD_FROM_WRITES = 1_000;
/** Changes in one record of the log. */
const RECORD_CHANGES_MAX = 1_000;

export interface EngineParts {
  /** Folder of the change log and the snapshot. */
  folder: string;
  actor: string;
  network: Uint8Array;
  founder: boolean;
  database: Database;
  makeIndexer(database: Database, reader: RegisterReader): Indexer;
  /** Heard from the first moment on: catching up at the start echoes too. */
  events: Emitter<EngineEvents>;
  clock: Clock;
  log: Log;
}

interface StagedGroup {
  seq: number;
  touched: ReadonlySet<InodeId>;
  times: ReadonlyMap<InodeId, bigint>;
  change: LocalChange | undefined;
}

/**
 * The document with its files, its index and its peers, on one thread. Local groups and remote changes go in
 * synchronously, one after the other: document, log (survives the process), index, echo. `settle` waits until
 * all of it survives a power cut; only then do others hear of it.
 */
export class Engine {
  readonly condition: EngineCondition | undefined;
  private readonly parts: EngineParts;
  private readonly indexer: Indexer;
  private readonly peers: PeerStates;
  private readonly own: OwnWrites;
  private readonly changeLog: ChangeLog;
  private readonly logName: string;
  private document: TreeDocument;
  private lastSeq: number;
  /** What the index does not show yet. */
  private dirty:
    | { inodes: Set<InodeId>; times: Map<InodeId, bigint>; all: boolean; remote: boolean }
    | undefined;
  private unsent: Uint8Array[] = [];
  private durableNow: { heads: Heads; seq: number };
  private settling: Promise<void> = Promise.resolve();
  private nextSettle: Promise<void> | undefined;
  private snapshotting: Promise<void> | undefined;

  private constructor(parts: EngineParts, loaded: Loaded) {
    this.parts = parts;
    this.document = loaded.document;
    this.changeLog = loaded.log;
    this.logName = loaded.logName;
    this.own = loaded.own;
    this.lastSeq = loaded.seq;
    this.peers = new PeerStates(parts.database, (heads) => this.document.contains(heads));
    this.indexer = parts.makeIndexer(parts.database, {
      read: (inode) => this.document.read(inode),
      inodes: () => this.document.inodes(),
    });
    this.condition = conditionOf(loaded, this.indexer.stamp().heads);
    this.durableNow = { heads: loaded.document.heads(), seq: loaded.seq };
  }

  /** Loads the document, verifies it, founds it where that is due, and brings the index up to it.
   *  @throws WormholeError `newer-format`, `corrupt` for the document of another network, `full`, `io` */
  static async open(parts: EngineParts): Promise<Engine> {
    const engine = new Engine(parts, await loadDocument(parts.folder, parts.actor));
    if (engine.document.founded) engine.checkSchema();
    else if (parts.founder && engine.condition === undefined) engine.found();
    engine.catchUp();
    await engine.settle();
    return engine;
  }

  /** The document is there: a joiner's is not before its first sync. */
  get founded(): boolean {
    return this.document.founded;
  }

  /** The last journaled operation that is in the document. */
  get appliedSeq(): number {
    return this.lastSeq;
  }

  /** What survives a power cut. */
  get durable(): { heads: Heads; seq: number } {
    return this.durableNow;
  }

  /** True while the log or the index lags behind the document because the disk is full: `retry`. */
  get stalled(): boolean {
    return this.changeLog.isBehind || this.dirty !== undefined;
  }

  /** Values in the document that did not fit the schema, as often as they were read. */
  get misfits(): number {
    return this.document.misfits;
  }

  // Local operations

  /** Puts whole operations into the document as one change; those it has already are skipped.
   *  @throws WormholeError `full`: the operations are in the document, and reach the disk with `retry` */
  apply(operations: readonly Operation[]): void {
    const fresh = operations.filter(({ seq }) => seq > this.lastSeq);
    const last = fresh.at(-1);
    if (last === undefined) return;
    this.own.forget(Math.min(...fresh.map(({ seen }) => seen)));
    for (const group of this.stage(fresh)) {
      this.lastSeq = group.seq;
      this.mark(group.touched, group.times, false);
      this.record(group.change);
    }
    this.advance();
  }

  /** One group; should an operation not fit the document (a bug above), each for itself, without that one. */
  private stage(operations: readonly Operation[]): StagedGroup[] {
    const seq = operations.at(-1)?.seq ?? this.lastSeq;
    const group = new LocalGroup(this.document, {
      ownSeq: (version) => this.own.seqOf(version),
      placeOf: (inode, version, registers) =>
        this.indexer.shownConflict(inode, version) ?? conflictPlace(version, registers),
    });
    try {
      for (const operation of operations) group.add(operation);
      const { touched, times } = group;
      return [{ seq, touched, times, change: group.write() ? this.document.commit() : undefined }];
    } catch (error) {
      if (isDead(error)) throw error;
      this.document.rollback();
      if (operations.length > 1) return operations.flatMap((operation) => this.stage([operation]));
      const reason = messageOf(error);
      this.parts.log.error('an operation does not fit the document and was left out', { seq, reason });
      return [{ seq, touched: group.touched, times: new Map(), change: undefined }];
    }
  }

  private found(): void {
    this.parts.log.info('founding the document');
    this.record(this.document.found(this.parts.network));
    this.changeLog.append();
  }

  private record(local: LocalChange | undefined): void {
    const entry: ChangeRecord = { changes: [], seq: this.lastSeq, heads: this.document.heads() };
    if (local !== undefined) {
      const { change, firstCounter, lastCounter } = local;
      entry.changes = [change];
      entry.own = { actor: this.document.actor, firstCounter, lastCounter, seq: this.lastSeq };
      this.own.add(entry.own);
      this.unsent.push(change);
    }
    this.changeLog.push(entry);
  }

  // Durability and the index

  /** Goes on where a full disk stopped it. @throws WormholeError `full` */
  retry(): void {
    this.advance();
  }

  /** Log first, so that the index is never ahead of what survives the process. */
  private advance(): void {
    this.changeLog.append();
    // Begins now, beside the index's own write; `settle` reports what comes of it.
    this.changeLog.sync().catch(() => {});
    const dirty = this.dirty;
    if (dirty === undefined) return;
    const change = this.updateIndex(dirty);
    this.dirty = undefined;
    const heads = this.document.heads();
    this.parts.events.emit('echo', { seq: this.lastSeq, change, heads, remote: dirty.remote });
  }

  private updateIndex({ inodes, times, all }: NonNullable<Engine['dirty']>): IndexChange {
    const stamp = { heads: this.document.heads(), seq: this.lastSeq, time: this.parts.clock.wallNs() };
    if (!all) return this.indexer.update({ ...stamp, touched: inodes, times });
    this.indexer.rebuild(stamp);
    return { inodes: [ROOT], names: [] };
  }

  private mark(inodes: Iterable<InodeId>, times: ReadonlyMap<InodeId, bigint>, remote: boolean): void {
    this.dirty ??= { inodes: new Set(), times: new Map(), all: false, remote: false };
    for (const inode of inodes) this.dirty.inodes.add(inode);
    for (const [inode, time] of times) this.dirty.times.set(inode, time);
    this.dirty.remote ||= remote;
  }

  /** At the start: the index shows what it was stamped with, the document may have more, or something else. */
  private catchUp(): void {
    const stamp = this.indexer.stamp();
    const heads = this.document.heads();
    if (sameHeads(stamp.heads, heads) && stamp.seq === this.lastSeq) return;
    const known = stamp.heads.length > 0 && this.document.contains(stamp.heads);
    this.mark([], new Map(), true);
    if (known && stamp.seq <= this.lastSeq) this.markChanges(this.document.changesSince(stamp.heads));
    else if (this.dirty !== undefined) this.dirty.all = true;
    if (!known) this.parts.log.info('building the index', { heads: heads.length });
    this.advance();
  }

  /** Resolves when everything that went in so far survives a power cut; then peers and the journal hear of it.
   *  @throws WormholeError `io`: nothing more will ever be durable in this log */
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
    const reached = { heads: this.document.heads(), seq: this.lastSeq };
    const changes = this.unsent;
    if (this.changeLog.isBehind) throw new WormholeError('full', 'the disk is full: free some space');
    this.unsent = [];
    await this.changeLog.sync();
    const moved = reached.seq !== this.durableNow.seq || !sameHeads(reached.heads, this.durableNow.heads);
    this.durableNow = reached;
    if (changes.length > 0) this.parts.events.emit('changes', { changes, heads: reached.heads });
    if (moved) this.parts.events.emit('durable', reached);
  }

  // Peers

  /** Takes pushed changes; those whose dependencies are missing wait.
   *  @throws WormholeError `protocol` when one is not valid; nothing was applied */
  async applyChanges(changes: readonly Uint8Array[]): Promise<Heads> {
    for (const change of changes) checkChange(change);
    for (let at = 0; at < changes.length; at += LIMITS.remoteBatchChangesMax) {
      const batch = changes.slice(at, at + LIMITS.remoteBatchChangesMax);
      this.takeIn(() => this.document.applyChanges(batch));
    }
    await this.settle();
    return this.durableNow.heads;
  }

  /** The next sync message; it speaks only of what is durable here. */
  async generate(peer: PodId): Promise<Uint8Array | undefined> {
    await this.settle();
    return this.document.generateSync(this.peers.of(peer));
  }

  /** @throws WormholeError `protocol` when the message is not valid; nothing was applied */
  async receive(peer: PodId, message: Uint8Array): Promise<Heads> {
    this.checkMessage(message);
    this.takeIn(() => this.document.receiveSync(this.peers.of(peer), message));
    await this.settle();
    return this.durableNow.heads;
  }

  disconnect(peer: PodId): Promise<void> {
    return this.peers.disconnect(peer);
  }

  async contains(heads: Heads): Promise<boolean> {
    if (!this.document.contains(heads)) return false;
    await this.settle();
    return true;
  }

  /** The whole document for a cold joiner, or undefined when plain sync does as well. */
  async snapshotForPeer(): Promise<Uint8Array | undefined> {
    await this.settle();
    const document = this.document.save();
    if (document.length < LIMITS.coldJoinSnapshotBytes) return undefined;
    const own = { actors: [], groups: [] };
    const header = { heads: this.document.heads(), seq: 0, log: '', logNext: 0, own };
    return encodeSnapshot({ header, document });
  }

  /** @throws WormholeError `exists` when there is a document, `protocol` when the snapshot is not valid */
  async adoptSnapshot(bytes: Uint8Array): Promise<Heads> {
    if (this.document.founded) throw new WormholeError('exists', 'there is a document already');
    const adopted = this.loadForeign(bytes);
    this.replaceDocument(adopted);
    await this.snapshot();
    this.markAll();
    this.advance();
    await this.settle();
    return this.durableNow.heads;
  }

  // Keeping

  /** Takes a snapshot when the log is long enough to be worth it. */
  async tidy(idle: boolean): Promise<void> {
    if (this.changeLog.isLong(idle ? 1 : 2) && !this.stalled) await this.snapshot();
  }

  /** Writes the document as a new snapshot, durably, and lets go of the records that it holds. */
  snapshot(): Promise<void> {
    this.snapshotting ??= this.writeSnapshot().finally(() => {
      this.snapshotting = undefined;
    });
    return this.snapshotting;
  }

  private async writeSnapshot(): Promise<void> {
    const { document, changeLog: log, logName, own, lastSeq: seq } = this;
    await rewrite(this.parts.folder, { document, log, logName, own, seq });
    await this.peers.save();
  }

  async close(): Promise<void> {
    await this.snapshotting?.catch(() => {});
    try {
      await this.settle();
      if (this.changeLog.isLong(0.1)) await this.snapshot();
      else await this.peers.save();
    } finally {
      await this.changeLog.close();
      this.peers.reset();
      this.document.free();
    }
  }

  // Taking in what comes from elsewhere

  /** Runs what puts changes into the document, and carries on whatever it put in, even when it fails. */
  private takeIn(work: () => void): void {
    const before = this.document.heads();
    const wasFounded = this.document.founded;
    let failure: unknown;
    try {
      work();
    } catch (error) {
      if (isDead(error)) throw error;
      failure = new WormholeError('protocol', `a peer's changes were refused: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const changes = this.document.changesSince(before);
    if (changes.length > 0) {
      this.markChanges(changes);
      if (!wasFounded) this.welcome();
      this.recordRemote(changes);
      this.advance();
    }
    if (failure !== undefined) throw failure;
  }

  /** A joiner's document got its first changes. */
  private welcome(): void {
    if (!this.document.founded) return;
    try {
      this.checkSchema();
    } catch (error) {
      this.dirty = undefined;
      this.replaceDocument(TreeDocument.empty(this.parts.actor));
      throw new WormholeError('protocol', messageOf(error));
    }
    this.document.spread();
    this.markAll();
  }

  private recordRemote(changes: readonly Uint8Array[]): void {
    for (let at = 0; at < changes.length; at += RECORD_CHANGES_MAX) {
      const part = changes.slice(at, at + RECORD_CHANGES_MAX);
      const isLast = at + RECORD_CHANGES_MAX >= changes.length;
      this.changeLog.push({ changes: part, seq: this.lastSeq, heads: isLast ? this.document.heads() : [] });
    }
  }

  private markChanges(changes: readonly Uint8Array[]): void {
    const decoded = changes.map((change) => automerge.decodeChange(change));
    const { inodes, all, writes } = this.document.touched(decoded);
    this.mark(inodes, new Map(), true);
    if (all) this.markAll();
    if (writes < SPREAD_FROM_WRITES) return;
    this.document.spread(new Set([...inodes].flatMap((inode) => parseInode(inode)?.bucket ?? [])));
  }

  private markAll(): void {
    this.mark([], new Map(), true);
    if (this.dirty !== undefined) this.dirty.all = true;
  }

  /** @throws WormholeError `protocol` */
  private checkMessage(message: Uint8Array): void {
    if (message.length > LIMITS.treeMessageBytesMax) {
      throw new WormholeError('protocol', 'a sync message is larger than the limit');
    }
    try {
      const { changes } = this.document.decodeSync(message);
      for (const change of changes) if (!isWholeDocument(change)) checkChange(change);
    } catch (error) {
      if (isDead(error) || error instanceof WormholeError) throw error;
      throw new WormholeError('protocol', 'a sync message is not valid', { cause: error });
    }
  }

  /** @throws WormholeError `protocol` */
  private loadForeign(bytes: Uint8Array): TreeDocument {
    try {
      const { header, document } = decodeSnapshot(bytes);
      const adopted = TreeDocument.load(document, this.parts.actor);
      this.checkSchema(adopted);
      if (!sameHeads(adopted.heads(), header.heads)) throw new RangeError('wrong heads');
      return adopted;
    } catch (error) {
      if (isDead(error)) throw error;
      throw new WormholeError('protocol', `a peer's snapshot is not valid: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  private replaceDocument(document: TreeDocument): void {
    this.peers.reset();
    this.document.free();
    this.document = document;
  }

  /** @throws WormholeError `newer-format`, or `corrupt` for the document of another network */
  private checkSchema(document = this.document): void {
    if (document.version() > SCHEMA_VERSION) {
      throw new WormholeError('newer-format', "this network's tree needs a newer wormhole: update this one");
    }
    const network = document.network();
    if (network === undefined || Buffer.compare(network, this.parts.network) !== 0) {
      throw new WormholeError('corrupt', 'the document belongs to another network');
    }
  }
}

/** What the load found, and whether the index had seen more than there is now (contract D10). */
function conditionOf({ document, condition }: Loaded, indexed: Heads): EngineCondition | undefined {
  const gone = indexed.filter((head) => !document.contains([head]));
  if (condition !== undefined)
    return { ...condition, missing: [...new Set([...condition.missing, ...gone])] };
  if (gone.length === 0) return undefined;
  const reason = 'the index shows changes that the document lost, as after a power cut';
  return { kind: 'behind', reason, missing: gone };
}
