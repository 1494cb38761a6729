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
import { passedContents } from '../history/passed.js';
import type { LocalTimes } from '../resolver/tables.js';
import type { Heads, InodeId, Operation } from '../schema.js';
import { parseInode } from './allocator.js';
import { automerge, type DecodedChange, isDead } from './automerge.js';
import { type CheckedChange, checkChange } from './change-check.js';
import type { ChangeLog } from './change-log.js';
import type { EngineCondition, EngineEvents } from './client.js';
import { conflictPlace } from './conflict-place.js';
import { type LocalChange, TreeDocument } from './document.js';
import { checkMessage, checkSchema, loadForeign } from './foreign.js';
import type { Indexer, RegisterReader } from './indexer.js';
import { Intake } from './intake.js';
import { Keeper } from './keeper.js';
import { type KnownRegisters, registersAfter } from './known-registers.js';
import { type Loaded, type LoadOptions, loadDocument, rewrite, sameHeads } from './load.js';
import { LocalGroup } from './local-group.js';
import type { OwnWrites } from './own-writes.js';
import { PeerStates } from './peer-states.js';
import { encodeSnapshot } from './snapshot.js';

/** Remote writes at once from which on the buckets they touched are spread again. */
const SPREAD_FROM_WRITES = 1_000;
/** Changes in one record of the log, and their bytes, unless one alone has more. */
const RECORD_CHANGES_MAX = 1_000;
const RECORD_BYTES = 4 * 1024 * 1024;

export interface EngineParts extends LoadOptions {
  /** Folder of the change log and the snapshot. */
  folder: string;
  actor: string;
  founder: boolean;
  database: Database;
  makeIndexer(database: Database, reader: RegisterReader, clock: Clock): Indexer;
  /** Heard from the first moment on: catching up at the start echoes too. */
  events: Emitter<EngineEvents>;
  clock: Clock;
  log: Log;
}

interface StagedGroup {
  seq: number;
  touched: ReadonlySet<InodeId>;
  known: KnownRegisters;
  times: ReadonlyMap<InodeId, LocalTimes>;
  change: LocalChange | undefined;
}

/**
 * The document with its files, its index and its peers, on one thread. Local groups and remote changes go in
 * synchronously, one after the other; the {@link Keeper} carries them on. `settle` waits until all of it
 * survives a power cut; only then do others hear of it.
 */
export class Engine {
  readonly condition: EngineCondition | undefined;
  private readonly parts: EngineParts;
  private readonly indexer: Indexer;
  private readonly peers: PeerStates;
  private readonly own: OwnWrites;
  private readonly changeLog: ChangeLog;
  private readonly logName: string;
  private readonly keeper: Keeper;
  private document: TreeDocument;
  private lastSeq: number;
  private snapshotting: Promise<void> | undefined;

  private constructor(parts: EngineParts, loaded: Loaded) {
    const { database, events, clock } = parts;
    this.parts = parts;
    this.document = loaded.document;
    this.changeLog = loaded.log;
    this.logName = loaded.logName;
    this.own = loaded.own;
    this.lastSeq = loaded.seq;
    this.peers = new PeerStates(database, (heads) => this.document.contains(heads));
    this.indexer = parts.makeIndexer(
      database,
      {
        read: (inode) => this.document.read(inode),
        all: () => this.document.all(),
        inodesMax: () => this.document.inodesMax(),
      },
      clock,
    );
    this.condition = conditionOf(loaded, this.indexer.stamp().heads);
    this.keeper = new Keeper({
      log: loaded.log,
      indexer: this.indexer,
      read: (inode) => this.document.read(inode),
      events,
      clock,
      now: () => ({ heads: this.document.heads(), seq: this.lastSeq }),
    });
  }

  /** Loads the document, verifies it, founds it where that is due, and brings the index up to it.
   *  @throws WormholeError `newer-format`, `corrupt` for the document of another network, `full`, `io` */
  static async open(parts: EngineParts): Promise<Engine> {
    const engine = new Engine(parts, await loadDocument(parts.folder, parts.actor, parts));
    if (engine.document.heads().length > 0) checkSchema(engine.document);
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
    return this.keeper.durable;
  }

  /** True while log or index lag behind the document because the disk is full: `retry`. */
  get stalled(): boolean {
    return this.keeper.stalled;
  }

  /** Goes on where a full disk stopped it. @throws WormholeError `full` */
  retry(): void {
    this.keeper.advance();
  }

  /** Resolves when everything that went in so far survives a power cut.
   *  @throws WormholeError `io`: nothing more will ever be durable in this log; `full`: later perhaps */
  settle(): Promise<void> {
    return this.keeper.settle();
  }

  // Local operations

