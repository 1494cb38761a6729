import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import type { Batch, Database, Table } from '../../store/index.js';
import type { Counts, Row } from '../resolver/tables.js';
import type { Heads, InodeId } from '../schema.js';
import { type NamedContent, RowContents } from './contents.js';
import { decodeName, encodeName, isEmptyName, type NameRecord } from './name-record.js';
import { NumberedTexts } from './numbered-texts.js';
import { decodeRow, encodeRow, type RowNames } from './row-codec.js';
import { ShortIds } from './short-ids.js';

/** Raised when rows or names are stored in another way: the index is then built again from the document. */
const SCHEMA_VERSION = 1;
const META_TABLE = 'index-meta';
const ACTOR_TABLE = `index-actors-${SCHEMA_VERSION}`;
const START_TABLE = `index-starts-${SCHEMA_VERSION}`;
const META_KEY = 'stamp';

/** What the index shows, and where. */
export interface Meta {
  /** The document's heads that the index shows; empty: there is no index. */
  heads: Heads;
  /** The last journaled operation that is in it. */
  seq: number;
  /** Which of the two sets of tables is in force: a rebuild fills the other one and then switches. */
  generation: number;
  counts: Counts;
}

/** All that the index ever has. */
export const INDEX_TABLES: readonly string[] = [
  META_TABLE,
  ACTOR_TABLE,
  START_TABLE,
  ...[0, 1].flatMap((generation) => [rowTableName(generation), nameTableName(generation)]),
];

export const NO_COUNTS: Counts = { files: 0, directories: 0, bytes: 0, conflicts: 0, ignored: 0 };
export const NO_INDEX: Meta = { heads: [], seq: 0, generation: 0, counts: NO_COUNTS };

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    files: a.files + b.files,
    directories: a.directories + b.directories,
    bytes: a.bytes + b.bytes,
    conflicts: a.conflicts + b.conflicts,
    ignored: a.ignored + b.ignored,
  };
}

/** What {@link LayeredTables} lies over: the index as it stands in the database. */
export interface IndexReader {
  row(inode: InodeId): Row | undefined;
  name(parent: InodeId, name: string): NameRecord | undefined;
  /** Names of a folder in byte order, after one (exclusive). */
  names(parent: InodeId, after: string | undefined): Iterable<{ name: string; record: NameRecord }>;
}

/** The index in the embedded database: `rows` by inode, `names` by folder and name. */
export class DatabaseTables implements IndexReader {
  private readonly database: Database;
  private readonly actors: NumberedTexts;
  private readonly starts: NumberedTexts;
  private readonly ids: ShortIds;
  private readonly rowNames: RowNames;
  private readonly rowContents: RowContents;
  private readonly generation: number;
  private readonly rowTable: Table;
  private readonly nameTable: Table;

  constructor(database: Database, generation: number) {
    this.database = database;
    this.actors = new NumberedTexts(database, ACTOR_TABLE);
    this.starts = new NumberedTexts(database, START_TABLE);
    this.ids = new ShortIds(this.starts);
    this.rowNames = { actors: this.actors, ids: this.ids };
    this.rowContents = new RowContents(this.ids);
    this.generation = generation;
    this.rowTable = database.table(rowTableName(generation));
    this.nameTable = database.table(nameTableName(generation));
    // Both sets are there, so that a name that rotted can be told from the other's (`inspectDatabaseFile`).
    for (const name of INDEX_TABLES) database.table(name);
  }

  /** The database was refreshed: another thread has written to it. */
  refresh(): void {
    this.actors.refresh();
    this.starts.refresh();
  }

  row(inode: InodeId): Row | undefined {
    const key = this.ids.find(inode);
    const bytes = key === undefined ? undefined : this.rowTable.get(key);
    return bytes === undefined ? undefined : decodeRow(bytes, this.rowNames);
  }

  /** Rows in a stable order, after an inode (exclusive). */
  *rows(after: InodeId | undefined): Iterable<{ inode: InodeId; row: Row }> {
    const start = after === undefined ? undefined : this.ids.find(after);
    for (const { key, value } of this.rowTable.range(start === undefined ? {} : { start: `${start}\0` })) {
      yield { inode: this.ids.restore(key), row: decodeRow(value, this.rowNames) };
    }
  }

