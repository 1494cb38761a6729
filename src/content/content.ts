import type { Sha256 } from '../base/index.js';

/** A chunk's name: the SHA-256 of its bytes (before compression). */
export type ChunkId = Sha256;

/**
 * Names a file's whole content: '' is the empty file, `c<sha256>` one chunk, `m<sha256>` a manifest chunk that
 * lists chunks. To the tree it is an opaque string.
 */
export type ContentId = string;

export interface ChunkRef {
  id: ChunkId;
  /** Bytes. A chunk of zeros that is a hole has the id ''. */
  length: number;
}

/** Where bytes come from that are not here. `sync/` is one, the daemon hands it in. */
export interface ChunkSource {
  /** The bytes of a chunk from whichever holder answers; already checked or not, the caller checks again.
   *  @throws WormholeError `unreachable` when no holder answered in time, `interrupted` when aborted */
  fetch(id: ChunkId, options: { urgent: boolean; signal?: AbortSignal }): Promise<Uint8Array>;
}

/** A file's content open for reading and, once something was written, with staged changes over it. */
export interface OpenContent {
  /** Bytes now. */
  readonly size: number;
  /** True when something was written or cut and not yet published. */
  readonly dirty: boolean;
  /** Bytes at an offset, shorter only at the end; answered without a promise where they are in memory.
   *  @throws WormholeError `unreachable` | `corrupt` | `io` */
  read(offset: number, length: number, signal?: AbortSignal): Uint8Array | Promise<Uint8Array>;
  /** Takes the bytes (copies what it keeps). @throws WormholeError `full` | `io` */
  write(offset: number, data: Uint8Array): void | Promise<void>;
  truncate(size: number): void | Promise<void>;
  /** Makes staged bytes survive the death of the process (contract D2). */
  save(): void | Promise<void>;
  /** Makes staged bytes survive a power cut (contract D3). */
  sync(): Promise<void>;
  /** Cuts and hashes what is staged and stores its chunks durably enough to be named: resolves with the new
   *  content id; later writes are staged over it. Small contents are answered at once, without a promise. */
  publish(): Published | Promise<Published>;
  /** Lets go; staged bytes that were not published are dropped only if `discard`. */
  close(discard?: boolean): void | Promise<void>;
}

export interface Published {
  content: ContentId;
  size: number;
  /** Chunks that were new to this pod, and their bytes. */
  newChunks: number;
  newBytes: number;
}

/** What a restart found staged by an earlier process: to be published, then released. */
export interface Recovered {
  /** The owner's key given to `open`. */
  key: string;
  content: OpenContent;
}

/**
 * Bytes by their hash. One gate verifies every byte that enters the store or leaves it to a reader.
 */
export interface ContentStore {
  /** Opens a content (its `size` is known to the caller). `key` names the owner (an inode) in staging records. */
  open(key: string, content: ContentId, size: number): OpenContent;
  /** Staged contents that an earlier process left behind. */
  recovered(): Recovered[];

  has(id: ChunkId): boolean;
  /** The chunks of a content, the manifest's own first; fetches the manifest if it is not here. */
  chunksOf(content: ContentId): Promise<ChunkRef[]>;
  /** The verified bytes of a chunk that is here, for a peer; undefined when it is not here. */
  get(id: ChunkId): Promise<Uint8Array | undefined>;
  /** Verifies and stores; `keep` chunks are never evicted. @throws WormholeError `corrupt` when the hash differs */
  put(id: ChunkId, bytes: Uint8Array, options: { keep: boolean }): Promise<void>;
  /** Fetches (if needed) and keeps: the chunk is placed here and not evictable. */
  keep(id: ChunkId): Promise<void>;
  /** Resolves when every chunk stored so far survives a power cut. */
  flush(): Promise<void>;
  /** How much of a content is here. */
  presence(content: ContentId): 'here' | 'partly' | 'cached' | 'remote';
  usage(): { chunks: number; bytes: number; cachedBytes: number; stagedBytes: number; freeBytes: number };
  close(): Promise<void>;
}
