import type { Answer } from '../../base/index.js';
import { LIMITS, type Log, messageOf, WormholeError } from '../../base/index.js';
import type { Evictable } from '../cache/evictable.js';
import type { ChunkMemory } from '../cache/memory.js';
import type { VerifiedChunk, VerifiedChunks } from '../chunks/verified-chunks.js';
import type { ChunkId, ChunkSource } from '../content.js';
import { MissingChunk } from '../missing-chunk.js';
import { interrupted, orAborted } from './interrupted.js';
import type { WriteBehind } from './write-behind.js';

interface Flight {
  id: ChunkId;
  /** Somebody wants it stored. */
  cache: boolean;
  promise: Promise<Uint8Array>;
  abort: AbortController;
  /** Aborted when somebody waits for it. */
  hurry: AbortController;
  waiting: number;
  settled: boolean;
}

export interface ChunkReaderOptions {
  memory: ChunkMemory;
  chunks: VerifiedChunks;
  evictable: Evictable;
  writeBehind: WriteBehind;
  log: Log;
}

export interface ReadOptions {
  /** Somebody waits for these bytes (as opposed to read-ahead). */
  urgent: boolean;
  /** Bytes of the chunk, where they are known. */
  length?: number;
  /** False: what is fetched is not stored, unless somebody else who wants it says otherwise. */
  cache?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Verified bytes of a chunk from the nearest place: memory, what waits to be written, this pod's store, other
 * pods. Each chunk is loaded or fetched once for all who ask at the same time; it is given up when the last of
 * them has.
 */
export class ChunkReader {
  private readonly memory: ChunkMemory;
  private readonly chunks: VerifiedChunks;
  private readonly evictable: Evictable;
  private readonly writeBehind: WriteBehind;
  private readonly log: Log;
  private readonly flights = new Map<ChunkId, Flight>();
  private source: ChunkSource | undefined;

  constructor(options: ChunkReaderOptions) {
    this.memory = options.memory;
    this.chunks = options.chunks;
    this.evictable = options.evictable;
    this.writeBehind = options.writeBehind;
    this.log = options.log;
  }

  useSource(source: ChunkSource): void {
    this.source = source;
  }

  /** True when a read would be answered at once, or is being answered. */
  isNear(id: ChunkId): boolean {
    return this.memory.has(id) || this.flights.has(id) || this.writeBehind.get(id) !== undefined;
  }

  /** The bytes if they can be had without waiting; nothing is fetched. */
  peek(id: ChunkId): Uint8Array | undefined {
    const bytes = this.memory.get(id) ?? this.writeBehind.get(id);
    if (bytes !== undefined || this.flights.has(id)) return bytes;
    const local = this.chunks.get(id);
    if (local === undefined) return undefined;
    if (!(local instanceof Promise)) return this.remember(id, local);
    const flight = this.start(id, local);
    flight.cache = true;
    flight.hurry.abort();
    return undefined;
  }

  /** The bytes, from memory where they are there. @throws WormholeError `unreachable` | `corrupt` | `io` */
  read(id: ChunkId, options: ReadOptions): Answer<Uint8Array> {
    const bytes = this.memory.get(id) ?? this.writeBehind.get(id);
    if (bytes !== undefined) return bytes;
    const flight = this.flights.get(id);
    if (flight !== undefined) return this.join(flight, options);
    const local = this.chunks.get(id, options.length);
    if (local !== undefined && !(local instanceof Promise)) return this.remember(id, local);
    return this.join(this.start(id, local), options);
  }

  /** Gives up everything that is being fetched. */
  close(): void {
    for (const flight of this.flights.values()) flight.abort.abort(closed());
  }

  private start(id: ChunkId, local: Promise<Uint8Array | undefined> | undefined): Flight {
    const [abort, hurry] = [new AbortController(), new AbortController()];
    const stores = () => flight.cache;
    const promise = this.load(id, local, { hurry: hurry.signal, stores }, abort.signal).finally(() => {
      flight.settled = true;
      if (this.flights.get(id) === flight) this.flights.delete(id);
    });
    const flight: Flight = { id, cache: false, promise, abort, hurry, waiting: 0, settled: false };
    // Whoever waits hears of a failure; when nobody does any more, nobody needs to.
    promise.catch(() => {});
    this.flights.set(id, flight);
    return flight;
  }

