import { closeSync, openSync, readSync } from 'node:fs';
import { diskError, WormholeError } from '../../base/index.js';
import type { ChunkId } from '../content.js';
import type { Layout } from '../layout.js';
import { isHole } from '../staging/ranges.js';
import type { StagedShape } from '../staging/staged-state.js';
import type { DraftReader } from './recut.js';

/** Reads the bytes of a draft: staged ones from their files (this thread may block), others from the base. */
export class DraftFiles implements DraftReader {
  private readonly shape: StagedShape;
  private readonly base: Layout;
  private readonly descriptors = new Map<number, number>();
  private readonly fetch: (id: ChunkId) => Promise<Uint8Array>;
  /** The chunk of the base that was read last; neighbouring gaps often lie in one. */
  private last: { id: ChunkId; bytes: Uint8Array } | undefined;

  constructor(
    shape: StagedShape,
    base: Layout,
    files: [number, string][],
    fetch: (id: ChunkId) => Promise<Uint8Array>,
  ) {
    this.shape = shape;
    this.base = base;
    this.fetch = fetch;
    for (const [number, path] of files) this.descriptors.set(number, openSync(path, 'r'));
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    const end = offset + target.length;
    for (let at = offset; at < end; ) {
      const part = this.shape.ranges.at(at, end);
      let stop = part.end;
      if (part.file !== undefined && isHole(part.file)) target.fill(0, at - offset, stop - offset);
      else if (part.file !== undefined)
        this.readFile(part.file, at, target.subarray(at - offset, stop - offset));
      else if (at >= this.shape.visible) target.fill(0, at - offset, stop - offset);
      else {
        const entry = this.base.find(at);
        stop = Math.min(stop, this.shape.visible, this.base.end(entry));
        await this.readBase(entry, at, target.subarray(at - offset, stop - offset));
      }
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

  private async readBase(entry: number, offset: number, target: Uint8Array): Promise<void> {
    const { id, length } = this.base.entry(entry);
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
    const from = offset - this.base.start(entry);
    target.set(bytes.subarray(from, from + target.length));
  }
}
