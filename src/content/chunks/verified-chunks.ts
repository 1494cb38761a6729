import {
  type Answer,
  LIMITS,
  type Log,
  sha256,
  sha256InBackground,
  then,
  WormholeError,
} from '../../base/index.js';
import type { ChunkId } from '../content.js';
import type { Chunks, Counter, PutOptions } from './chunks.js';
import { isPacked, unpack } from './packing.js';

/** A chunk whose bytes were hashed and are what its id names; only `verify` makes one. */
export interface VerifiedChunk {
  readonly id: ChunkId;
  readonly bytes: Uint8Array;
  /** Its packed form, if it came in one. */
  readonly stored?: Uint8Array;
}

/**
 * The one gate: nothing passes into the store, or out of it to a reader, that does not hash to its id. A rotten
 * chunk is set aside and from then on absent, so that whoever asked fetches it from elsewhere.
 */
export class VerifiedChunks implements Chunks {
  private readonly chunks: Chunks;
  private readonly counter: Counter;
  private readonly log: Log;
  private readonly passed = new WeakSet<VerifiedChunk>();
  /** Ids of chunks that were found rotten here and not stored again since, the latest of them. */
  private readonly rotten = new Set<ChunkId>();

  constructor(chunks: Chunks, counter: Counter, log: Log) {
    this.chunks = chunks;
    this.counter = counter;
    this.log = log;
  }

  has(id: ChunkId): boolean {
    return this.chunks.has(id);
  }

  get(id: ChunkId, length?: number): Answer<Uint8Array | undefined> {
    return then(this.chunks.get(id, length), (bytes) => {
      if (bytes === undefined) return undefined;
      return then(hashes(bytes, id), (right) => (right ? bytes : this.quarantine(id)));
    });
  }

  /** Not compared with its name: it goes to another pod, which has such a gate of its own. */
  stored(id: ChunkId): Answer<Uint8Array | undefined> {
    return this.chunks.stored(id);
  }

  getNow(id: ChunkId): Uint8Array | undefined {
    const bytes = this.chunks.getNow(id);
    // What is rotten is set aside by whoever asks next.
    return bytes !== undefined && sha256(bytes) === id ? bytes : undefined;
  }

  /** @throws WormholeError `corrupt` when the bytes do not hash to the id */
  put(id: ChunkId, bytes: Uint8Array, options: PutOptions): Answer<void> {
    return then(this.verify(id, bytes), (verified) => {
      if (verified === undefined) throw refused(id);
      return this.putVerified(verified, options);
    });
  }

  /** The chunk, or undefined when the bytes, unpacked if they are packed, do not hash to the id. */
  verify(id: ChunkId, bytes: Uint8Array): Answer<VerifiedChunk | undefined> {
    if (!isPacked(bytes)) return this.verifyPlain({ id, bytes });
    // A chunk of another kind may look like a packed one.
    return unpack(bytes)
      .then((unpacked) => this.verifyPlain({ id, bytes: unpacked, stored: bytes }))
      .catch(() => undefined)
      .then((verified) => verified ?? this.verifyPlain({ id, bytes }));
  }

  private verifyPlain(chunk: VerifiedChunk): Answer<VerifiedChunk | undefined> {
    return then(hashes(chunk.bytes, chunk.id), (right) => {
      if (!right) return undefined;
      this.passed.add(chunk);
      return chunk;
    });
  }

  /** Stores what came through `verify` of this gate. */
  putVerified(verified: VerifiedChunk, { durable }: PutOptions): Answer<void> {
    if (!this.passed.has(verified)) throw new WormholeError('internal', 'a chunk went past the gate');
    const { id, bytes, stored } = verified;
    return this.store(id, bytes, { durable, stored }, this.chunks.has(id));
  }

  /** Stores a small chunk durably under the id that its bytes hash to here and now.
   *  @param isDurable whether what lies here under an id was put durably */
  add(
    bytes: Uint8Array,
    isDurable: (id: ChunkId) => boolean,
  ): { id: ChunkId; isNew: boolean; stored: Answer<void> } {
    const id = sha256(bytes);
    const present = this.chunks.get(id, bytes.length);
    // What lies here may have rotted; equal bytes are the only ones that need not be written.
    const same = present instanceof Uint8Array && Buffer.compare(present, bytes) === 0;
    if (same && isDurable(id)) return { id, isNew: false, stored: undefined };
    return { id, isNew: !same, stored: this.store(id, bytes, { durable: true }, present !== undefined) };
  }

  /** True when the chunk was here and rotten, and has not been replaced yet. */
  wasRotten(id: ChunkId): boolean {
    return this.rotten.has(id);
  }

  remove(id: ChunkId): Answer<void> {
    return this.chunks.remove(id);
  }

  setAside(id: ChunkId): Answer<void> {
    return this.chunks.setAside(id);
  }

  length(id: ChunkId): Answer<number | undefined> {
    return this.chunks.length(id);
  }

  ids(): AsyncIterable<ChunkId> {
    return this.chunks.ids();
  }

  flush(): Promise<void> {
    return this.chunks.flush();
  }

  private store(id: ChunkId, bytes: Uint8Array, options: PutOptions, present: boolean): Answer<void> {
    return then(this.chunks.put(id, bytes, options), () => {
      this.rotten.delete(id);
      if (!present) this.counter.add(1, (options.stored ?? bytes).length);
    });
  }

  private quarantine(id: ChunkId): Answer<undefined> {
    return then(this.chunks.length(id), (bytes = 0) => this.putAside(id, bytes));
  }

  private putAside(id: ChunkId, bytes: number): Answer<undefined> {
    this.log.error('a stored chunk does not hash to its id; it is set aside', { id, bytes });
    this.counter.add(-1, -bytes);
    this.rotten.add(id);
    if (this.rotten.size > ROTTEN_MAX) this.rotten.delete(this.rotten.values().next().value ?? '');
    return then(this.chunks.setAside(id), () => undefined);
  }
}

const ROTTEN_MAX = 10_000;

/** Whether bytes are what an id names; computed off this thread where that is worth it. */
function hashes(bytes: Uint8Array, id: ChunkId): Answer<boolean> {
  if (bytes.length <= LIMITS.smallFileBytesMax) return sha256(bytes) === id;
  return sha256InBackground(bytes).then((hash) => hash === id);
}

export function refused(id: ChunkId): WormholeError {
  return new WormholeError('corrupt', `these bytes are not the chunk ${id}; they were refused`);
}
