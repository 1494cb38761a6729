import { type Clock, Deadline, type PodId, unlessAborted, WormholeError } from '../base/index.js';
import type { Heads, Tree } from '../tree/index.js';
import type { TreeSync } from './tree-sync.js';

/** While no pod is linked, links are looked for this often. */
const LOOK_AGAIN_MS = 50;

/** How a wait for the linked pods ended. */
export interface SharedResult {
  /** True when every linked pod has what is here and this pod has what they have. */
  done: boolean;
  /** Pods with which that is so. */
  shared: PodId[];
  /** Pods that were linked and have not said so in time, or whose link went. */
  missing: PodId[];
  /** Why there was nothing to wait for, where there was not. */
  reason?: string;
}

export interface WaitOptions {
  tree: Pick<Tree, 'commit'>;
  treeSync: Pick<TreeSync, 'linked' | 'peerHas' | 'here'>;
  /** Other members than this pod. */
  others: () => readonly PodId[];
  clock: Clock;
}

/**
 * Resolves when every linked pod has said, after its own flush, that it has what is here now, and all that they
 * have is here; or when the time is up. Where other members exist and none is linked, one is waited for.
 * @throws WormholeError `interrupted`
 */
export async function waitUntilShared(
  limits: { timeoutMs: number; signal?: AbortSignal },
  options: WaitOptions,
): Promise<SharedResult> {
  const { tree, treeSync, others, clock } = options;
  const deadline = new Deadline(clock, limits.timeoutMs, limits.signal);
  const { signal } = deadline;
  try {
    while (others().length > 0 && treeSync.linked().length === 0 && !signal.aborted) {
      await clock.sleep(LOOK_AGAIN_MS, signal).catch(() => {});
    }
    const pods = treeSync.linked();
    const commit = unlessAborted(tree.commit(), signal);
    const committed = commit.then(
      () => true,
      () => false,
    );
    const results = await Promise.all(
      pods.map((pod) => share(pod, commit, signal, options, limits.timeoutMs)),
    );
    if (limits.signal?.aborted) throw new WormholeError('interrupted', 'the wait was given up');
    const shared = pods.filter((_, i) => results[i] === true);
    const missing = pods.filter((_, i) => results[i] !== true);
    if (pods.length === 0 && others().length > 0) {
      return { done: false, shared, missing: [...others()], reason: 'no other pod is linked' };
    }
    if (pods.length === 0 && !(await committed)) {
      return { done: false, shared, missing, reason: 'what was changed here is not in the document yet' };
    }
    return { done: missing.length === 0, shared, missing };
  } finally {
    deadline.end();
  }
}

async function share(
  pod: PodId,
  commit: Promise<Heads>,
  signal: AbortSignal,
  { treeSync }: WaitOptions,
  timeoutMs: number,
): Promise<boolean> {
  try {
    const theirs = await treeSync.peerHas(pod, await commit, { timeoutMs, signal });
    await treeSync.here(theirs, signal);
    return true;
  } catch {
    // Its link went, or the time is up: the caller names the pod.
    return false;
  }
}
