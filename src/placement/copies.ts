import type { PodId } from '../base/index.js';
import type { ChunkId } from '../content/index.js';
import { holders, type Layout } from './rendezvous.js';

/** Fewest copies among some chunks, given for each pod that answered which of them it has. */
export interface Tally {
  /** Copies that the least held chunk has, counting only pods that are meant to hold it, or this one. */
  held: number;
  /** Chunks that have fewer than they should. */
  short: number;
  /** Pods that have all of the chunks, whether they are meant to or not. */
  whole: PodId[];
  /** Pods that are meant to hold any of the chunks. */
  wanted: PodId[];
}

/** Copies that a file should have now: as declared, but no more than there are pods for them. */
export function copiesWanted({ copies, candidates }: Layout): number {
  return Math.min(copies, Math.max(1, candidates.length));
}

/**
 * Counts copies. A pod that happens to have a chunk it is not meant to hold may drop it at any time, so it does
 * not count; what this pod keeps counts, since it keeps it until the others have it. A portal never counts.
 */
export function tally(
  ids: readonly ChunkId[],
  answers: ReadonlyMap<PodId, readonly boolean[]>,
  layout: Layout,
): Tally {
  const wanted = new Set<PodId>();
  let least = Number.POSITIVE_INFINITY;
  let short = 0;
  // What is ignored is meant for no pod, and is where it was made.
  const isCandidate =
    layout.policy.ignore || layout.candidates.some((candidate) => candidate.id === layout.self);
  ids.forEach((id, i) => {
    const meant = holders(id, layout);
    for (const pod of meant) wanted.add(pod);
    const counted = new Set(isCandidate ? [...meant, layout.self] : meant);
    let held = 0;
    for (const pod of counted) if (answers.get(pod)?.[i] === true) held++;
    least = Math.min(least, held);
    if (held < copiesWanted(layout)) short++;
  });
  const whole = [...answers].filter(([, has]) => ids.every((_, i) => has[i] === true)).map(([pod]) => pod);
  return { held: ids.length === 0 ? 0 : least, short, whole, wanted: [...wanted] };
}
