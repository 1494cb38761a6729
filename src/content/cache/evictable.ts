import { LRUCache } from 'lru-cache';
import { LIMITS, type Log } from '../../base/index.js';
import type { Database } from '../../store/index.js';
import { Overlay } from '../chunks/overlay.js';
import type { ChunkId } from '../content.js';

const TABLE = 'content.evictable';
/** A row: when it was last used (a counter, no clock), and the chunk's length. */
const ROW_BYTES = 12;

export interface EvictableOptions {
  database: Database;
  /** Bytes that evictable chunks may take. */
  bytesMax: number;
  /** Deletes the chunk itself. */
  remove(id: ChunkId, length: number): Promise<void>;
  log: Log;
}

interface Pin {
  users: number;
  /** Bytes of the chunk, if it is one that can be evicted. */
  length: number | undefined;
  /** It was said meanwhile that the chunk is to stay; that outweighs whatever is still on its way. */
  kept: boolean;
}

/**
 * Which chunks this pod need not hold, in the order of their last use; the oldest are deleted when they take more
 * than their bytes. A chunk that has no row here is never evicted. A row is in the database before its chunk is
 * stored, so that a crash leaves at most a row too many.
 */
export class Evictable {
  private readonly rows: Overlay;
  private readonly remove: (id: ChunkId, length: number) => Promise<void>;
  private readonly bytesMax: number;
  private readonly log: Log;
  private readonly lru: LRUCache<ChunkId, number>;
  /** Chunks in use by a publication, with the number of its users; they are out of the LRU meanwhile. */
  private readonly pins = new Map<ChunkId, Pin>();
  private readonly removals = new Map<ChunkId, Promise<void>>();
  private readonly touched = new Set<ChunkId>();
  private uses = 0;
  /** Chunks that became ones to keep, and how many of these are so for good. */
  private released = 0;
  private releasedFlushed = 0;

  constructor(options: EvictableOptions) {
    this.rows = new Overlay(options.database, TABLE);
    this.remove = options.remove;
    this.bytesMax = Math.max(1, options.bytesMax);
    this.log = options.log;
    this.lru = new LRUCache({
      maxSize: this.bytesMax,
      max: LIMITS.evictableChunksMax,
      sizeCalculation: (length) => Math.max(1, length),
      dispose: (length, id, reason) => {
        if (reason === 'evict') this.evict(id, length);
      },
    });
    this.load(options.database);
  }

  /** Bytes of evictable chunks. */
  get bytes(): number {
    return this.lru.calculatedSize;
  }

  has(id: ChunkId): boolean {
    return this.lru.has(id) || this.pins.get(id)?.length !== undefined;
  }

  /** True when the chunk is one to keep, and nothing is going on that may say otherwise. */
  isKept(id: ChunkId): boolean {
    return !this.lru.has(id) && !this.pins.has(id);
  }

  /** True when a chunk of this length can be cached at all. */
  admits(length: number): boolean {
    return length <= this.bytesMax;
  }

  /** Resolves when the chunk, if it is stored now, will be one that can be evicted. To be called with it pinned, or
   *  with it stored. */
  async add(id: ChunkId, length: number): Promise<void> {
    this.rows.put(id, encodeRow(++this.uses, length));
    await this.rows.commit();
    const pin = this.pins.get(id);
    if (pin?.kept) this.rows.remove(id);
    else if (pin !== undefined) pin.length = length;
    else this.lru.set(id, length);
  }

  /** The chunk was used now. */
  touch(id: ChunkId): void {
    if (this.lru.get(id) !== undefined) this.touched.add(id);
  }

  /** The chunk is to stay. */
  release(id: ChunkId): void {
    const pin = this.pins.get(id);
    if (pin !== undefined) {
      pin.length = undefined;
      pin.kept = true;
    } else if (!this.lru.delete(id)) return;
    this.touched.delete(id);
    this.rows.remove(id);
    this.released++;
  }

  /** Keeps a chunk from being evicted until `unpin`; resolves when no removal of it is under way. */
  async pin(id: ChunkId): Promise<void> {
    const pin = this.pins.get(id);
    if (pin !== undefined) pin.users++;
    else {
      const length = this.lru.peek(id);
      this.lru.delete(id);
      this.pins.set(id, { users: 1, length, kept: false });
    }
    await this.removals.get(id);
  }

  unpin(id: ChunkId): void {
    const pin = this.pins.get(id);
    if (pin === undefined || --pin.users > 0) return;
    this.pins.delete(id);
    if (pin.length !== undefined) this.lru.set(id, pin.length);
  }

  /** Evicts the oldest until so many bytes are freed or none is left; resolves when they are deleted. */
  async shrink(bytes: number): Promise<void> {
    const target = this.lru.calculatedSize - bytes;
    while (bytes > 0 && this.lru.size > 0 && this.lru.calculatedSize > target) this.lru.pop();
    await Promise.all(this.removals.values());
  }

  /** Brings the order of use to the database, roughly. */
  async save(): Promise<void> {
    for (const id of this.touched) {
      const length = this.lru.peek(id);
      if (length !== undefined) this.rows.put(id, encodeRow(++this.uses, length));
    }
    this.touched.clear();
    await this.rows.commit();
  }

  /** Makes survive a power cut what was said to stay. */
  async flush(): Promise<void> {
    const { released } = this;
    if (released === this.releasedFlushed) return;
    await this.rows.flush();
    this.releasedFlushed = Math.max(this.releasedFlushed, released);
  }

  /** Resolves when what was being removed is removed. */
  async close(): Promise<void> {
    await Promise.allSettled(this.removals.values());
    await this.save();
  }

  private evict(id: ChunkId, length: number): void {
    this.touched.delete(id);
    const removal = this.remove(id, length)
      .then(() => {
        if (!this.has(id)) this.rows.remove(id);
      })
      .catch((error) => this.log.warn('an evicted chunk could not be deleted', { id, error }))
      .finally(() => this.removals.delete(id));
    this.removals.set(id, removal);
  }

  private load(database: Database): void {
    const found: { id: ChunkId; use: number; length: number }[] = [];
    for (const { key, value } of database.table(TABLE).range({})) {
      if (value.length !== ROW_BYTES) continue;
      const row = Buffer.from(value.buffer, value.byteOffset, value.length);
      found.push({ id: key, use: row.readUIntBE(0, 6), length: row.readUIntBE(6, 6) });
    }
    found.sort((a, b) => a.use - b.use);
    for (const { id, length } of found) this.lru.set(id, length);
    this.uses = found.at(-1)?.use ?? 0;
  }
}

function encodeRow(use: number, length: number): Buffer {
  const row = Buffer.allocUnsafe(ROW_BYTES);
  row.writeUIntBE(use, 0, 6);
  row.writeUIntBE(length, 6, 6);
  return row;
}
