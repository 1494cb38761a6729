import type { Answer } from '../../base/index.js';
import type { ChunkId } from '../content.js';

/**
 * A place for chunks. What is stored is never changed, so nothing that `get` returned may be written to, nor
 * what `put` was given. Every implementation passes the suite in test/content/chunks-contract.ts.
 */
export interface Chunks {
  has(id: ChunkId): boolean;
  /** The bytes as they lie there, not verified; undefined when absent. A known length in bytes saves a look-up.
   *  @throws WormholeError `io` */
  get(id: ChunkId, length?: number): Answer<Uint8Array | undefined>;
  /** The chunk in the form in which it lies there, packed or not: the one to be sent. @throws WormholeError `io` */
  stored(id: ChunkId): Answer<Uint8Array | undefined>;
  /** As `get`, but this thread waits for the disk: for the rare answer that must not be a promise. */
  getNow(id: ChunkId): Uint8Array | undefined;
  /** Readable once this is answered. `durable` chunks survive the death of the process from then on, and a
   *  power cut after `flush`; others may be lost. What is there already is replaced by a durable chunk, and never
   *  by one that is not.
   *  @throws WormholeError `full` | `io` */
  put(id: ChunkId, bytes: Uint8Array, options: PutOptions): Answer<void>;
  /** Removes a chunk; nothing happens when it is absent. */
  remove(id: ChunkId): Answer<void>;
  /** Takes a damaged chunk out of reading, so that it is absent, and keeps its bytes for people to look at. */
  setAside(id: ChunkId): Answer<void>;
  /** Bytes that a chunk takes there, packed perhaps, counted without reading them; undefined when absent. */
  length(id: ChunkId): Answer<number | undefined>;
  /** All chunks, in no order; those that come or go meanwhile may be among them or not. */
  ids(): AsyncIterable<ChunkId>;
  /** Makes what was put durably survive a power cut. @throws WormholeError `full` | `io` */
  flush(): Promise<void>;
}

export interface PutOptions {
  durable: boolean;
  /** The packed form of the chunk, where the caller has one: it is stored in that form then. */
  stored?: Uint8Array | undefined;
}

/** Is told how many chunks and bytes came (or, negative, went). */
export interface Counter {
  add(chunks: number, bytes: number): void;
}
