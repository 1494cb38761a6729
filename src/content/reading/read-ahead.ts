import { setMaxListeners } from 'node:events';
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
  private readonly reader: Pick<ChunkReader, 'isNear' | 'read'>;
  private readonly budget: ReadAheadBudget;
  private readonly closing = new AbortController();
  /** True when a chunk is in this pod's store. */
  private readonly isLocal: (id: string) => boolean;
  private chunk = -1;
  private nextOffset = -1;
  private chunksInRow = 0;
  private window = 1;
  /** Entries below this index were asked for already. */
  private askedUpTo = 0;
  /** Everything that the window allows was asked for. */
  private complete = false;

  constructor(
    reader: Pick<ChunkReader, 'isNear' | 'read'>,
    budget: ReadAheadBudget,
    isLocal: (id: string) => boolean,
  ) {
    this.reader = reader;
    this.budget = budget;
    this.isLocal = isLocal;
    // One listener for each chunk on its way, and the budget bounds those.
    setMaxListeners(0, this.closing.signal);
  }

  /** Gives up what is on its way. */
  close(): void {
    this.closing.abort();
  }

  /** To be told of every read, after its own chunks were asked for. */
  note(layout: Layout, offset: number, end: number, lastChunk: number): void {
    const moved = lastChunk !== this.chunk;
    const forward = !moved || lastChunk === this.chunk + 1;
    // The kernel's requests come out of order by a few; a chunk further is still the same walk.
    const continues = forward && (this.chunksInRow > 0 || offset === this.nextOffset);
    this.nextOffset = end;
    this.chunk = lastChunk;
    if (!continues) {
      this.chunksInRow = 0;
      this.window = 1;
      this.askedUpTo = lastChunk + 1;
    } else if (moved || this.chunksInRow === 0) {
      this.chunksInRow++;
      this.window *= 2;
      this.complete = false;
    }
    if (this.chunksInRow > 0 && !this.complete) this.complete = this.ask(layout);
  }

  /** @returns false when there is more to ask for as soon as the budget allows */
  private ask(layout: Layout): boolean {
    const from = Math.max(this.askedUpTo, this.chunk + 1);
    let bytes = from > this.chunk + 1 ? layout.start(from) - layout.end(this.chunk) : 0;
    for (let i = from; i < layout.count && i <= this.chunk + this.window; i++) {
      const { id, length } = layout.entry(i);
      bytes += length;
      if (id !== '') {
        const local = this.isLocal(id);
        if ((local && i > this.chunk + LOCAL_CHUNKS) || bytes > LIMITS.readAheadBytesMax) return true;
        if (!this.reader.isNear(id)) {
          if (!this.budget.take(length)) return false;
          void this.begin(id, length);
        }
      }
      this.askedUpTo = i + 1;
    }
    return true;
  }

  private async begin(id: string, length: number): Promise<void> {
    try {
      await this.reader.read(id, { urgent: false, length, signal: this.closing.signal });
    } catch {
      // The reader asks again when it gets there, and hears then what went wrong.
    } finally {
      this.budget.give(length);
    }
  }
}

/** Chunks loaded ahead from this pod's own disk. */
const LOCAL_CHUNKS = 2;
