import type { ChunkId, ChunkRef } from '../content/index.js';
import { holders, type Layout } from './rendezvous.js';

/** One step towards the layout: fetch (where it is not here) and keep. */
export interface Action {
  kind: 'keep';
  id: ChunkId;
  /** Bytes. */
  length: number;
}

/** True when a chunk belongs here. */
export function belongsHere(id: ChunkId, layout: Layout): boolean {
  const { self, candidates, copies } = layout;
  if (layout.here) return true;
  // With few pods every one holds everything.
  if (candidates.length <= copies) return candidates.some((candidate) => candidate.id === self);
  return holders(id, layout).includes(self);
}

/**
 * What this pod has to do so that it holds its share of a content's chunks. Carried out, it leaves nothing to
 * do: `plan(after(plan)) = []`.
 * @param kept true for chunks that are here and not evictable
 */
export function plan(chunks: readonly ChunkRef[], layout: Layout, kept: (id: ChunkId) => boolean): Action[] {
  const actions = new Map<ChunkId, Action>();
  for (const { id, length } of chunks) {
    // Holes have no bytes.
    if (id === '' || actions.has(id) || kept(id) || !belongsHere(id, layout)) continue;
    actions.set(id, { kind: 'keep', id, length });
  }
  return [...actions.values()];
}
