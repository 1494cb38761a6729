import { type Clock, type PodId, WormholeError } from '../base/index.js';
import type { ChunkId, ChunkRef, ContentId, ContentStore } from '../content/index.js';
import type { InodeId } from '../tree/index.js';
import { copiesWanted, tally } from './copies.js';
import type { Peers } from './peers.js';
import { belongsHere } from './plan.js';
import type { Layout } from './rendezvous.js';

/** A list of chunks that is not here is waited for so long. */
const MANIFEST_TIMEOUT_MS = 3_000;

/** Who should hold a content and who does, as they say themselves now. */
export interface Inspection {
  chunks: ChunkRef[];
  copies: { wanted: number; held: number };
  /** Pods that are meant to hold any of its chunks. */
  wanted: PodId[];
  /** Pods that have all of its chunks. */
  holders: PodId[];
  /** Pods that have some of its chunks, and how many. */
  partly: { pod: PodId; chunks: number }[];
}

export interface InspectorOptions {
  content: Pick<ContentStore, 'has' | 'presence' | 'chunksOf'>;
  peers: Pick<Peers, 'linked' | 'whoHas'>;
  layout: (inode: InodeId) => Layout;
  clock: Clock;
}

/** Where many contents are asked about, so many chunks of each stand for all of them. */
const SAMPLED_CHUNKS = 16;

/**
 * Asks every linked pod about these contents, all at once. An empty content has no chunks and every copy. About
 * one content everything is told; about many, as for a listing, chunks of large ones are sampled and lengths of
 * small ones are not looked up.
 */
export async function inspectContents(
  files: readonly { inode: InodeId; content: ContentId }[],
  { content, peers, layout: layoutOf, clock }: InspectorOptions,
): Promise<Inspection[]> {
  const sampled = files.length > 1;
  const lists = await Promise.all(files.map((file) => chunksOf(file.content, content, clock, sampled)));
  const ids = [...new Set(lists.flat().map((chunk) => chunk.id))].filter((id) => id !== '');
  const answers = await peers.whoHas(ids, peers.linked());
  const place = new Map(ids.map((id, i) => [id, i]));
  return files.map(({ inode, content: id }, i) => {
    const layout = layoutOf(inode);
    const chunks = lists[i] ?? [];
    const own = [...new Set(chunks.map((chunk) => chunk.id))].filter((chunk) => chunk !== '');
    const whole = id !== '' && content.presence(id) === 'here';
    const bits = new Map<PodId, boolean[]>();
    for (const [pod, has] of answers)
      bits.set(
        pod,
        own.map((chunk) => has[place.get(chunk) ?? -1] === true),
      );
    const isHere = (chunk: ChunkId) => content.has(chunk) && (whole || belongsHere(chunk, layout));
    bits.set(layout.self, own.map(isHere));
    return inspection(chunks, own, bits, layout);
  });
}

function inspection(
  chunks: ChunkRef[],
  ids: readonly ChunkId[],
  bits: ReadonlyMap<PodId, readonly boolean[]>,
  layout: Layout,
): Inspection {
  const wanted = copiesWanted(layout);
  if (chunks.length === 0) {
    return { chunks, copies: { wanted, held: wanted }, wanted: [], holders: [layout.self], partly: [] };
  }
  const count = tally(ids, bits, layout);
  const partly = [...bits]
    .map(([pod, has]) => ({ pod, chunks: has.filter(Boolean).length }))
    .filter((part) => part.chunks > 0 && !count.whole.includes(part.pod));
  return { chunks, copies: { wanted, held: count.held }, wanted: count.wanted, holders: count.whole, partly };
}

/** The chunks; where their list cannot be had, the list's own chunk stands for them. */
async function chunksOf(
  id: ContentId,
  content: Pick<ContentStore, 'chunksOf'>,
  clock: Clock,
  sampled: boolean,
): Promise<ChunkRef[]> {
  if (id === '') return [];
  if (sampled && id.startsWith('c')) return [{ id: id.slice(1), length: 0 }];
  const given = new AbortController();
  const late = clock.sleep(MANIFEST_TIMEOUT_MS, given.signal).then(() => {
    throw new WormholeError('timeout', 'the list of chunks is not here');
  });
  try {
    const chunks = await Promise.race([content.chunksOf(id), late]);
    return sampled ? sample(chunks) : chunks;
  } catch {
    return [{ id: id.slice(1), length: 0 }];
  } finally {
    late.catch(() => {});
    given.abort();
  }
}

/** Evenly spread, the first (the list of chunks itself) among them. */
function sample(chunks: ChunkRef[]): ChunkRef[] {
  const step = Math.max(1, Math.ceil(chunks.length / SAMPLED_CHUNKS));
  return chunks.filter((_, i) => i % step === 0);
}
