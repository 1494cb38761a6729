import { isSha256 } from '../../base/index.js';
import type { ChunkId, ContentId } from '../content.js';
import type { Layouts } from '../reading/layouts.js';
import { Fingerprints } from './fingerprints.js';

/** Chunks that only contents name whose own history has passed. */
export interface Passed {
  has(id: ChunkId): boolean;
}

type Pages = Iterable<readonly { content: ContentId; over: boolean }[]>;

/**
 * Tells apart what is remembered still from what need not be any more, chunk by chunk: a chunk that both have stays.
 * @returns undefined when there is nothing of the latter, or it cannot be told now what is remembered
 */
export async function findPassed(
  pages: Pages,
  layouts: Pick<Layouts, 'load'>,
  breathe: () => Promise<void>,
  signal: AbortSignal,
): Promise<Passed | undefined> {
  const over = new Set<ContentId>();
  const standing = new Set<ContentId>();
  for (const page of pages) {
    for (const { content, over: isOver } of page) (isOver ? over : standing).add(content);
    await breathe();
  }
  for (const content of standing) over.delete(content);
  if (over.size === 0) return undefined;
  const [chunksOver, chunksStanding] = [new Fingerprints(), new Fingerprints()];
  const add = async (to: Fingerprints, content: ContentId) => {
    if (!isSha256(content.slice(1))) return;
    to.add(content.slice(1));
    if (!content.startsWith('m')) return;
    const layout = await layouts.load(content, 0, signal);
    for (const { id } of layout.manifests) to.add(id);
    to.addEntries(layout.packed);
  };
  for (const content of standing) {
    const known = await add(chunksStanding, content).then(
      () => true,
      () => false,
    );
    signal.throwIfAborted();
    // Whoever has its list is away: on a guess nothing goes.
    if (!known) return undefined;
  }
  for (const content of over) {
    // Without its list, its chunks wait for the longest history, as ever.
    await add(chunksOver, content).catch(() => signal.throwIfAborted());
  }
  return { has: (id) => chunksOver.has(id) && !chunksStanding.has(id) };
}
