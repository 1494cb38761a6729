import type { Log } from '../../base/index.js';
import type { Database } from '../../store/index.js';
import type { IndexChange } from '../engine/indexer.js';
import { isOfPod, isProvisional, operationOf, patch } from '../operations/patch.js';
import { resolve } from '../resolver/resolve.js';
import type { Counts, Row, Seat } from '../resolver/tables.js';
import type { Heads, InodeId, Operation, OpId, Registers } from '../schema.js';
import type { NamedContent } from './contents.js';
import { addCounts, DatabaseTables, type Meta, NO_COUNTS, readMeta } from './database-tables.js';
import { HotTables } from './hot-tables.js';
import { LayeredTables, MARKS } from './layered-tables.js';
import { differences, keyOf, sameDentry, sameShown } from './same-view.js';

const NOTHING: IndexChange = { inodes: [], names: [] };
/** Each batch of changes pays for so many waiting writes to be shown again over it: a stream of batches comes every few
 *  milliseconds, and to show a write again takes some ten microseconds. */
const PAID_WRITES_PER_BATCH = 128;
/** With more writes waiting than that, what came from elsewhere is seen below them when they are fewer: to show them again
 *  would hold up the readers. */
const PAID_WRITES_MAX = 2_048;

/** An operation that the index does not show yet. */
interface Pending {
  operation: Operation;
  seq: number;
  /** Inodes that it writes to: most operations one, a batch hundreds. */
  writes: number;
  rows: InodeId[];
  names: Seat[];
  counts: Counts;
  /** How many remote batches had come when it was made. */
  remoteBatches: number;
  /** All that the document will make of it is shown. */
  isWhole: boolean;
}

export interface Echo {
  seq: number;
  change: IndexChange;
  heads: Heads;
  remote: boolean;
  /** The change is the first part of one with so many entries. */
  of?: number;
}

/**
 * The tree as readers on the main thread see it: the index in the database and, over it, the operations that are
 * not in it yet. Each entry over the index remembers the last operation that touched it, and goes when the
 * index shows that one. It works without the engine.
 */
export class Overlay {
  readonly tables: LayeredTables;
  private readonly database: Database;
  private readonly hot: HotTables;
  private readonly log: Log;
  private readonly actor: string;
  private meta: Meta;
  private pending: Pending[] = [];
  private writes = 0;
  private echoedSeq: number;
  private remoteBatches = 0;
  /** The index changed below the pending operations since they were resolved. */
  private stale = false;
  /** So many waiting writes may be shown again, paid for by the batches that came since it is stale. */
  private paidWrites = 0;
  /** Values of the index that pending operations have overwritten. */
  private readonly overwritten = new Map<InodeId, Set<OpId>>();
  private current: Pending | undefined;
  /** What this pod had done itself of the last echo of others' changes. */
  private ownNames: ReadonlySet<string> = new Set();
  private ownRows: ReadonlySet<InodeId> = new Set();

  /** @param actor the provisional one of this pod */
  constructor(database: Database, actor: string, log: Log) {
    this.database = database;
    this.actor = actor;
    this.log = log;
    this.meta = readMeta(database);
    this.echoedSeq = this.meta.seq;
    this.hot = new HotTables(new DatabaseTables(database, this.meta.generation));
    this.tables = new LayeredTables(this.hot);
    this.tables.onRow = (inode) => this.current?.rows.push(inode);
    this.tables.onName = (parent, name) => this.current?.names.push({ parent, name });
  }

  /** The last operation that the index shows. */
  get echoed(): number {
    return this.echoedSeq;
  }

  /** False until an index was made of the document for the first time. */
  get hasIndex(): boolean {
    return this.meta.heads.length > 0;
  }

  /** Operations that it does not show. */
  get depth(): number {
    return this.pending.length;
  }

  /** Writes in these operations. */
  get pendingWrites(): number {
    return this.writes;
  }

