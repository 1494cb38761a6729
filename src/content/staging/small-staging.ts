import { type Answer, then } from '../../base/index.js';
import type { Evictable } from '../cache/evictable.js';
import type { ChunkMemory } from '../cache/memory.js';
import type { VerifiedChunks } from '../chunks/verified-chunks.js';
import type { ContentId, Published } from '../content.js';
import type { Slab } from '../slab.js';
import type { StagingGround } from './large-staging.js';

/** What small staging works with. */
export interface SmallTools {
  ground: StagingGround;
  chunks: VerifiedChunks;
  evictable: Evictable;
  memory: ChunkMemory;
  slab: Slab;
}

const CAPACITY_MIN = 4096;

/** A small file being written: all its bytes in memory; saved, they are a chunk of the store already. */
export class SmallStaging {
  private readonly tools: SmallTools;
  private readonly base: ContentId;
  private buffer: Buffer;
  private length: number;
  private claimed = 0;
  /** The bytes were handed out for good and must be copied before the next change. */
  private shared = true;
  /** Rises with every change. */
  private version = 0;
  private stored: { version: number; content: ContentId } | undefined;
  /** The staging record, and the version that it tells of. */
  private recorded: { id: number; version: number } | undefined;
  /** Chunks and bytes that were new and that no publication has reported. */
  private added = { newChunks: 0, newBytes: 0 };

  /** @param base the content that this is written over
   *  @param bytes what the file holds; they are not changed
   *  @param found the staging record of an earlier process that told of these bytes */
  constructor(
    tools: SmallTools,
    base: ContentId,
    bytes: Uint8Array,
    found?: { id: number; content: ContentId },
  ) {
    this.tools = tools;
    this.base = base;
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.length = bytes.length;
    if (found === undefined) return;
    this.stored = { version: 0, content: found.content };
    this.recorded = { id: found.id, version: 0 };
  }

  get size(): number {
    return this.length;
  }

  /** The number of the staging record, if there is one. */
  get record(): number | undefined {
    return this.recorded?.id;
  }

  /** The content that the bytes are stored as, if they are. */
  get content(): ContentId {
    return this.stored?.content ?? '';
  }

  /** A view that is never changed afterwards. */
  bytes(): Buffer {
    this.shared = true;
    return this.buffer.subarray(0, this.length);
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.length);
    if (offset >= end) return new Uint8Array(0);
    return this.buffer.subarray(offset, end);
  }

  /** @throws WormholeError `full` */
  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    this.own(Math.max(end, this.length));
    if (offset > this.length) this.buffer.fill(0, this.length, offset);
    this.buffer.set(data, offset);
    this.length = Math.max(this.length, end);
  }

  /** @throws WormholeError `full` */
  truncate(size: number): void {
    this.own(size);
    if (size > this.length) this.buffer.fill(0, this.length, size);
    this.length = size;
  }

  /** Makes the bytes, and whose they are, survive the death of the process. @throws WormholeError `full` | `io` */
  save(key: string): Answer<void> {
    return then(this.store(), ({ version, content }) => {
      if (this.recorded?.version === version || version !== this.version) return;
      const { log } = this.tools.ground;
      const id = this.recorded?.id ?? log.nextId();
      log.append({ type: 'small', id, key, base: this.base, content });
      this.recorded = { id, version };
    });
  }

  /** Stores the bytes as a chunk. `whole` is false when something was written while that went on.
   *  @throws WormholeError `full` | `io` */
  publish(): Answer<{ published: Published; whole: boolean }> {
    const size = this.length;
    return then(this.store(), ({ version, content }) => {
      const published = { content, size, ...this.added };
      this.added = { newChunks: 0, newBytes: 0 };
      return { published, whole: version === this.version };
    });
  }

  rekey(key: string): void {
    if (this.record === undefined) return;
    this.tools.ground.log.append({ type: 'key', id: this.record, key });
  }

  /** The staging record is no longer needed. */
  end(): undefined {
    if (this.record !== undefined) this.tools.ground.log.append({ type: 'end', id: this.record });
    this.recorded = undefined;
  }

  /** Gives its claim on memory back. */
  release(): void {
    this.tools.ground.space.releaseMemory(this.claimed);
    this.claimed = 0;
  }

  private store(): Answer<{ version: number; content: ContentId }> {
    const { version } = this;
    if (this.stored?.version === version) return this.stored;
    if (this.length === 0) return this.remember(version, '');
    const { chunks, evictable, memory, ground } = this.tools;
    const bytes = this.bytes();
    // write() took the bytes while there was room: what was held back for them is theirs now.
    const { id, isNew, stored } = ground.space.insist(() => chunks.add(bytes, (id) => evictable.isKept(id)));
    evictable.release(id);
    memory.set(id, bytes);
    if (isNew) {
      const { newChunks, newBytes } = this.added;
      this.added = { newChunks: newChunks + 1, newBytes: newBytes + bytes.length };
    }
    return then(stored, () => this.remember(version, `c${id}`));
  }

  private remember(version: number, content: ContentId): { version: number; content: ContentId } {
    this.stored = { version, content };
    return this.stored;
  }

  /** Makes the buffer changeable and large enough, before every change. */
  private own(size: number): void {
    if (size > this.claimed) {
      this.tools.ground.space.claimMemory(size - this.claimed);
      this.claimed = size;
    }
    this.version++;
    if (!this.shared && size <= this.buffer.length) return;
    const capacity = this.shared ? size : Math.max(size, 2 * this.buffer.length, CAPACITY_MIN);
    const buffer = this.tools.slab.take(capacity);
    this.buffer.copy(buffer, 0, 0, Math.min(this.length, size));
    this.buffer = buffer;
    this.shared = false;
  }
}
