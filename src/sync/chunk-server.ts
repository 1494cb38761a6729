import { type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { Link, Links } from '../net/index.js';
import { MESSAGES, packBits, parseChunkIds } from './wire.js';

/** An answer stops growing before this; a single larger chunk still goes. */
const ANSWER_BYTES = 1024 * 1024;

/** What of a store is asked to answer peers. */
export type ServedContent = Pick<ContentStore, 'has' | 'stored' | 'verify' | 'flush'>;

export interface ChunkServerOptions {
  links: Links;
  content: ServedContent;
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
  const doubts = new Doubts(content, log);
  links.handle(MESSAGES.doubt, async (link, body, signal) => {
    for (const id of idsOf(link, body)) if (!signal.aborted) await doubts.settle(id);
    return null;
  });
  links.handle(MESSAGES.chunks, async (link, body, signal) => {
    const chunks: (Uint8Array | null)[] = [];
    let bytes = 0;
    for (const id of idsOf(link, body)) {
      if (signal.aborted) break;
      await doubts.of(id);
      const chunk = await content.stored(id).catch((error) => {
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

/**
 * Chunks are sent as they lie there, and compared with their names by whoever gets them. Who got a wrong one says so;
 * it is read and compared here then, and set aside if it has rotted: for peers it is simply not here any more.
 */
class Doubts {
  private readonly content: ServedContent;
  private readonly log: Log;
  private readonly checks = new Map<string, Promise<void>>();
  /** One after the other, since anybody may doubt anything. */
  private last: Promise<void> = Promise.resolve();

  constructor(content: ServedContent, log: Log) {
    this.content = content;
    this.log = log;
  }

  /** Resolves when what is doubted about a chunk is settled. */
  of(id: string): Promise<void> | undefined {
    return this.checks.get(id);
  }

  settle(id: string): Promise<void> {
    const known = this.checks.get(id);
    if (known !== undefined) return known;
    const check = this.last.then(() => this.check(id)).finally(() => this.checks.delete(id));
    this.last = check;
    this.checks.set(id, check);
    return check;
  }

  private async check(id: string): Promise<void> {
    try {
      await this.content.verify(id);
    } catch (error) {
      this.log.warn('a chunk that a peer doubts could not be read', { chunk: id, reason: messageOf(error) });
    }
  }
}
