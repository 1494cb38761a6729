import { LIMITS, WormholeError } from '../../base/index.js';
import type { ChunkId, ContentId } from '../content.js';
import type { Layout } from '../layout.js';
import { MalformedList } from '../malformed-list.js';
import { MissingChunk } from '../missing-chunk.js';
import type { Layouts } from '../reading/layouts.js';
import type { Uptime } from './uptime.js';

export interface ListsOptions {
  layouts: Pick<Layouts, 'load'>;
  uptime: Pick<Uptime, 'now'>;
  has(id: ChunkId): boolean;
}

/**
 * The lists of chunks of contents, as a round of collection needs them. Any member can name a content whose list nobody
 * has, or one that is no list: of such a content nothing is to be kept but its name. Which it is, is decided with care:
 * every other member must say that it does not have the list, and again in a later round, for a list may be on its way
 * from one to another.
 */
export class Lists {
  private readonly options: ListsOptions;
  /** Contents without a list, with the chunk that nobody had and the uptime when that was first so. */
  private readonly lost = new Map<ContentId, { chunk: ChunkId; sinceMs: number }>();

  constructor(options: ListsOptions) {
    this.options = options;
  }

  /** @param nobodyHas whether every other member says just now that it does not have a chunk
   *  @returns undefined for a content that names nothing
   *  @throws WormholeError `unreachable` | `corrupt` when that cannot be known now, `interrupted` */
  async of(
    content: ContentId,
    nobodyHas: (id: ChunkId) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<Layout | undefined> {
    const { layouts, has } = this.options;
    const chunk = this.lost.get(content)?.chunk ?? content.slice(1);
    // Asked before it is looked for: that takes its time with each that nobody has.
    if (!has(chunk) && (await nobodyHas(chunk))) return this.without(content, chunk);
    this.lost.delete(content);
    try {
      return await layouts.load(content, 0, signal);
    } catch (error) {
      if (error instanceof MalformedList) return undefined;
      if (error instanceof MissingChunk && !has(error.chunk) && (await nobodyHas(error.chunk)))
        return this.without(content, error.chunk);
      throw error;
    }
  }

  private without(content: ContentId, chunk: ChunkId): undefined {
    const nowMs = this.options.uptime.now();
    const { sinceMs } = this.lost.get(content) ?? { sinceMs: nowMs };
    if (this.lost.size < LIMITS.lostListsMax || this.lost.has(content))
      this.lost.set(content, { chunk, sinceMs });
    if (nowMs - sinceMs >= LIMITS.collectGraceMs) return undefined;
    const sentence = `no member has the list of chunks ${chunk}; if none has it a minute from now, it is taken for lost`;
    throw new WormholeError('unreachable', sentence);
  }
}