  /** Puts whole operations into the document as one change; those it has already are skipped.
   *  @throws WormholeError `full`: the operations are in the document, and reach the disk with `retry`; `busy`
   *  before the document is {@link founded}: nothing was applied */
  apply(operations: readonly Operation[]): void {
    const fresh = operations.filter(({ seq }) => seq > this.lastSeq);
    if (fresh.length === 0) return;
    if (!this.founded) throw new WormholeError('busy', 'the document is not here yet');
    this.own.forget(Math.min(...fresh.map(({ seen }) => seen)));
    for (const { seq, touched, known, times, change } of this.stage(fresh)) {
      this.lastSeq = seq;
      this.keeper.mark(touched, known, { remote: false, times });
      this.record(change);
    }
    this.keeper.advance();
  }

  /** One group; should an operation not fit the document (a bug above), each for itself, without that one. */
  private stage(operations: readonly Operation[]): StagedGroup[] {
    const seq = operations.at(-1)?.seq ?? this.lastSeq;
    const group = new LocalGroup(this.document, {
      registers: (inode) => this.keeper.registers(inode),
      ownSeq: (version) => this.own.seqOf(version),
      placeOf: (inode, version, registers) =>
        this.indexer.shownConflict(inode, version) ?? conflictPlace(version, registers),
    });
    try {
      for (const operation of operations) group.add(operation);
      const { touched, known, times } = group;
      return [{ seq, touched, known, times, change: group.write() ? this.document.commit() : undefined }];
    } catch (error) {
      if (isDead(error)) throw error;
      this.document.rollback();
      if (operations.length > 1) return operations.flatMap((operation) => this.stage([operation]));
      const reason = messageOf(error);
      this.parts.log.error('an operation does not fit the document and was left out', { seq, reason });
      return [{ seq, touched: group.touched, known: new Map(), times: new Map(), change: undefined }];
    }
  }

  private found(): void {
    this.parts.log.info('founding the document');
    const change = this.document.found();
    this.keeper.record({ changes: [change], seq: this.lastSeq, heads: this.document.heads() });
  }

  private record(local: LocalChange | undefined): void {
    const [seq, heads] = [this.lastSeq, this.document.heads()];
    if (local === undefined) {
      this.keeper.record({ changes: [], seq, heads });
      return;
    }
    const { change, firstCounter, lastCounter } = local;
    const own = { actor: this.document.actor, firstCounter, lastCounter, seq };
    this.own.add(own);
    this.keeper.record({ changes: [change], seq, heads, own });
  }

  /** At the start: the index shows what it was stamped with, the document may have more, or something else. */
  private catchUp(): void {
    const stamp = this.indexer.stamp();
    const heads = this.document.heads();
    const isSame = sameHeads(stamp.heads, heads) && stamp.seq === this.lastSeq;
    const isKnown = stamp.heads.length > 0 && this.document.contains(stamp.heads);
    if (!isSame && isKnown && stamp.seq <= this.lastSeq) {
      this.markChanges(this.document.changesSince(stamp.heads).map(automerge.decodeChange));
    } else if (!isSame) {
      this.parts.log.info('building the index', { heads: heads.length });
      this.keeper.markAll();
    }
    try {
      this.keeper.advance();
    } catch (error) {
      if (isSame || !isKnown || isDead(error) || codeOf(error) === 'full' || codeOf(error) === 'io')
        throw error;
      // An index that cannot be brought up to the document is made anew from it.
      this.parts.log.error('the index does not take the changes and is built anew', { error });
      this.keeper.markAll();
      this.keeper.advance();
    }
  }

  // Peers

  /** Takes pushed changes; those whose dependencies are missing wait.
   *  @throws WormholeError `protocol` when one is not valid; nothing was applied */
  async applyChanges(changes: readonly Uint8Array[]): Promise<Heads> {
    const checked = changes.map(checkChange);
    for (let at = 0; at < checked.length; at += LIMITS.remoteBatchChangesMax) {
      const batch = checked.slice(at, at + LIMITS.remoteBatchChangesMax);
      this.takeIn(batch, () => this.document.applyChanges(batch.map(({ bytes }) => bytes)));
    }
    await this.settle();
    return this.durable.heads;
  }

  /** The next sync message; it speaks only of what is durable here. */
  async generate(peer: PodId): Promise<Uint8Array | undefined> {
    await this.settle();
    return this.document.generateSync(this.peers.of(peer));
  }

  /** @throws WormholeError `protocol` when the message is not valid; nothing was applied */
  async receive(peer: PodId, message: Uint8Array): Promise<Heads> {
    const carried = checkMessage(message);
    this.takeIn(carried, () => this.document.receiveSync(this.peers.of(peer), message));
    await this.settle();
    return this.durable.heads;
  }