  private async load(
    id: ChunkId,
    local: Promise<Uint8Array | undefined> | undefined,
    { hurry, stores }: { hurry: AbortSignal; stores: () => boolean },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    // Whoever joins at once says so before this goes on.
    const bytes = await local;
    if (bytes !== undefined) return this.remember(id, bytes);
    await this.roomOrHurry(hurry, signal);
    const fetched = await this.fetch(id, hurry, signal);
    // What this pod was to hold and found rotten is replaced for good.
    const keep = this.chunks.wasRotten(id) && !this.evictable.has(id);
    if (keep || stores()) this.writeBehind.add(fetched, { keep });
    return this.remember(id, fetched.bytes);
  }

  /** Read-ahead waits for room; who waits for bytes gets them even if they cannot be written at once. */
  private async roomOrHurry(hurry: AbortSignal, signal: AbortSignal): Promise<void> {
    if (hurry.aborted || this.writeBehind.hasRoom) return;
    await this.writeBehind.room(AbortSignal.any([hurry, signal])).catch((error) => {
      if (!hurry.aborted) throw error;
    });
  }

  private async fetch(id: ChunkId, hurry: AbortSignal, signal: AbortSignal): Promise<VerifiedChunk> {
    const { source } = this;
    if (source === undefined) throw this.absent(id, undefined);
    for (let attempt = 1; ; attempt++) {
      const bytes = await this.ask(source, id, hurry, signal);
      const right = bytes.length <= LIMITS.chunkBytesMax && (await this.chunks.verify(id, ownBytes(bytes)));
      if (right) return right;
      this.log.warn('another pod sent bytes that are not the chunk asked for', { id, attempt });
      if (attempt === LIMITS.fetchAttemptsMax) {
        throw new WormholeError('corrupt', `no pod sent the right bytes of chunk ${id}; try again later`);
      }
    }
  }

  private async ask(
    source: ChunkSource,
    id: ChunkId,
    hurry: AbortSignal,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    try {
      return await source.fetch(id, { urgent: hurry.aborted, hurry, signal });
    } catch (error) {
      if (signal.aborted) throw interrupted(signal.reason);
      throw this.absent(id, error);
    }
  }

  /** A chunk that was here and rotted is `corrupt`; one that never was, `unreachable`. */
  private absent(id: ChunkId, cause: unknown): WormholeError {
    if (this.chunks.wasRotten(id)) {
      return new WormholeError(
        'corrupt',
        `chunk ${id} is damaged on this pod and no other pod that has it can be reached; connect one`,
        { cause },
      );
    }
    if (cause instanceof WormholeError && cause.code !== 'unreachable') return cause;
    const none = `chunk ${id} is not here, and this pod has no links yet; try again in a moment`;
    return new MissingChunk(id, cause === undefined ? none : messageOf(cause), cause);
  }

  private remember(id: ChunkId, bytes: Uint8Array): Uint8Array {
    this.memory.set(id, bytes);
    this.evictable.touch(id);
    return bytes;
  }

  private async join(flight: Flight, { urgent, cache, signal }: ReadOptions): Promise<Uint8Array> {
    flight.waiting++;
    flight.cache ||= cache !== false;
    if (urgent && !flight.hurry.signal.aborted) flight.hurry.abort();
    try {
      return signal === undefined ? await flight.promise : await orAborted(flight.promise, signal);
    } finally {
      if (--flight.waiting === 0 && !flight.settled) {
        // Out of the way at once: who asks from now on starts anew.
        if (this.flights.get(flight.id) === flight) this.flights.delete(flight.id);
        flight.abort.abort(closed());
      }
    }
  }
}

/** The same reader for those whose chunks are not to stay in the cache. */
export function uncached(reader: ChunkReader): Pick<ChunkReader, 'isNear' | 'read'> {
  return {
    isNear: (id) => reader.isNear(id),
    read: (id, options) => reader.read(id, { ...options, cache: false }),
  };
}

/** A view into something much larger would keep all of it in memory. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.length + 4096 ? Buffer.from(bytes) : bytes;
}

function closed(): WormholeError {
  return new WormholeError('interrupted', 'nobody waits for this chunk any more');
}
