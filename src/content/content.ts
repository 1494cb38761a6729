import type { Sha256, WormholeError } from '../base/index.js';
import type { LogPosition } from '../store/index.js';

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

export interface FetchOptions {
  /** Somebody waits for the bytes. */
  urgent: boolean;
  /** Aborted when somebody begins to wait for bytes that nobody waited for so far. */
  hurry?: AbortSignal;
  /** Aborted when nobody wants them any more. */
  signal?: AbortSignal;
}

/** Where bytes come from that are not here. `sync/` is one, the daemon hands it in. */
export interface ChunkSource {
  /** The bytes of a chunk, packed or not, from whichever holder answers; the caller checks them.
   *  @throws WormholeError `unreachable` when no holder answered in time, `interrupted` when aborted */
  fetch(id: ChunkId, options: FetchOptions): Promise<Uint8Array>;
}

/**
 * A file's content open for reading and, once something was written, with staged changes over it. One object
 * serves all handles of a file: two opened side by side would not see each other's writes.
 */
export interface OpenContent {
  /** Bytes now. */
  readonly size: number;
  /** True when something was written or cut and not yet published. */
  readonly dirty: boolean;
  /** Bytes that publishing it now would have to cut and store, about. */
  readonly publishBytes: number;
  /** True when what is staged is small: {@link OpenContent.publish} then stores it within the call, unless the disk
   *  is far behind. */
  readonly publishesAtOnce: boolean;
  /** Bytes at an offset, shorter only at the end; answered without a promise where they are in memory.
   *  @throws WormholeError `unreachable` | `corrupt` | `io` */
  read(offset: number, length: number, signal?: AbortSignal): Uint8Array | Promise<Uint8Array>;
  /** As `read`, in the pieces in which the bytes lie, one after the other. */
  readParts(
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Takes the bytes, which must not be changed until it is answered. @throws WormholeError `full` | `io` */
  write(offset: number, data: Uint8Array): void | Promise<void>;
  truncate(size: number): void | Promise<void>;
  /** Makes bytes up to the end of the file zeros that take no space. @throws WormholeError `full` | `io` */
  punch(start: number, end: number): void | Promise<void>;
  /** Puts bytes `start` to `end` of a published content at an offset, without moving or fetching any: what of its
   *  chunks is whole here has the same chunks when this is published, only what surrounds them is cut anew. */
  borrow(offset: number, content: ContentId, size: number, start: number, end: number): void | Promise<void>;
  /** The first offset from one on that is data, or in a hole (the end is one); undefined when there is none.
   *  @throws WormholeError `unreachable` | `corrupt` when the list of chunks cannot be had */
  seek(offset: number, what: 'data' | 'hole'): number | undefined | Promise<number | undefined>;
  /** Makes staged bytes survive the death of the process (contract D2). */
  save(): void | Promise<void>;
  /** Makes staged bytes survive a power cut (contract D3). */
  sync(): Promise<void>;
  /** Cuts and hashes what is staged and stores its chunks durably enough to be named: resolves with the new
   *  content id; later writes are staged over it. Small contents are answered at once, without a promise. */
  publish(): Published | Promise<Published>;
  /** The owner recorded what was published last as its operation of this number: should a crash bring the staged
   *  bytes back, they are old. 0 of a recovered content: no operation that survived names it. */
  recordedAs(operation: number): void;
  /** The owner's key changed (a rename over another file moved the content to its inode). */
  rekey(key: string): void;
  /** Lets go; staged bytes that were not published are dropped only if `discard`, else they come back by
   *  `recovered` at the next start. */
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
  /** The owner's key given to `open`, or to `rekey`. */
  key: string;
  /** The content that it was written over. Where the owner has another one by now, somebody else wrote too, or
   *  this very content was published just before the crash. */
  base: ContentId;
  content: OpenContent;
  /** The owner's operation that names these bytes, where it has survived; 0 when there is none. */
  named: number;
}

/** What the tree names; the daemon hands it in. */
export interface Naming {
  /** Resolves when `contents` shows everything that happened so far, and all of that is durable.
   *  @throws when that cannot be had now */
  settled(): Promise<void>;
  /** The contents that are named, after an inode, about `limit` of them; all of one inode stay together. */
  contents(after: string | undefined, limit: number): { inode: string; content: ContentId }[];
  /** Calls back, until stopped, with what `contents` shows of inodes that changed; undefined: of any of them. */
  watch(changed: (contents: readonly ContentId[] | undefined) => void): () => void;
}

export interface CollectOptions {
  naming: Naming;
  /** Unnamed chunks are kept for so long, counted in time that this store was open; undefined: nothing is removed,
   *  and none is remembered. */
  historyMs: number | undefined;
  /** What went out of the tree and is remembered, a page at a time; `over`: its own history has passed, be it
   *  shorter than `historyMs`. A chunk of such contents alone need not wait for that. */
  remembered?: () => Iterable<readonly { content: ContentId; over: boolean }[]>;
  /** Whether every other member says just now that it does not have a chunk; without it, nobody knows. */
  nobodyHas?: (id: ChunkId) => Promise<boolean>;
  /** Only what was unnamed before this time (of the store's uptime) is removed: all others know that it is. */
  seenByAllMs: number;
  /** True for a chunk that another pod has just been told is kept here: it stays for this round. */
  promised?: (id: ChunkId) => boolean;
  /** Is given the named chunks that are not evictable, a thousand at a time. */
  kept?: (ids: readonly ChunkId[]) => Promise<void>;
  /** Told now and then how many chunks were looked at. */
  progress?: (chunks: number) => void;
  signal: AbortSignal;
}

/** What a round found; chunks that may be evicted are only counted. */
export interface Collected {
  chunks: number;
  /** Without a name and still here: history, or waiting for others to know. */
  unnamed: number;
  unnamedBytes: number;
  removed: number;
  removedBytes: number;
  /** The store's uptime when it ended. */
  atMs: number;
}

/**
 * Bytes by their hash. One gate verifies every byte that enters the store or leaves it to a reader.
 */
export interface ContentStore {
  /** Opens a content (its `size` is known to the caller). `key` is what comes back with staged bytes after a crash:
   *  its first word names the owner (an inode), the rest is whatever the owner wants to know then. What is fetched
   *  for it stays in the cache, unless `cache` is false. */
  open(key: string, content: ContentId, size: number, options?: { cache: boolean }): OpenContent;
  /** Staged contents that an earlier process left behind, at most one an owner; answered once. It may be that its
   *  publication was recorded by the owner just before the crash. */
  recovered(): Recovered[];
  /** Where to fetch from what is not here; until it is set, nothing can be fetched. */
  useSource(source: ChunkSource): void;

