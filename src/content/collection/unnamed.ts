import type { Database, Write } from '../../store/index.js';
import type { ChunkId } from '../content.js';

const TABLE = 'content.unnamed';
const AGE_BYTES = 6;

/** Chunks that a round found without a name, with the store's uptime in milliseconds when it did. */
export class Unnamed {
  private readonly database: Database;
  private waiting: Write[] = [];

  constructor(database: Database) {
    this.database = database;
  }

  /** Since when the chunk was found unnamed, in milliseconds of uptime. */
  since(id: ChunkId): number | undefined {
    const row = this.database.table(TABLE).get(id);
    return row === undefined ? undefined : Buffer.from(row).readUIntBE(0, AGE_BYTES);
  }

  get count(): number {
    return this.database.table(TABLE).count();
  }

  /** In the order of their ids, after one (exclusive). */
  *ids(after: ChunkId | undefined, limit: number): Iterable<ChunkId> {
    yield* this.database.table(TABLE).keys(after === undefined ? { limit } : { start: `${after}\0`, limit });
  }

  add(id: ChunkId, uptimeMs: number): void {
    const value = Buffer.alloc(AGE_BYTES);
    value.writeUIntBE(uptimeMs, 0, AGE_BYTES);
    this.waiting.push({ table: TABLE, key: id, value });
  }

  forget(id: ChunkId): void {
    this.waiting.push({ table: TABLE, key: id });
  }

  /** Brings what was said since the last call to the database. */
  async save(): Promise<void> {
    const writes = this.waiting;
    this.waiting = [];
    if (writes.length === 0) return;
    await this.database.write(writes);
    this.database.refresh();
  }
}
