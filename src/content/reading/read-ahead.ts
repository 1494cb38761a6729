import { LIMITS } from '../../base/index.js';
import type { Layout } from '../layout.js';
import type { ChunkReader } from './chunk-reader.js';

/** Bytes on their way that nobody waits for yet, all readers together. */
export class ReadAheadBudget {
  private bytes = 0;

  take(bytes: number): boolean {
    if (this.bytes + bytes > LIMITS.readAheadTotalBytesMax) return false;
    this.bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.bytes -= bytes;
  }
}

/**
 * Has the chunks after the one being read on their way while a reader goes forward: the next one from this pod's
 * own store; from other pods 2, 4, 8 … chunks, up to the limit. A jump begins anew.
 */
export class ReadAhead {
  private readonly reader: ChunkReader;
  private readonly budget: ReadAheadBudget;
  private readonly signal: AbortSignal;
  /** True when a chunk is in this pod's store. */
  private readonly isLocal: (id: string) => boolean;
  private chunk = -1;
  private nextOffset = 0;
  private chunksInRow = 0;
  private window = 1;
  /** Entries below this index were asked for already. */
  private askedUpTo = 0;

  constructor(
    reader: ChunkReader,
    budget: ReadAheadBudget,
    isLocal: (id: string) => boolean,
    signal: AbortSignal,
  ) {
    this.reader = reader;
    this.budget = budget;
    this.isLocal = isLocal;
    this.signal = signal;
  }

  /** To be told of every read, after its own chunks were asked for. */
  note(layout: Layout, offset: number, end: number, lastChunk: number): void {
    const forward = lastChunk === this.chunk || lastChunk === this.chunk + 1;
    // The kernel's requests come out of order by a few; a chunk further is still the same walk.
    const continues = forward && (this.chunksInRow > 0 || offset === this.nextOffset);
    this.nextOffset = end;
    if (!continues) {
      this.chunksInRow = 0;
      this.window = 1;
      this.askedUpTo = lastChunk + 1;
    } else if (lastChunk !== this.chunk || this.chunksInRow === 0) {
      this.chunksInRow++;
      this.window *= 2;
    }
    this.chunk = lastChunk;
    if (this.chunksInRow > 0) this.ask(layout);
  }

  private ask(layout: Layout): void {
    const from = Math.max(this.askedUpTo, this.chunk + 1);
    let bytes = from > this.chunk + 1 ? layout.start(from) - layout.end(this.chunk) : 0;
    for (let i = from; i < layout.count && i <= this.chunk + this.window; i++) {
      const { id, length } = layout.entry(i);
      bytes += length;
      if (id === '') {
        this.askedUpTo = i + 1;
        continue;
      }
      const local = this.isLocal(id);
      if ((local && i > this.chunk + LOCAL_CHUNKS) || bytes > LIMITS.readAheadBytesMax) return;
      if (!this.reader.isNear(id)) {
        if (!this.budget.take(length)) return;
        this.begin(id, length);
      }
      this.askedUpTo = i + 1;
    }
  }

  private begin(id: string, length: number): void {
    Promise.resolve(this.reader.read(id, { urgent: false, signal: this.signal }))
      // The reader asks again when it gets there, and hears then what went wrong.
      .catch(() => {})
      .finally(() => this.budget.give(length));
  }
}

/** Chunks loaded ahead from this pod's own disk. */
const LOCAL_CHUNKS = 2;