  has(id: ChunkId): boolean;
  /** The chunks of a content, its manifests first, without holes; fetches manifests that are not here.
   *  `size` is the content's; without it the length of a single chunk that is not here is given as 0.
   *  @throws WormholeError `unreachable` | `corrupt` */
  chunksOf(content: ContentId, size?: number): Promise<ChunkRef[]>;
  /** The verified bytes of a chunk that is here, for a peer; undefined when it is not here. */
  get(id: ChunkId): Promise<Uint8Array | undefined>;
  /** A chunk that is here, for a peer, in the form in which it is stored: packed perhaps, which `put` and readers of a
   *  ChunkSource take. They compare it with its name; here that is not done. */
  stored(id: ChunkId): Promise<Uint8Array | undefined>;
  /** Verifies and stores; the bytes may be packed, and must not be changed afterwards. `keep` chunks are never evicted. @throws WormholeError `corrupt` when the hash differs */
  put(id: ChunkId, bytes: Uint8Array, options: { keep: boolean }): Promise<void>;
  /** Fetches (if needed) and keeps: the chunk is placed here and not evictable. It counts as held after `flush`.
   *  @throws WormholeError `unreachable` | `corrupt` | `full` | `io` */
  keep(id: ChunkId): Promise<void>;
  /** The chunk need not be here any more: it becomes evictable. Nothing happens when it is absent. */
  release(id: ChunkId): Promise<void>;
  /** Deletes a chunk here if it is evictable and not in use. @returns whether it did */
  evict(id: ChunkId): Promise<boolean>;
  /** All chunks that are stored here; those that come or go meanwhile may be among them or not. */
  chunkIds(): AsyncIterable<ChunkId>;
  /** Reads a chunk from the disk and compares its hash: its bytes as a number, or `damaged` (it is set aside), or
   *  undefined when it is not here. @throws WormholeError `io` */
  verify(id: ChunkId): Promise<number | 'damaged' | undefined>;
  /** Resolves when every chunk stored so far survives a power cut. */
  flush(): Promise<void>;
  /** Up to where the log of small chunks goes: right after the start, what survived of it. What was published so
   *  far lies before it, or is durable. */
  reached(): LogPosition;
  /** How much of a content is here: all of it to stay, all of it but evictable in part, some, or nothing. */
  presence(content: ContentId): 'here' | 'partly' | 'cached' | 'remote';
  /** True when the chunk is here to stay: not one that may be evicted, and not on its way out. */
  isKept(id: ChunkId): boolean;
  /** True for a chunk that the last round of collection found without a name: it may go in a later one. */
  isUnnamed(id: ChunkId): boolean;
  /** The content, unnamed as yet or for some time, is about to be named: none of it is collected from now on. */
  claim(content: ContentId): void;
  /** One round of removing what nothing names; another call waits for it. Small, and off the clock: what it finds
   *  unnamed for the first time goes in a later round at the earliest.
   *  @returns undefined when the tree changed so much that it is to be tried again
   *  @throws WormholeError `unreachable` | `corrupt` when it cannot be known what some content needs, `interrupted` */
  collect(options: CollectOptions): Promise<Collected | undefined>;
  /** How many bytes chunks may take from now on which this pod need not hold; the usual, when left out. */
  resizeCache(bytes?: number): void;
  usage(): { chunks: number; bytes: number; cachedBytes: number; stagedBytes: number; freeBytes: number };
  /** The disk has no room, or no inode, for anything new. */
  readonly isFull: boolean;
  /** Why no contents can be stored any more, until it is opened anew. */
  readonly refusal: WormholeError | undefined;
  close(): Promise<void>;
}
