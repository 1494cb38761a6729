import { type Clock, systemClock, WormholeError } from '../../base/index.js';
import type { Batch, Database } from '../../store/index.js';
import type { IndexChange, Indexer, RegisterReader } from '../engine/indexer.js';
import type { HistoryLog } from '../history/history-log.js';
import { HistoryRecorder, type Observed } from '../history/recorder.js';
import { resolve } from '../resolver/resolve.js';
import { type Change, type Context, type Counts, conflictInode, type Row } from '../resolver/tables.js';
import { shownShadow } from '../resolver/view.js';
import type { Heads, InodeId, OpId, Registers } from '../schema.js';
import {
  addCounts,
  DatabaseTables,
  type IndexReader,
  type Meta,
  NO_COUNTS,
  readMeta,
} from './database-tables.js';
import { FreshTables } from './fresh-tables.js';
import { HotTables } from './hot-tables.js';
import { LayeredTables } from './layered-tables.js';

/** A rebuild resolves and writes so many inodes at a time, and lets other writers of the database in between. */
const rebuildBatchInodes = 2_000;
const clearBatchEntries = 5_000;
const inodesUnknown = 65_536;
/** The old tables go bit by bit after a rebuild, and not before every reader has heard of the new ones. */
const clearAfterUpdates = 16;
const clearEntriesPerUpdate = 500;

/** The index of a database, kept equal to the resolver's result for the document that `reader` reads. */
export function makeIndexer(
  database: Database,
  reader: RegisterReader,
  clock: Clock = systemClock,
  historyLog?: HistoryLog,
): Indexer {
  return new DatabaseIndexer(database, reader, clock, historyLog);
}

class DatabaseIndexer implements Indexer {
  private readonly database: Database;
  private readonly reader: RegisterReader;
  private meta: Meta;
  private tables: DatabaseTables;
  private hot: HotTables;
  private old: DatabaseTables | undefined;
  private updates = 0;
  private readonly history: HistoryRecorder;

  constructor(database: Database, reader: RegisterReader, clock: Clock, historyLog: HistoryLog | undefined) {
    this.database = database;
    this.reader = reader;
    this.meta = readMeta(database);
    this.tables = new DatabaseTables(database, this.meta.generation);
    this.hot = new HotTables(this.tables);
    // A rebuild may have left something behind: half of the new tables, or the old ones.
    this.old = new DatabaseTables(database, otherGeneration(this.meta));
    const left = (folder: InodeId, limit: number) => this.countEntries(folder, limit);
    const monotonicMs = () => clock.monotonicMs();
    this.history = new HistoryRecorder({ database, log: historyLog, monotonicMs, left });
  }

  stamp(): { heads: Heads; seq: number } {
    return { heads: this.meta.heads, seq: this.meta.seq };
  }

  registers(inode: InodeId): Registers | undefined {
    return this.hot.row(inode)?.registers;
  }

  update(change: Parameters<Indexer['update']>[0]): IndexChange {
    try {
      return this.updateNow(change);
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
      // All of it comes from the document: a rotten row is a reason to make the rows anew. Whoever reads the
      // stamp sees that everything has changed.
      this.rebuild(change);
      return { inodes: [], names: [] };
    }
  }

  private updateNow(change: Parameters<Indexer['update']>[0]): IndexChange {
    const { touched, known, heads, seq, time, times, passed = [] } = change;
    const observed: Observed[] = [];
    const timesOf = (inode: InodeId) => times?.get(inode);
    const observe = (inode: InodeId, before: Row | undefined, now: Row) => {
      if (before !== undefined || !now.alive) observed.push({ inode, before, now });
    };
    const changes = [...touched].map((each): Change => {
      return { inode: each, registers: known.has(each) ? known.get(each) : this.reader.read(each) };
    });
    const { layer, counts, inodes } = resolveIn(this.hot, changes, { time, timesOf, observe });
    const meta: Meta = { ...this.meta, heads, seq, counts: addCounts(this.meta.counts, counts) };
    const shown = changeOf(layer, inodes, this.hot);
    const wallMs = (inode: InodeId) => Number((timesOf(inode)?.last ?? time) / 1_000_000n);
    const notes = this.history.note(observed, passed, wallMs);
    if (notes !== undefined) this.history.keep(notes);
    const also = notes && ((batch: Batch) => this.history.write(batch, notes));
    this.tables.write(layer.heldRows(), layer.heldNames(), meta, also);
    this.meta = meta;
    this.hot.adopt(layer);
    if (notes !== undefined) this.history.written(notes);
    this.clearOld();
    return shown;
  }

