import type { IndexChange } from '../engine/indexer.js';
import type { Row } from '../resolver/tables.js';
import type { InodeId } from '../schema.js';
import type { NamedContent } from './contents.js';
import type { DatabaseTables, IndexReader } from './database-tables.js';
import { HotCache } from './hot-cache.js';
import type { LayeredTables } from './layered-tables.js';
import { EMPTY_NAME, isEmptyName, type NameRecord } from './name-record.js';

/** Decoded rows and names held in memory, by count: some 30 MB when both are full. */
const hotRowsMax = 32_768;
const hotNamesMax = 65_536;

/** The index with its hot part decoded in memory. Whoever hears that the index changed says what to forget. */
export class HotTables implements IndexReader {
  private below: DatabaseTables;
  private readonly hotRows = new HotCache<{ row: Row | undefined }>(hotRowsMax);
  private readonly hotNames = new HotCache<NameRecord>(hotNamesMax);

  constructor(below: DatabaseTables) {
    this.below = below;
  }

  row(inode: InodeId): Row | undefined {
    const hot = this.hotRows.get(inode);
    if (hot !== undefined) return hot.row;
    const row = this.below.row(inode);
    this.hotRows.set(inode, { row });
    return row;
  }

  /** Names that are not there are remembered too: most look-ups of a build or a `git status` fail. */
  name(parent: InodeId, name: string): NameRecord | undefined {
    const key = `${parent}\0${name}`;
    let record = this.hotNames.get(key);
    if (record === undefined) {
      record = this.below.name(parent, name) ?? EMPTY_NAME;
      this.hotNames.set(key, record);
    }
    return isEmptyName(record) ? undefined : record;
  }

  /** Straight from the database: a folder may be larger than memory. */
  names(parent: InodeId, after: string | undefined): Iterable<{ name: string; record: NameRecord }> {
    return this.below.names(parent, after);
  }

  rows(after: InodeId | undefined): Iterable<{ inode: InodeId; row: Row }> {
    return this.below.rows(after);
  }

  contents(after: InodeId | undefined, limit: number): NamedContent[] {
    return this.below.contents(after, limit);
  }

  contentsAt(inode: InodeId): NamedContent[] {
    return this.below.contentsAt(inode);
  }

  forget({ inodes, names }: IndexChange): void {
    this.below.refresh();
    for (const inode of inodes) this.hotRows.delete(inode);
    for (const { parent, name } of names) this.hotNames.delete(`${parent}\0${name}`);
  }

  forgetAll(): void {
    this.below.refresh();
    this.hotRows.clear();
    this.hotNames.clear();
  }

  /** A layer was written: what it holds is what the database has. */
  adopt(layer: LayeredTables): void {
    for (const [inode, row] of layer.heldRows()) this.hotRows.set(inode, { row });
    for (const [parent, name, record] of layer.heldNames()) this.hotNames.set(`${parent}\0${name}`, record);
  }

  /** The index was built again: everything comes from other tables now. */
  replace(below: DatabaseTables): void {
    this.below = below;
    this.forgetAll();
  }
}
