import type { Database, Table, Write } from '../../store/index.js';

/** What one row holds in memory beside its value, roughly. */
const ROW_BYTES = 160;

/** Rows of one table that are readable at once and reach the database in batches, off this thread. */
export class Overlay {
  private readonly database: Database;
  private readonly name: string;
  private readonly table: Table;
  private waiting = new Map<string, Uint8Array | undefined>();
  private inBatch: Map<string, Uint8Array | undefined> | undefined;
  private running: Promise<void> | undefined;
  /** Bytes in memory that wait for the next batch. */
  waitingBytes = 0;

  constructor(database: Database, table: string) {
    this.database = database;
    this.name = table;
    this.table = database.table(table);
  }

  /** The value, or undefined when absent. */
  get(key: string): Uint8Array | undefined {
    for (const rows of [this.waiting, this.inBatch]) {
      if (rows === undefined || rows.size === 0) continue;
      const value = rows.get(key);
      if (value !== undefined || rows.has(key)) return value;
    }
    return this.table.get(key);
  }

  has(key: string): boolean {
    if (this.waiting.has(key)) return this.waiting.get(key) !== undefined;
    if (this.inBatch?.has(key)) return this.inBatch.get(key) !== undefined;
    return this.table.has(key);
  }

  /** Keys that are in the database already. */
  keys(): Iterable<string> {
    return this.table.keys({});
  }

  /** True while a batch is on its way. */
  get committing(): boolean {
    return this.running !== undefined;
  }

  /** @param value is kept as it is */
  put(key: string, value: Uint8Array): void {
    this.waiting.set(key, value);
    this.waitingBytes += value.length + ROW_BYTES;
  }

  remove(key: string): void {
    this.waiting.set(key, undefined);
    this.waitingBytes += ROW_BYTES;
  }

  /** Resolves when everything put so far is in the database. After a failure it waits for the next call.
   *  @throws WormholeError `full` */
  commit(): Promise<void> {
    const running = this.running;
    if (running !== undefined) return running.catch(() => {}).then(() => this.commit());
    if (this.waiting.size === 0) return Promise.resolve();
    this.running = this.commitBatch().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** Resolves when everything put so far survives a power cut. */
  async flush(): Promise<void> {
    if (this.waiting.size === 0 && this.running === undefined) return;
    await this.commit();
    await this.database.flush();
  }

  private async commitBatch(): Promise<void> {
    const batch = this.waiting;
    const { waitingBytes } = this;
    this.inBatch = batch;
    this.waiting = new Map();
    this.waitingBytes = 0;
    try {
      await this.database.write(writesOf(this.name, batch));
      this.database.refresh();
    } catch (error) {
      for (const [key, value] of batch) if (!this.waiting.has(key)) this.waiting.set(key, value);
      this.waitingBytes += waitingBytes;
      throw error;
    } finally {
      this.inBatch = undefined;
    }
  }
}

function writesOf(table: string, rows: Map<string, Uint8Array | undefined>): Write[] {
  const writes: Write[] = [];
  for (const [key, value] of rows) writes.push(value === undefined ? { table, key } : { table, key, value });
  return writes;
}
