import { type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { Link, Links } from '../net/index.js';
import { MESSAGES, packBits, parseChunkIds } from './wire.js';

/** An answer stops growing before this; a single larger chunk still goes. */
const ANSWER_BYTES = 1024 * 1024;

export interface ChunkServerOptions {
  links: Links;
  content: Pick<ContentStore, 'has' | 'stored' | 'flush'>;
  isMember: (pod: PodId) => boolean;
  /** Which of these are here to stay; the pod keeps its word for a while. */
  keeps: (ids: readonly string[]) => boolean[];
  log: Log;
}

/** Answers what peers ask about chunks: which are here, and their bytes. Call before the links are started. */
export function serveChunks({ links, content, isMember, keeps, log }: ChunkServerOptions): void {
  const idsOf = (link: Link, body: unknown): string[] => {
    if (!isMember(link.peer)) throw new WormholeError('not-member', 'only members are answered');
    return parseChunkIds(body);
  };
  links.handle(MESSAGES.have, async (link, body) => {
    const bits = idsOf(link, body).map((id) => content.has(id));
    // What is said to be held is durable (contract D5).
    await content.flush();
    return packBits(bits);
  });
  links.handle(MESSAGES.kept, async (link, body) => {
    const bits = keeps(idsOf(link, body));
    await content.flush();
    return packBits(bits);
  });
  links.handle(MESSAGES.chunks, async (link, body, signal) => {
    const chunks: (Uint8Array | null)[] = [];
    let bytes = 0;
    for (const id of idsOf(link, body)) {
      if (signal.aborted) break;
      const chunk = await content.stored(id).catch((error) => {
        // A rotten chunk is set aside by the store; for the peer it is simply not here.
        log.warn('a chunk could not be given', { chunk: id, reason: messageOf(error) });
        return undefined;
      });
      bytes += chunk?.length ?? 0;
      if (bytes > ANSWER_BYTES && chunks.length > 0) break;
      chunks.push(chunk ?? null);
    }
    return { chunks };
  });
}
