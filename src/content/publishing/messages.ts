import type { ErrorCode } from '../../base/index.js';
import type { ChunkFolders } from '../chunks/file-chunks.js';
import type { ChunkId, ContentId } from '../content.js';
import type { PackedShape } from '../staging/staged-state.js';

/** Told to the worker when it starts. */
export interface WorkerSetup {
  folders: ChunkFolders;
}

export interface PublishRequest {
  kind: 'publish';
  job: number;
  shape: PackedShape;
  /** Number and path of each staging file. */
  files: [number, string][];
  /** The base's entries, packed as in a manifest. */
  base: Uint8Array;
  /** The entries of contents that bytes are borrowed from, by their numbers in the shape. */
  borrowed: [number, Uint8Array][];
}

export type ToWorker =
  | PublishRequest
  | { kind: 'cancel'; job: number }
  | { kind: 'answer'; ask: number; bytes?: Uint8Array; error?: { code: ErrorCode; message: string } };

export interface PublishResult {
  content: ContentId;
  size: number;
  /** Chunks that are too small for files of their own, in memory only as yet. */
  small: { id: ChunkId; bytes: Uint8Array }[];
  newChunks: number;
  newBytes: number;
}

export type FromWorker =
  /** Wants the bytes of a chunk of the base. */
  | { kind: 'chunk'; job: number; ask: number; id: ChunkId }
  /** Wants a chunk not to be evicted while it is compared or written. */
  | { kind: 'pin'; job: number; ask: number; id: ChunkId }
  | { kind: 'published'; job: number; result: PublishResult }
  | { kind: 'failed'; job: number; error: { code: ErrorCode; message: string } };
