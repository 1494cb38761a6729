import type { Clock } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';

const PAGE = 64;

export interface ScrubberOptions {
  tree: Pick<Tree, 'contents' | 'counts'>;
  content: Pick<ContentStore, 'has' | 'verify' | 'chunksOf' | 'presence'>;
  clock: Clock;
  /** Something that rotted was set aside: what belongs here is to be fetched again. */
  damaged: () => void;
}

export interface Scrubbed {
  files: number;
  chunks: number;
  bytes: number;
  /** Chunks that did not hash to their id. */
  damaged: number;
}

/** Reads every chunk that is here through the store's gate, which sets aside what rotted. */
export class Scrubber {
  private readonly options: ScrubberOptions;

  constructor(options: ScrubberOptions) {
    this.options = options;
  }

  /**
   * One round over everything.
   * @param options.after goes on behind this inode
   * @param options.bytesPerSecond Infinity is no limit
   * @param options.reached called now and then with the place to go on from
   */
  async run(options: {
    after?: InodeId | undefined;
    bytesPerSecond: () => number;
    reached: (inode: InodeId, so: Scrubbed) => void;
    signal: AbortSignal;
  }): Promise<Scrubbed> {
    const { tree } = this.options;
    const { signal } = options;
    const so: Scrubbed = { files: 0, chunks: 0, bytes: 0, damaged: 0 };
    let { after } = options;
    do {
      const page = tree.contents(after, PAGE);
      for (const { content, size } of page) {
        signal.throwIfAborted();
        const read = await this.look(content, size, so);
        so.files++;
        const rate = options.bytesPerSecond();
        if (Number.isFinite(rate)) await this.options.clock.sleep((read * 1000) / Math.max(1, rate), signal);
      }
      after = page.at(-1)?.inode;
      if (after !== undefined) options.reached(after, so);
    } while (after !== undefined);
    if (so.damaged > 0) this.options.damaged();
    return so;
  }

  /** @returns bytes that were read */
  private async look(id: string, size: number, so: Scrubbed): Promise<number> {
    const { content } = this.options;
    if (id === '' || content.presence(id) === 'remote' || !content.has(id.slice(1))) return 0;
    let read = 0;
    for (const chunk of await content.chunksOf(id, size)) {
      if (chunk.id === '' || !content.has(chunk.id)) continue;
      const length = await content.verify(chunk.id);
      so.chunks++;
      if (length === 'damaged') so.damaged++;
      else read += length ?? 0;
    }
    so.bytes += read;
    return read;
  }
}
