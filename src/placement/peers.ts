import type { PodId } from '../base/index.js';
import type { ChunkId } from '../content/index.js';
import type { Heads } from '../tree/index.js';

/** What placement needs of other pods; `sync/` is one, the daemon hands it in. */
export interface Peers {
  /** Pods that are linked now. */
  linked(): PodId[];
  /** The bytes of a chunk from whichever linked pod has it now, unchecked, behind what readers wait for.
   *  @throws WormholeError `unreachable` at once when none has it, `interrupted` */
  fetchNow(id: ChunkId, signal: AbortSignal): Promise<Uint8Array>;
  /** Asks pods which of these chunks they have durably; those that do not answer are not in the result. */
  whoHas(
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal?: AbortSignal,
  ): Promise<Map<PodId, boolean[]>>;
  /** Asks pods which of these chunks they keep, not only have: whoever says so goes on keeping them for a while. */
  whoKeeps(
    ids: readonly ChunkId[],
    pods: readonly PodId[],
    signal?: AbortSignal,
  ): Promise<Map<PodId, boolean[]>>;
  /** Answers other pods that ask so. */
  serveKept(keeps: (ids: readonly ChunkId[]) => boolean[]): void;
  /** Resolves when a pod's tree has this version durably. @throws WormholeError `closed` | `timeout` | `interrupted` */
  whenHas(pod: PodId, heads: Heads, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void>;
  /** Says which pods should hold a chunk: they are asked first. */
  preferHolders(prefer: (id: ChunkId) => readonly PodId[]): void;
  /** Calls back when a pod is linked. */
  onLinked(linked: (pod: PodId) => void): () => void;

  /** Tells every linked pod, and those that link later, that this one holds its share of this version. */
  tellSettled(heads: Heads): void;
  /** What a pod told so over the link that stands. */
  settledAt(pod: PodId): Heads | undefined;
  /** Calls back when a pod tells. */
  onSettled(settled: (pod: PodId, heads: Heads) => void): () => void;
  /** Resolves when a pod holds its share of this version durably.
   *  @throws WormholeError `closed` when its link goes, `timeout`, `interrupted` */
  whenSettled(pod: PodId, heads: Heads, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void>;
  /** Answers other pods that wait for this one. Once the tree here has the version they ask about, durably,
   *  `untilSettled` is to resolve when the pod's share of it is here durably. */
  serveSettled(untilSettled: (signal: AbortSignal) => Promise<void>): void;
}