  /** The distinct contents of files after an inode (exclusive), in the order of `rows`, until there are `limit`. All of one
   *  inode stay together, since whoever goes on names the last inode. */
  contents(after: InodeId | undefined, limit: number): NamedContent[] {
    const found: NamedContent[] = [];
    const start = after === undefined ? undefined : this.ids.find(after);
    this.rowTable.scan(start === undefined ? {} : { start: `${start}\0` }, (key, value) => {
      this.rowContents.take(this.ids.restore(key), value, found);
      return found.length < limit;
    });
    return found;
  }

  /** The same, of one inode. */
  contentsAt(inode: InodeId): NamedContent[] {
    const found: NamedContent[] = [];
    const key = this.ids.find(inode);
    const bytes = key === undefined ? undefined : this.rowTable.get(key);
    if (bytes !== undefined) this.rowContents.take(inode, bytes, found);
    return found;
  }

  name(parent: InodeId, name: string): NameRecord | undefined {
    const folder = this.ids.find(parent);
    const bytes = folder === undefined ? undefined : this.nameTable.get(nameKey(folder, name));
    return bytes === undefined ? undefined : decodeName(bytes, this.ids);
  }

  *names(parent: InodeId, after: string | undefined): Iterable<{ name: string; record: NameRecord }> {
    const folder = this.ids.find(parent);
    if (folder === undefined) return;
    const start = after === undefined ? nameKey(folder, '') : `${nameKey(folder, after)}\0`;
    for (const { key, value } of this.nameTable.range({ start, end: `${folder}\x01` })) {
      yield { name: key.slice(folder.length + 1), record: decodeName(value, this.ids) };
    }
  }

  /** Writes rows and names (undefined or empty: removes them) and the stamp as one batch, and what `also` does. */
  write(
    rows: Iterable<[InodeId, Row | undefined]>,
    names: Iterable<[InodeId, string, NameRecord]>,
    meta: Meta | undefined,
    also?: (batch: Batch) => void,
  ): void {
    this.database.writeNow((batch) => {
      const rowTable = batch.table(rowTableName(this.generation));
      for (const [inode, row] of rows) {
        const key = this.ids.shorten(inode);
        if (row === undefined) rowTable.remove(key);
        else rowTable.put(key, encodeRow(row, this.rowNames));
      }
      const nameTable = batch.table(nameTableName(this.generation));
      for (const [parent, name, record] of names) {
        const key = nameKey(this.ids.shorten(parent), name);
        if (isEmptyName(record)) nameTable.remove(key);
        else nameTable.put(key, encodeName(record, this.ids));
      }
      this.actors.save(batch);
      this.starts.save(batch);
      if (meta !== undefined) writeMeta(batch, meta);
      also?.(batch);
    });
    this.actors.committed();
    this.starts.committed();
  }

  /** Removes some of what this generation holds as one batch. @returns false when nothing was left */
  clearSome(entries: number): boolean {
    for (const name of [rowTableName(this.generation), nameTableName(this.generation)]) {
      const keys = [...this.database.table(name).keys({ limit: entries })];
      if (keys.length === 0) continue;
      this.database.writeNow((batch) => {
        const table = batch.table(name);
        for (const key of keys) table.remove(key);
      });
      return true;
    }
    return false;
  }
}

/** The stamp of the index in a database, `NO_INDEX` when it has none or one of another schema. */
export function readMeta(database: Database): Meta {
  const bytes = database.table(META_TABLE).get(META_KEY);
  if (bytes === undefined) return NO_INDEX;
  const stored = decodeCbor(bytes) as Meta & { version: number };
  if (stored.version !== SCHEMA_VERSION) return NO_INDEX;
  const { heads, seq, generation, counts } = stored;
  return { heads, seq, generation, counts };
}

function writeMeta(batch: Batch, meta: Meta): void {
  batch.table(META_TABLE).put(META_KEY, encodeCbor({ version: SCHEMA_VERSION, ...meta }));
}

/** Ids and names hold no NUL, so that a folder's names are one range and no other folder's. */
function nameKey(parent: string, name: string): string {
  return `${parent}\0${name}`;
}

function rowTableName(generation: number): string {
  return `index-rows-${SCHEMA_VERSION}-${generation}`;
}

function nameTableName(generation: number): string {
  return `index-names-${SCHEMA_VERSION}-${generation}`;
}
