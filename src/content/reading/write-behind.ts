import { LIMITS, type Log } from '../../base/index.js';
import { CUTTING } from '../chunker.js';
import type { VerifiedChunk } from '../chunks/verified-chunks.js';
import type { ChunkId } from '../content.js';
import { orAborted } from './interrupted.js';

interface Waiting {
  chunk: VerifiedChunk;
  keep: boolean;
}

type Store = (chunk: VerifiedChunk, options: { keep: boolean }) => Promise<void>;

/** Chunks on their way at once: as many as come while the rows that say they may be evicted are committed, so that
 *  these go in few commits, each of which waits for the disk. */
const WRITERS = 64;

/**
 * Fetched chunks on their way to the disk. Readers do not wait for that: they find the bytes here. What cannot be
 * stored is dropped, for it can be fetched again; what is to be kept has its own way in, ContentStore.keep.
 */
export class WriteBehind {
  private readonly store: Store;
  private readonly log: Log;
  private readonly waiting = new Map<ChunkId, Waiting>();
  private readonly writing = new Map<ChunkId, Waiting>();
  private bytes = 0;
  private readonly wakeRoom = new Set<() => void>();
  private readonly wakeIdle = new Set<() => void>();

  constructor(store: Store, log: Log) {
    this.store = store;
    this.log = log;
  }

  get(id: ChunkId): Uint8Array | undefined {
    return (this.waiting.get(id) ?? this.writing.get(id))?.chunk.bytes;
  }

  /** Takes a chunk; beyond the limit it is not stored, only read. */
  add(chunk: VerifiedChunk, options: { keep: boolean }): void {
    const { id, bytes } = chunk;
    if (this.get(id) !== undefined || this.bytes + bytes.length > 2 * LIMITS.writeBehindBytesMax) return;
    this.waiting.set(id, { chunk, keep: options.keep });
    this.bytes += bytes.length;
    this.work();
  }

  get hasRoom(): boolean {
    return this.bytes <= LIMITS.writeBehindBytesMax;
  }

  /** Resolves when there is room for another chunk, in the order of asking; rejects when aborted. */
  async room(signal: AbortSignal): Promise<void> {
    if (this.hasRoom) return;
    let wake = () => {};
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.wakeRoom.add(wake);
    await orAborted(woken, signal).finally(() => this.wakeRoom.delete(wake));
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.waiting.size + this.writing.size > 0) {
      await new Promise<void>((resolve) => this.wakeIdle.add(resolve));
    }
  }

  private work(): void {
    for (const [id, waiting] of this.waiting) {
      if (this.writing.size >= WRITERS) return;
      this.waiting.delete(id);
      this.writing.set(id, waiting);
      this.store(waiting.chunk, waiting)
        .catch((error) => this.log.debug('a fetched chunk could not be cached', { id, error }))
        .finally(() => this.written(id, waiting.chunk.bytes.length));
    }
  }

  private written(id: ChunkId, length: number): void {
    this.writing.delete(id);
    this.bytes -= length;
    this.wakeReaders(length);
    this.work();
    if (this.waiting.size + this.writing.size > 0) return;
    for (const wake of this.wakeIdle) wake();
    this.wakeIdle.clear();
  }

  /** Lets as many go on as fit into what was freed; each brings a chunk of about the average size. */
  private wakeReaders(freed: number): void {
    let room = Math.min(freed, LIMITS.writeBehindBytesMax - this.bytes);
    for (const wake of this.wakeRoom) {
      if (room <= 0) return;
      this.wakeRoom.delete(wake);
      wake();
      room -= CUTTING.normalBytes;
    }
  }
}