  /** Shows a journaled operation. Never throws: at worst the operation is seen only when the index has it.
   *  @returns the names that it touched, some of them more than once */
  apply(operation: Operation): readonly Seat[] {
    const pending: Pending = {
      operation,
      seq: operation.seq,
      writes: operation.writes.length,
      rows: [],
      names: [],
      counts: NO_COUNTS,
      remoteBatches: this.remoteBatches,
      isWhole: true,
    };
    this.show(pending, true);
    this.pending.push(pending);
    this.writes += pending.writes;
    return pending.names.filter(({ parent }) => parent !== MARKS);
  }

  /** @param isNew its user saw what is there now */
  private show(pending: Pending, isNew: boolean): void {
    const { operation } = pending;
    this.current = pending;
    this.tables.stamp = operation.seq;
    try {
      const { changes, isWhole } = patch(operation, this.tables, this.actor, this.ownIn(operation));
      if (!isWhole) pending.isWhole = false;
      if (isNew) for (const { inode, registers } of changes) this.noteOverwritten(inode, registers);
      pending.counts = resolve(this.tables, changes, { time: operation.time }).counts;
    } catch (error) {
      const { seq } = operation;
      this.log.error('an operation is not shown until the index has it', { seq, error });
    }
    this.current = undefined;
  }

  /** The index shows more: lets go of what it covers, and shows the rest over it anew.
   *  @returns what looks different to readers now; nothing when the index was built anew: anything may */
  echo({ seq, change, remote, of }: Echo): IndexChange {
    const rebuilt = this.refresh(change, of !== undefined);
    this.echoedSeq = Math.max(this.echoedSeq, seq);
    const settled = this.takeSettled(seq);
    const dropped = this.drop(settled, seq);
    if (remote) this.remoteBatches++;
    this.stale ||= remote || rebuilt;
    const moved = this.stale && this.isPaid() ? this.showAgain() : NOTHING;
    if (rebuilt) return NOTHING;
    const different = {
      inodes: [...dropped.inodes, ...moved.inodes],
      names: [...dropped.names, ...moved.names],
    };
    // Where others meddled with what waited, or with a file before it was written, a group may have done more than was
    // shown here: values that would have vanished by it are files of their own now.
    const meddled =
      remote || settled.some((each) => each.remoteBatches !== this.remoteBatches || !each.isWhole);
    if (!meddled) return different;
    const ownNames = new Set(settled.flatMap(({ names }) => names.map(keyOf)));
    const ownRows = new Set(settled.flatMap(({ rows }) => rows));
    if (!remote) {
      const isOwn = ({ parent, name }: Seat) => parent === MARKS || ownNames.has(keyOf({ parent, name }));
      return {
        inodes: [...different.inodes, ...change.inodes.filter((inode) => !ownRows.has(inode))],
        names: [...different.names, ...change.names.filter((seat) => !isOwn(seat))],
      };
    }
    this.ownNames = ownNames;
    this.ownRows = ownRows;
    const { inodes, names, contents = [] } = this.shown(change);
    return {
      inodes: [...new Set([...inodes, ...different.inodes])],
      names: [...names, ...different.names],
      contents,
    };
  }

  /** A part of what others did. @returns what of it looks different to readers: what this pod did itself was seen
   *  before, and of that, what the index had before says nothing */
  shown({ inodes, names, contents = [] }: IndexChange): IndexChange {
    return {
      inodes,
      names: names
        .filter(({ parent }) => parent !== MARKS)
        .map((seat) => (this.ownNames.has(keyOf(seat)) ? { parent: seat.parent, name: seat.name } : seat)),
      contents: contents.filter((inode) => !this.ownRows.has(inode)),
    };
  }

  /** Values of `l` and `d` that whoever looks at this inode here has seen, although they are not shown any more:
   *  a pending operation has replaced them. */
  seenBefore(inode: InodeId): Iterable<OpId> {
    return this.overwritten.get(inode) ?? [];
  }

  counts(): Counts {
    return this.pending.reduce((sum, { counts }) => addCounts(sum, counts), this.meta.counts);
  }

  /** Another one after each time that the index was built anew. */
  get generation(): number {
    return this.meta.generation;
  }