  rebuild({ heads, seq, time }: { heads: Heads; seq: number; time: bigint }): void {
    const generation = otherGeneration(this.meta);
    const tables = new DatabaseTables(this.database, generation);
    const fresh = new FreshTables(tables, this.reader.inodesMax?.() ?? inodesUnknown);
    while (tables.clearSome(clearBatchEntries));
    let counts = NO_COUNTS;
    for (const changes of batches(this.reader.all(), rebuildBatchInodes)) {
      const { layer, counts: more } = resolveIn(fresh, changes, { time });
      counts = addCounts(counts, more);
      tables.write(layer.heldRows(), layer.heldNames(), undefined);
      fresh.adopt(layer);
    }
    // From this write on readers see the new tables, and nothing of the old ones.
    const meta: Meta = { heads, seq, generation, counts };
    tables.write([], [], meta);
    this.old = this.tables;
    this.updates = 0;
    this.meta = meta;
    this.tables = tables;
    this.hot = new HotTables(tables);
  }

  shownConflict(inode: InodeId, version: OpId): { parent: InodeId; name: string } | undefined {
    const shadow = shownShadow(new LayeredTables(this.hot), conflictInode(inode, version));
    return shadow === undefined ? undefined : { parent: shadow.parent, name: shadow.name };
  }

  idle(): void {
    this.history.idle();
  }

  forgetHistory(periodMs: number): Promise<void> {
    return this.history.forget(periodMs);
  }

  private countEntries(folder: InodeId, limit: number): number {
    return [...new LayeredTables(this.hot).dentries(folder, undefined, limit)].length;
  }

  private clearOld(): void {
    if (this.old === undefined || ++this.updates < clearAfterUpdates) return;
    if (!this.old.clearSome(clearEntriesPerUpdate)) this.old = undefined;
  }
}

function resolveIn(
  below: IndexReader,
  changes: readonly Change[],
  context: Context,
): { layer: LayeredTables; counts: Counts; inodes: InodeId[] } {
  const layer = new LayeredTables(below);
  const { counts, inodes } = resolve(layer, changes, context);
  return { layer, counts, inodes };
}

function otherGeneration(meta: Meta): number {
  return meta.generation === 0 ? 1 : 0;
}

/** Everything that a reader may have kept, and the virtual inodes that have no row of their own.
 *  @param before the index as it was, all of what changes in it hot */
function changeOf(layer: LayeredTables, inodes: readonly InodeId[], before: HotTables): IndexChange {
  const rows = new Set(inodes);
  const contents: InodeId[] = [];
  for (const [inode, row] of layer.heldRows()) {
    rows.add(inode);
    if (hasOtherContent(before.row(inode), row)) contents.push(inode);
  }
  const names: IndexChange['names'] = [];
  for (const [parent, name] of layer.heldNames()) {
    const dentry = before.name(parent, name)?.dentry;
    names.push({
      parent,
      name,
      before: dentry === undefined ? null : { inode: dentry.inode, kind: dentry.kind },
    });
  }
  return { inodes: [...rows], names, contents };
}

function hasOtherContent(before: Row | undefined, after: Row | undefined): boolean {
  const [old, now] = [before?.registers.d.at(-1)?.value, after?.registers.d.at(-1)?.value];
  if (old?.kind !== 'file' || now?.kind !== 'file') return false;
  return old.content !== now.content || old.size !== now.size;
}

function* batches<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
