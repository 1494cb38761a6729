import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../base/index.js';
import { type ChunkId, type ContentStore, Fingerprints } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { FileContent } from './content-source.js';

const PAGE = 64;

export interface ScrubberOptions {
  tree: Pick<Tree, 'contents' | 'counts'>;
  content: Pick<ContentStore, 'has' | 'verify' | 'chunksOf' | 'presence' | 'chunkIds'>;
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

export interface ScrubOptions {
  after?: InodeId | undefined;
  bytesPerSecond: () => number;
  reached: (inode: InodeId, so: Scrubbed) => void;
  signal: AbortSignal;
}

interface Round extends ScrubOptions {
  /** What was read in it. */
  seen: Fingerprints;
  so: Scrubbed;
}

/** Reads every chunk that is here through the store's gate, which sets aside what rotted. */
export class Scrubber {
  private readonly options: ScrubberOptions;

  constructor(options: ScrubberOptions) {
    this.options = options;
  }

  /**
   * One round over everything: what files name, in their order, then what only history remembers.
   * @param options.after goes on behind this inode
   * @param options.bytesPerSecond Infinity is no limit
   * @param options.reached called now and then with the place to go on from
   */
  async run(options: ScrubOptions): Promise<Scrubbed> {
    const round: Round = { ...options, seen: new Fingerprints(), so: noneScrubbed() };
    const { signal, seen, so } = round;
    if (options.after !== undefined) await this.passOver(options.after, round);
    for await (const file of this.files(options.after, signal, (inode) => options.reached(inode, so))) {
      await this.look(file, round);
      so.files++;
    }
    for await (const id of this.options.content.chunkIds()) {
      signal.throwIfAborted();
      if (!seen.has(id)) await this.read(id, round);
    }
    if (so.damaged > 0) this.options.damaged();
    return so;
  }

  /** What an earlier run has read is not read again. */
  private async passOver(after: InodeId, { seen, signal }: Round): Promise<void> {
    const [next] = this.options.tree.contents(after, 1);
    for await (const file of this.files(undefined, signal, () => {})) {
      if (file.inode === next?.inode) return;
      for (const id of await this.chunksHere(file)) seen.add(id);
    }
  }

  private async *files(
    from: InodeId | undefined,
    signal: AbortSignal,
    reached: (inode: InodeId) => void,
  ): AsyncGenerator<FileContent> {
    for (let after = from; ; ) {
      const page = this.options.tree.contents(after, PAGE);
      for (const file of page) {
        signal.throwIfAborted();
        yield file;
      }
      after = page.at(-1)?.inode;
      if (after === undefined) return;
      reached(after);
      await setImmediate();
    }
  }

  private async look(file: FileContent, round: Round): Promise<void> {
    for (const id of await this.chunksHere(file)) {
      round.signal.throwIfAborted();
      round.seen.add(id);
      await this.read(id, round);
    }
  }

  private async chunksHere({ content: id, size }: FileContent): Promise<ChunkId[]> {
    const { content } = this.options;
    if (id === '' || content.presence(id) === 'remote' || !content.has(id.slice(1))) return [];
    const chunks = await content.chunksOf(id, size);
    return chunks.map((chunk) => chunk.id).filter((chunk) => chunk !== '' && content.has(chunk));
  }

  /** However large a file is, the pause is after each of its chunks. */
  private async read(id: ChunkId, { so, bytesPerSecond, signal }: Round): Promise<void> {
    const { content, clock } = this.options;
    const length = await content.verify(id);
    if (length === undefined) return;
    so.chunks++;
    if (length === 'damaged') {
      so.damaged++;
      return;
    }
    so.bytes += length;
    const rate = bytesPerSecond();
    if (Number.isFinite(rate)) await clock.sleep((length * 1000) / Math.max(1, rate), signal);
  }
}

function noneScrubbed(): Scrubbed {
  return { files: 0, chunks: 0, bytes: 0, damaged: 0 };
}
