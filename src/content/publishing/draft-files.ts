import { closeSync, openSync, readSync } from 'node:fs';
import { diskError, WormholeError } from '../../base/index.js';
import type { ChunkId } from '../content.js';
import { isStaged } from '../staging/ranges.js';
import type { StagedShape } from '../staging/staged-state.js';
import { type Below, belowAt, type DraftLayouts, type DraftReader } from './recut.js';

/** Reads the bytes of a draft: staged ones from their files (this thread may block), others from what was published. */
export class DraftFiles implements DraftReader {
  private readonly shape: StagedShape;
  private readonly layouts: DraftLayouts;
  private readonly descriptors = new Map<number, number>();
  private readonly fetch: (id: ChunkId) => Promise<Uint8Array>;
  /** The chunk that was read last; neighbouring gaps often lie in one. */
  private last: { id: ChunkId; bytes: Uint8Array } | undefined;

  constructor(
    shape: StagedShape,
    layouts: DraftLayouts,
    files: [number, string][],
    fetch: (id: ChunkId) => Promise<Uint8Array>,
  ) {
    this.shape = shape;
    this.layouts = layouts;
    this.fetch = fetch;
    for (const [number, path] of files) this.descriptors.set(number, openSync(path, 'r'));
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    const end = offset + target.length;
    for (let at = offset; at < end; ) {
      const below = belowAt(this.shape, this.layouts, at);
      const part = this.shape.ranges.at(at, end);
      const stop = below === undefined ? part.end : Math.min(end, chunkEnd(below, at));
      const into = target.subarray(at - offset, stop - offset);
      if (below !== undefined) await this.readBelow(below, at, into);
      else if (part.file !== undefined && isStaged(part.file)) this.readFile(part.file, at, into);
      else into.fill(0);
      at = stop;
    }
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) closeSync(descriptor);
    this.descriptors.clear();
  }

  private readFile(file: number, offset: number, target: Uint8Array): void {
    const descriptor = this.descriptors.get(file) as number;
    try {
      for (let at = 0; at < target.length; ) {
        const count = readSync(descriptor, target, at, target.length - at, offset + at);
        if (count === 0)
          throw new WormholeError('io', 'a staging file is shorter than what was written to it');
        at += count;
      }
    } catch (error) {
      throw diskError('a staged file', error);
    }
  }

  /** Bytes that lie in one chunk. */
  private async readBelow({ layout, shift }: Below, offset: number, target: Uint8Array): Promise<void> {
    const entry = layout.find(offset + shift);
    const { id, length } = layout.entry(entry);
    if (id === '') {
      target.fill(0);
      return;
    }
    if (this.last?.id !== id) this.last = { id, bytes: await this.fetch(id) };
    const { bytes } = this.last;
    if (bytes.length !== length) {
      throw new WormholeError(
        'corrupt',
        `chunk ${id} has ${bytes.length} bytes where its file says ${length}`,
      );
    }
    const from = offset + shift - layout.start(entry);
    target.set(bytes.subarray(from, from + target.length));
  }
}

/** Where the chunk that shows at an offset ends to show. */
function chunkEnd({ layout, shift, end }: Below, at: number): number {
  return Math.min(end, layout.end(layout.find(at + shift)) - shift);
}
