import { LIMITS, type Log } from '../../base/index.js';
import type { ChunkId } from '../content.js';
import { interrupted } from './interrupted.js';

interface Waiting {
  bytes: Uint8Array;
  keep: boolean;
}

/** Chunks written at once; more gains nothing and takes threads from readers. */
const WRITERS = 2;

/**
 * Fetched chunks on their way to the disk. Readers do not wait for that: they find the bytes here. What cannot be
 * stored is dropped, for it can be fetched again; what is to be kept has its own way in, ContentStore.keep.
 */
export class WriteBehind {
  private readonly store: (id: ChunkId, bytes: Uint8Array, options: { keep: boolean }) => Promise<void>;
  private readonly log: Log;
  private readonly waiting = new Map<ChunkId, Waiting>();
  private readonly writing = new Map<ChunkId, Waiting>();
  private bytes = 0;
  private readonly wakeRoom = new Set<() => void>();
  private readonly wakeIdle = new Set<() => void>();

  constructor(
    store: (id: ChunkId, bytes: Uint8Array, options: { keep: boolean }) => Promise<void>,
    log: Log,
  ) {
    this.store = store;
    this.log = log;
  }

  get(id: ChunkId): Uint8Array | undefined {
    return (this.waiting.get(id) ?? this.writing.get(id))?.bytes;
  }

  /** Takes a verified chunk; beyond the limit it is not stored, only read. */
  add(id: ChunkId, bytes: Uint8Array, options: { keep: boolean }): void {
    if (this.get(id) !== undefined || this.bytes + bytes.length > 2 * LIMITS.writeBehindBytesMax) return;
    this.waiting.set(id, { bytes, keep: options.keep });
    this.bytes += bytes.length;
    this.work();
  }

  /** Resolves when there is room for another chunk; rejects when aborted. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.bytes > LIMITS.writeBehindBytesMax) {
      await new Promise<void>((resolve) => {
        this.wakeRoom.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      if (signal.aborted) throw interrupted(signal.reason);
    }
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.waiting.size + this.writing.size > 0) {
      await new Promise<void>((resolve) => this.wakeIdle.add(resolve));
    }
  }

  private work(): void {
    for (const [id, chunk] of this.waiting) {
      if (this.writing.size >= WRITERS) return;
      this.waiting.delete(id);
      this.writing.set(id, chunk);
      this.store(id, chunk.bytes, chunk)
        .catch((error) => this.log.debug('a fetched chunk could not be cached', { id, error }))
        .finally(() => this.written(id, chunk.bytes.length));
    }
  }

  private written(id: ChunkId, length: number): void {
    this.writing.delete(id);
    this.bytes -= length;
    for (const wake of this.wakeRoom) wake();
    this.wakeRoom.clear();
    this.work();
    if (this.waiting.size + this.writing.size > 0) return;
    for (const wake of this.wakeIdle) wake();
    this.wakeIdle.clear();
  }
}