  /** Rows that the index has, in the order of their inodes. */
  rows(after: InodeId | undefined): Iterable<{ inode: InodeId; row: Row }> {
    return this.hot.rows(after);
  }

  /** @see DatabaseTables.contents: of the index, whatever waits over it */
  contents(after: InodeId | undefined, limit: number): NamedContent[] {
    return this.hot.contents(after, limit);
  }

  contentsAt(inode: InodeId): NamedContent[] {
    return this.hot.contentsAt(inode);
  }

  /** @param isPart much more than this has changed
   *  @returns whether the index was built anew */
  private refresh(change: IndexChange, isPart: boolean): boolean {
    this.database.refresh();
    const { generation } = this.meta;
    this.meta = readMeta(this.database);
    if (this.meta.generation === generation) {
      if (isPart) this.hot.forgetAll();
      else this.hot.forget(change);
      return false;
    }
    this.hot.replace(new DatabaseTables(this.database, this.meta.generation));
    return true;
  }

  private takeSettled(seq: number): Pending[] {
    let count = 0;
    while (count < this.pending.length && (this.pending[count] as Pending).seq <= seq) count++;
    const settled = this.pending.splice(0, count);
    for (const { writes } of settled) this.writes -= writes;
    if (this.pending.length === 0) this.overwritten.clear();
    return settled;
  }

  /** What nobody else meddled with is in the index as it was shown here; only the rest needs comparing. */
  private drop(settled: readonly Pending[], seq: number): IndexChange {
    const inodes: InodeId[] = [];
    const names: Seat[] = [];
    for (const pending of settled) {
      const compare = pending.remoteBatches !== this.remoteBatches;
      for (const inode of pending.rows) {
        const held = this.tables.dropRow(inode, seq);
        if (held !== undefined) this.overwritten.delete(inode);
        if (compare && held !== undefined && !sameShown(held.value, this.tables.row(inode)))
          inodes.push(inode);
      }
      for (const { parent, name } of pending.names) {
        const held = this.tables.dropName(parent, name, seq);
        if (!compare || held === undefined || parent === MARKS) continue;
        if (!sameDentry(held.value.dentry, this.tables.dentry(parent, name))) names.push({ parent, name });
      }
    }
    return { inodes, names };
  }

  private isPaid(): boolean {
    this.paidWrites = Math.min(this.paidWrites + PAID_WRITES_PER_BATCH, PAID_WRITES_MAX);
    return this.writes <= this.paidWrites;
  }

  /** What waits was resolved over an older index, which what came since may contradict (folders that lie in each
   *  other, names without an inode): resolves it over this one. @returns what looks different now */
  private showAgain(): IndexChange {
    this.stale = false;
    this.paidWrites = 0;
    if (this.pending.length === 0) return NOTHING;
    const before = new LayeredTables(this.hot);
    this.tables.moveTo(before);
    for (const pending of this.pending) {
      pending.rows = [];
      pending.names = [];
      pending.counts = NO_COUNTS;
      this.show(pending, false);
    }
    return differences(before, this.tables);
  }

  private noteOverwritten(inode: InodeId, after: Registers | undefined): void {
    const before = this.tables.row(inode)?.registers;
    if (before === undefined || after === undefined) return;
    const kept = new Set([...after.l, ...after.d].map(({ id }) => id));
    for (const { id } of [...before.l, ...before.d]) {
      if (kept.has(id) || isProvisional(id)) continue;
      const ids = this.overwritten.get(inode);
      if (ids === undefined) this.overwritten.set(inode, new Set([id]));
      else ids.add(id);
    }
  }

  /** Values of this pod that the operation saw without knowing their ids: those that are pending still, and
   *  those that were when it was made (it comes from the journal, or from a file that was open for long). */
  private ownIn(operation: Operation): (id: OpId) => boolean {
    const shown = operation.seen < this.echoedSeq;
    return (id) => (isProvisional(id) ? operationOf(id) < operation.seq : shown && isOfPod(this.actor, id));
  }
}
