import { LIMITS, type Log } from '../../base/index.js';
import type { Database } from '../../store/index.js';
import { Overlay } from '../chunks/overlay.js';
import type { Claims } from '../collection/claims.js';
import type { ChunkId } from '../content.js';
import { SegmentedLru } from './segmented-lru.js';

const TABLE = 'content.evictable';
/** A row: when it was last used (a counter, no clock), the chunk's length, and whether it was used again; rows of
 *  before there was such a thing end there. */
const ROW_BYTES = 13;
const OLD_ROW_BYTES = 12;

export interface EvictableOptions {
  database: Database;
  /** Bytes that evictable chunks may take. */
  bytesMax: number;
  /** Deletes the chunk itself. */
  remove(id: ChunkId, length: number): Promise<void>;
  /** Told of every chunk that somebody counts on from now on. */
  claims: Pick<Claims, 'chunk'>;
  log: Log;
}

interface Pin {
  users: number;
  /** Bytes of the chunk, if it is one that can be evicted. */
  length: number | undefined;
  hot: boolean;
  /** It was said meanwhile that the chunk is to stay; that outweighs whatever is still on its way. */
  kept: boolean;
}

/**
 * Which chunks this pod need not hold, in the order of their last use; the oldest are deleted when they take more
 * than their bytes (see SegmentedLru). A chunk that has no row here is never evicted. A row is in the database before its chunk is
 * stored, so that a crash leaves at most a row too many.
 */
export class Evictable {
  private readonly rows: Overlay;
  private readonly remove: (id: ChunkId, length: number) => Promise<void>;
  private bytesMax: number;
  private readonly claims: Pick<Claims, 'chunk'>;
  private readonly log: Log;
  private readonly lru: SegmentedLru;
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
    this.claims = options.claims;
    this.log = options.log;
    this.lru = new SegmentedLru({
      bytesMax: this.bytesMax,
      countMax: LIMITS.evictableChunksMax,
      evicted: (id, length) => this.evict(id, length),
    });
    this.load(options.database);
  }

  /** Bytes of evictable chunks. */
  get bytes(): number {
    return this.lru.bytes;
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

  /** They may take so many bytes from now on: what is too much is evicted. */
  resize(bytesMax: number): void {
    this.bytesMax = Math.max(1, bytesMax);
    this.lru.resize(this.bytesMax);
  }

  /** Resolves when the chunk, if it is stored now, will be one that can be evicted. To be called with it pinned, or
   *  with it stored. */
  async add(id: ChunkId, length: number): Promise<void> {
    this.rows.put(id, encodeRow(++this.uses, length, this.lru.isHot(id)));
    await this.rows.commit();
    const pin = this.pins.get(id);
    if (pin?.kept) this.rows.remove(id);
    else if (pin !== undefined) pin.length = length;
    else this.lru.set(id, length);
  }

  /** The chunk was used now. */
  touch(id: ChunkId): void {
    if (this.lru.use(id)) this.touched.add(id);
  }

  /** The chunk is to stay. */
  release(id: ChunkId): void {
    this.claims.chunk(id);
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
    this.claims.chunk(id);
    const pin = this.pins.get(id);
    if (pin !== undefined) pin.users++;
    else {
      const length = this.lru.length(id);
      const hot = this.lru.isHot(id);
      this.lru.delete(id);
      this.pins.set(id, { users: 1, length, hot, kept: false });
    }
    await this.removals.get(id);
  }

  unpin(id: ChunkId): void {
    const pin = this.pins.get(id);
    if (pin === undefined || --pin.users > 0) return;
    this.pins.delete(id);
    if (pin.length !== undefined) this.lru.set(id, pin.length, pin.hot);
  }

  /** Evicts the oldest until so many bytes are freed or none is left; resolves when they are deleted. */
  async shrink(bytes: number): Promise<void> {
    const target = this.lru.bytes - bytes;
    while (bytes > 0 && this.lru.count > 0 && this.lru.bytes > target) this.lru.evictOldest();
    await Promise.all(this.removals.values());
  }

  /** Deletes a chunk of these now, unless it is in use. @returns whether it did */
  async evictNow(id: ChunkId): Promise<boolean> {
    const length = this.lru.length(id);
    if (length === undefined) return false;
    this.lru.delete(id);
    this.evict(id, length);
    await this.removals.get(id);
    return true;
  }

  /** Deletes a chunk that is none of these, unless somebody uses it just now. @returns whether it did */
  async drop(id: ChunkId, length: number): Promise<boolean> {
    if (this.has(id) || this.pins.has(id) || this.removals.has(id)) return false;
    let failure: unknown;
    const removal = this.remove(id, length)
      .catch((error) => {
        failure = error;
      })
      .finally(() => this.removals.delete(id));
    this.removals.set(id, removal);
    await removal;
    if (failure !== undefined) throw failure;
    return true;
  }

  /** Brings the order of use to the database, roughly. */
  async save(): Promise<void> {
    for (const id of this.touched) {
      const length = this.lru.length(id);
      if (length !== undefined) this.rows.put(id, encodeRow(++this.uses, length, this.lru.isHot(id)));
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
    const found: { id: ChunkId; use: number; length: number; hot: boolean }[] = [];
    for (const { key, value } of database.table(TABLE).range({})) {
      if (value.length !== ROW_BYTES && value.length !== OLD_ROW_BYTES) continue;
      const row = Buffer.from(value.buffer, value.byteOffset, value.length);
      found.push({
        id: key,
        use: row.readUIntBE(0, 6),
        length: row.readUIntBE(6, 6),
        hot: row[OLD_ROW_BYTES] === 1,
      });
    }
    found.sort((a, b) => a.use - b.use);
    for (const { id, length, hot } of found) this.lru.set(id, length, hot);
    this.uses = found.at(-1)?.use ?? 0;
  }
}

function encodeRow(use: number, length: number, hot: boolean): Buffer {
  const row = Buffer.allocUnsafe(ROW_BYTES);
  row.writeUIntBE(use, 0, 6);
  row.writeUIntBE(length, 6, 6);
  row[OLD_ROW_BYTES] = hot ? 1 : 0;
  return row;
}
