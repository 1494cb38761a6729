import type { Emitter, Log, PodId } from '../../base/index.js';
import type { Heads, Operation } from '../schema.js';
import type { IndexChange } from './indexer.js';

/** What the document's thread needs to know to start. */
export interface EngineOptions {
  /** Folder of the engine's own files (change log, snapshot); made when missing. */
  folder: string;
  /** Folder of the database that holds the index tables and what peers are known to have. */
  database: string;
  podId: PodId;
  /** For people, in conflict names; cut to 12 bytes of UTF-8. */
  podName: string;
  /** The network's id: a document of another network is refused. */
  network: Uint8Array;
  /** True on the pod that made the network: it makes the document's first change when there is none yet.
   *  Everyone else starts from an empty document and syncs; operations wait until then. */
  founder: boolean;
  log: Log;
}

/** What was found wrong with the document's files at a start (contract D8, D10). The engine goes on with the
 *  longest whole prefix; what could not be read is set aside, not removed. */
export interface EngineCondition {
  /** `damaged`: a record or the snapshot does not match its hash. `behind`: the index had seen more. */
  kind: 'damaged' | 'behind';
  /** One sentence for people. */
  reason: string;
  /** Heads that the document once had; when `contains(missing)` all is here again. */
  missing: Heads;
}

export interface EngineReady {
  /** Durable heads; empty in a joiner's document before its first sync. */
  heads: Heads;
  /** The last operation that is in the document: those above it in the journal are to be applied again. New
   *  operations must have numbers above it, even when the journal lost its tail in a power cut. */
  appliedSeq: number;
  condition?: EngineCondition;
}

export interface EngineEvents extends Record<string, unknown> {
  /** The index shows a batch: local operations up to and with `seq`, or remote changes (`remote`). Sent after
   *  the index's write is committed, so a refreshed read sees it. Carries on `seq` in both cases. What others did in
   *  bulk comes in parts, of `of` entries in all: this is the first, `shown` brings the others. */
  echo: { seq: number; change: IndexChange; heads: Heads; remote: boolean; of?: number };
  shown: { change: IndexChange; of: number };
  /** Changes of this pod, durable here, to be pushed to peers. */
  changes: { changes: Uint8Array[]; heads: Heads };
  /** The document is durable up to these heads and this operation: the journal may drop what is not above. */
  durable: { heads: Heads; seq: number };
  /** `waiting`: loaded, but a joiner's document is still empty. `full`: the disk is, and it tries again. */
  state: { state: 'loading' | 'waiting' | 'ready' | 'full' | 'failed'; reason?: string };
}

/**
 * The document's thread, seen from the main thread. It groups operations, sends them again after the thread
 * died (by their numbers, so none is applied twice), and restarts it with backoff. Requests of peers that were
 * under way when the thread died are rejected with `closed` and are not sent again.
 */
export interface EngineClient {
  readonly events: Emitter<EngineEvents>;
  /** Resolves at the first load; rejects with `closed`, or with what no restart cures (`newer-format`). */
  readonly ready: Promise<EngineReady>;
  /** Durable heads; empty while the document loads. */
  heads(): Heads;
  /** Operations given and not yet echoed; who gives more than some thousands ahead should wait. */
  readonly pending: number;

  /** Queues whole operations in rising order of `seq`. They go to the document in groups: after
   *  `LIMITS.groupDelayMs`, or at `LIMITS.groupOperationsMax`, or at `commit()`. May be called before `ready`. */
  apply(operations: readonly Operation[]): void;
  /** Resolves with the heads when every operation given so far is in the document and durable. */
  commit(): Promise<Heads>;

  /** True when the document has all of `heads`. */
  contains(heads: Heads): Promise<boolean>;
  /** The next sync message for a peer, or undefined when there is nothing to say. May be larger than a frame. */
  generate(peer: PodId): Promise<Uint8Array | undefined>;
  /** Takes a sync message; resolves when what it brought is durable, with the heads to acknowledge.
   *  @throws WormholeError `protocol` when it is not valid; nothing was applied */
  receive(peer: PodId, message: Uint8Array): Promise<Heads>;
  /** Takes pushed changes; those whose dependencies are missing wait. Resolves when the rest is durable.
   *  @throws WormholeError `protocol` when one is not valid; nothing was applied */
  applyChanges(changes: readonly Uint8Array[]): Promise<Heads>;
  /** Forgets the conversation, keeps what the peer is known to have. */
  disconnect(peer: PodId): Promise<void>;
  /** The whole document for a cold joiner, or undefined when it is small enough for plain sync. */
  snapshotForPeer(): Promise<Uint8Array | undefined>;
  /** Starts an empty document from a peer's snapshot, whose bytes are given away. Resolves when it is durable here.
   *  @throws WormholeError `protocol` when it is not valid or of another network, `exists` when not empty */
  adoptSnapshot(snapshot: Uint8Array): Promise<Heads>;

  /** Forgets the history that was noted more than `periodMs` of the store's uptime ago. */
  forgetHistory(periodMs: number): Promise<void>;

  /** Applies what is queued, takes a snapshot if worth it, ends the thread. */
  close(): Promise<void>;
}

/** {@link startEngine} in start.ts, or another for tests. */
export type StartEngine = (options: EngineOptions) => EngineClient;
