import type { PodId } from '../base/index.js';
import type { ChunkId, ChunkRef } from '../content/index.js';
import { type Candidate, holders } from './rendezvous.js';

/** What decides where chunks belong. */
export interface Layout {
  self: PodId;
  candidates: readonly Candidate[];
  copies: number;
}

/** One step towards the layout: fetch (where it is not here) and keep. */
export interface Action {
  kind: 'keep';
  id: ChunkId;
  /** Bytes. */
  length: number;
}

/** True when a chunk belongs here. */
export function belongsHere(id: ChunkId, { self, candidates, copies }: Layout): boolean {
  // With few pods every one holds everything.
  if (candidates.length <= copies) return candidates.some((candidate) => candidate.id === self);
  return holders(id, candidates, copies).includes(self);
}

/**
 * What this pod has to do so that it holds its share of a content's chunks. Carried out, it leaves nothing to
 * do: `plan(after(plan)) = []`.
 * @param kept true for chunks that are here and not evictable
 * @param whole all of the content is to be here, whatever the layout says (it is pinned)
 */
export function plan(
  chunks: readonly ChunkRef[],
  layout: Layout,
  kept: (id: ChunkId) => boolean,
  whole = false,
): Action[] {
  const actions = new Map<ChunkId, Action>();
  for (const { id, length } of chunks) {
    // Holes have no bytes.
    if (id === '' || actions.has(id) || kept(id) || !(whole || belongsHere(id, layout))) continue;
    actions.set(id, { kind: 'keep', id, length });
  }
  return [...actions.values()];
}