  disconnect(peer: PodId): Promise<void> {
    return this.peers.disconnect(peer);
  }

  /** True when the document has all of `heads`, durably. */
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
    const hidden = this.document.hiddenMaps();
    return encodeSnapshot({ header: hidden.length > 0 ? { ...header, hidden } : header, document });
  }

  /** @throws WormholeError `exists` when there is a document, `protocol` when the snapshot is not valid */
  async adoptSnapshot(bytes: Uint8Array): Promise<Heads> {
    this.checkEmpty();
    const { actor, network, folder } = this.parts;
    const document = loadForeign(bytes, actor, network);
    const { changeLog: log, logName, own, lastSeq: seq } = this;
    // Durable first: nothing may build upon it before.
    await rewrite(folder, { document, log, logName, own, seq });
    this.checkEmpty();
    this.replaceDocument(document);
    this.keeper.markAll();
    this.keeper.advance();
    await this.settle();
    return this.durable.heads;
  }

  private checkEmpty(): void {
    if (this.founded) throw new WormholeError('exists', 'there is a document already');
  }

  // Keeping

  /** Takes a snapshot when the log is long enough to be worth it; when idle, half of that is enough. */
  async tidy(idle: boolean): Promise<void> {
    if (idle) this.indexer.idle?.();
    if (this.changeLog.isLong(idle ? 1 : 2) && !this.stalled) await this.snapshot();
  }

  /** Old versions and deleted entries are listed for so long, in time that this store was open. */
  async forgetHistory(periodMs: number): Promise<void> {
    await this.indexer.forgetHistory?.(periodMs);
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

  /** @throws WormholeError `full` or `io` when the last of it could not be made durable; it is closed anyway */
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

  /** Runs what puts changes into the document, and carries on whatever it put in, even when it fails.
   *  @param given the changes it is about */
  private takeIn(given: readonly CheckedChange[], work: () => void): void {
    const intake = new Intake(this.document, given);
    const wasFounded = this.founded;
    let failure: WormholeError | undefined;
    try {
      work();
    } catch (error) {
      if (isDead(error)) throw error;
      const reason = messageOf(error);
      failure = new WormholeError('protocol', `a peer's changes were refused: ${reason}`, { cause: error });
    }
    const added = intake.added();
    if (added.length > 0) {
      if (!wasFounded) this.welcome();
      this.markChanges(added.map(({ decoded }) => decoded));
      this.recordRemote(added.map(({ bytes }) => bytes));
      this.keeper.advance();
    }
    if (failure !== undefined) throw failure;
  }

  /** A joiner's document has its beginning now. */
  private welcome(): void {
    try {
      checkSchema(this.document);
    } catch (error) {
      this.replaceDocument(TreeDocument.empty(this.parts.actor, this.parts.network));
      throw new WormholeError('protocol', messageOf(error));
    }
    this.document.findBuckets();
    this.document.spread();
    this.keeper.markAll();
  }

  private recordRemote(changes: readonly Uint8Array[]): void {
    const heads = this.document.heads();
    const parts = partsOf(changes);
    for (const [at, part] of parts.entries()) {
      const isLast = at === parts.length - 1;
      this.keeper.record({ changes: part, seq: this.lastSeq, heads: isLast ? heads : [] });
    }
  }

  private markChanges(decoded: readonly DecodedChange[]): void {
    const { inodes, writes, strange, registerWrites } = this.document.touched(decoded);
    const known = registersAfter(registerWrites, (inode) => this.keeper.registers(inode));
    this.keeper.mark(inodes, known, { remote: true });
    this.keeper.pass(passedContents(registerWrites, known));
    if (strange > 0) this.parts.log.warn('writes that have no place in the schema were ignored', { strange });
    if (writes < SPREAD_FROM_WRITES) return;
    this.document.spread(new Set([...inodes].flatMap((inode) => parseInode(inode)?.bucket ?? [])));
  }

  private replaceDocument(document: TreeDocument): void {
    this.peers.reset();
    this.document.free();
    this.document = document;
  }
}

/** Changes in pieces that fit a record of the log. */
function partsOf(changes: readonly Uint8Array[]): Uint8Array[][] {
  const parts: Uint8Array[][] = [];
  let part: Uint8Array[] = [];
  let bytes = 0;
  for (const change of changes) {
    if (part.length === RECORD_CHANGES_MAX || bytes + change.length > RECORD_BYTES) {
      if (part.length > 0) parts.push(part);
      [part, bytes] = [[], 0];
    }
    part.push(change);
    bytes += change.length;
  }
  return [...parts, part];
}

function codeOf(error: unknown): string | undefined {
  return error instanceof WormholeError ? error.code : undefined;
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
