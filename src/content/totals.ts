import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeCbor, encodeCbor } from '../base/cbor.js';
import { WormholeError } from '../base/index.js';
import type { Database } from '../store/index.js';

const TABLE = 'content.state';
const KEY = 'totals';
const SMALL_TABLE = 'content.small';
/** Rows counted before the event loop gets its turn. */
const SLICE_ROWS = 2_000;

/** Chunks and bytes in the store: kept up to date in memory, written down on a clean stop, else counted anew. */
export class Totals {
  chunks = 0;
  bytes = 0;
  private readonly database: Database;
  /** False after an unclean stop, until everything is counted. */
  private exact = false;

  constructor(database: Database) {
    this.database = database;
    const row = database.table(TABLE).get(KEY);
    if (row === undefined) this.exact = true;
    else [this.chunks, this.bytes, this.exact] = decodeCbor(row) as [number, number, boolean];
  }

  add(chunks: number, bytes: number): void {
    this.chunks += chunks;
    this.bytes += bytes;
  }

  /** To be called at the start: from here on a crash leaves a count that is not exact. */
  async begin(): Promise<{ exact: boolean }> {
    const { exact } = this;
    try {
      await this.write(false);
    } catch (error) {
      // A full disk must not keep the store from opening; what is counted is counted anew.
      if (!(error instanceof WormholeError) || error.code !== 'full') throw error;
      this.exact = false;
      return { exact: false };
    }
    return { exact };
  }

  /** Counts everything; what is added meanwhile may be counted twice or not, as it comes. */
  async count(chunkFolder: string, signal: AbortSignal): Promise<void> {
    const before = { chunks: this.chunks, bytes: this.bytes };
    const small = await this.countSmall(signal);
    const large = await countFiles(chunkFolder, signal);
    if (signal.aborted) return;
    this.chunks += small.chunks + large.chunks - before.chunks;
    this.bytes += small.bytes + large.bytes - before.bytes;
    this.exact = true;
  }

  /** To be called at a clean stop. */
  async end(): Promise<void> {
    await this.write(this.exact);
  }

  private write(exact: boolean): Promise<void> {
    return this.database.write([
      { table: TABLE, key: KEY, value: encodeCbor([this.chunks, this.bytes, exact]) },
    ]);
  }

  private async countSmall(signal: AbortSignal): Promise<{ chunks: number; bytes: number }> {
    let chunks = 0;
    let bytes = 0;
    for (const { value } of this.database.table(SMALL_TABLE).range({})) {
      chunks++;
      bytes += value.length;
      if (chunks % SLICE_ROWS !== 0) continue;
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) break;
    }
    return { chunks, bytes };
  }
}

async function countFiles(folder: string, signal: AbortSignal): Promise<{ chunks: number; bytes: number }> {
  let chunks = 0;
  let bytes = 0;
  for (const part of await readdir(folder)) {
    for (const name of await readdir(join(folder, part))) {
      if (signal.aborted) return { chunks, bytes };
      const found = await stat(join(folder, part, name)).catch(() => undefined);
      if (found === undefined) continue;
      chunks++;
      bytes += found.size;
    }
  }
  return { chunks, bytes };
}
