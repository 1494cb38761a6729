import type { Answer } from '../../base/index.js';
import { LIMITS, sha256, WormholeError } from '../../base/index.js';
import type { Database, LogPosition, RecordLog } from '../../store/index.js';
import type { ChunkId } from '../content.js';
import type { Chunks } from './chunks.js';
import { Overlay } from './overlay.js';

const SMALL_TABLE = 'content.small';
const DAMAGED_TABLE = 'content.damaged';
const HASH = /^[0-9a-f]{64}$/;
/** Bytes that no chunk has. */
const ROTTEN = new Uint8Array(0);

/** The table of a row that was saved from a damaged database: a chunk's name follows from its bytes. */
export function tableOfSaved({ key, value }: { key: string; value: Uint8Array }): string | undefined {
  return sha256(value) === key ? SMALL_TABLE : undefined;
}

/**
 * Small chunks, in the database. A durable one is appended to a log first, by one write() on this thread, and
 * is readable from memory at once; batches move what was appended to the database, and the log lets go of it.
 */
export class SmallChunks implements Chunks {
  private readonly log: RecordLog;
  private readonly rows: Overlay;
  private readonly damaged: Overlay;
  private readonly warn: (error: unknown) => void;

  constructor(options: { database: Database; log: RecordLog; warn: (error: unknown) => void }) {
    this.warn = options.warn;
    this.log = options.log;
    this.rows = new Overlay(options.database, SMALL_TABLE);
    this.damaged = new Overlay(options.database, DAMAGED_TABLE);
  }

  /** Takes up what an earlier process appended and did not move. To be called once, before anything else. */
  recover(): void {
    for (const { record } of this.log.read(this.log.first))
      this.rows.put(sha256(record), Buffer.from(record));
  }

  has(id: ChunkId): boolean {
    return this.rows.has(id);
  }

  get(id: ChunkId): Uint8Array | undefined {
    try {
      return this.rows.get(id);
    } catch (error) {
      // A row of which the bytes rotted: whoever compares them with the name sets the chunk aside.
      if (error instanceof WormholeError && error.code === 'corrupt') return ROTTEN;
      throw error;
    }
  }

  getNow(id: ChunkId): Uint8Array | undefined {
    return this.get(id);
  }

  /** Small ones are never packed. */
  stored(id: ChunkId): Uint8Array | undefined {
    return this.get(id);
  }

  put(id: ChunkId, bytes: Uint8Array, options: { durable: boolean }): Answer<void> {
    // A record is the bytes alone: what they are named follows from them.
    if (options.durable) this.log.append(bytes);
    this.rows.put(id, bytes);
    // Writers wait only when the database falls far behind.
    if (this.rows.waitingBytes > LIMITS.smallPendingBytesMax) return this.rows.commit();
    if (this.rows.waitingBytes > LIMITS.smallBatchBytes && !this.rows.committing) {
      this.rows.commit().catch(this.warn);
    }
  }

  remove(id: ChunkId): void {
    if (!this.rows.has(id)) return;
    this.rows.remove(id);
    if (this.rows.waitingBytes > LIMITS.smallBatchBytes && !this.rows.committing) {
      this.rows.commit().catch(this.warn);
    }
  }

  setAside(id: ChunkId): void {
    const bytes = this.get(id);
    if (bytes === undefined) return;
    this.damaged.put(id, bytes);
    this.remove(id);
  }

  length(id: ChunkId): number | undefined {
    return this.get(id)?.length;
  }

  async *ids(): AsyncIterable<ChunkId> {
    await this.rows.commit();
    // A key may have rotted.
    for (const id of this.rows.keys()) if (HASH.test(id) && this.rows.has(id)) yield id;
  }

  /** Moves everything appended so far to the database and lets go of its records. */
  async move(): Promise<void> {
    const upTo = this.log.next;
    await this.damaged.commit();
    await this.rows.flush();
    if (this.log.first < upTo) await this.log.dropBefore(upTo);
  }

  /** Up to where the log goes. */
  reached(): LogPosition {
    return this.log.position;
  }

  /** What is no longer in the log is in the database, where whatever is committed is durable. */
  flush(): Promise<void> {
    return this.log.sync();
  }
}
