import { LIMITS } from '../../base/index.js';
import { CUTTING, Cutter, isZero } from '../chunker.js';
import type { Layout } from '../layout.js';
import { isHole as isPunched } from '../staging/ranges.js';
import type { StagedShape } from '../staging/staged-state.js';

/** A stretch of the new content, in order. */
export type Piece =
  /** Chunks of the base, from one entry up to another (exclusive), that are as they were. */
  { reuse: { from: number; to: number } } | { hole: number } | { chunk: Uint8Array };

/** Bytes of the new content, staged ones over those of the base. */
export interface DraftReader {
  /** Fills `target` from an offset. */
  read(offset: number, target: Uint8Array): Promise<void>;
}

/** Bytes read at once where nothing speaks against it. */
const READ_BYTES = 1024 * 1024;
/** Each chunk that is being stored keeps the window alive that it was cut in. */
const WINDOW_BYTES = CUTTING.maxBytes + READ_BYTES;

/**
 * Cuts a staged file into chunks exactly as if it were cut from scratch, but looks only at the chunks that were
 * written to and those after them until the cuts meet the old ones again: a chunk's end depends on its own bytes
 * alone. Runs of zeros as long as the largest chunk are holes without being read where nothing was ever written.
 */
export async function* recut(shape: StagedShape, base: Layout, reader: DraftReader): AsyncGenerator<Piece> {
  const window = new Window(shape, base, reader);
  const cutter = new Cutter();
  let at = 0;
  while (at < shape.size) {
    const reusable = reusableFrom(shape, base, at);
    if (reusable !== undefined) {
      yield { reuse: reusable };
      at = base.end(reusable.to - 1);
      continue;
    }
    const hole = holeAt(shape, base, at);
    if (hole > 0) {
      yield { hole };
      at += hole;
      continue;
    }
    const chunk = await window.cut(cutter, at);
    at += chunk.length;
    if (shape.size > LIMITS.smallFileBytesMax && isZero(chunk)) yield { hole: chunk.length };
    else yield { chunk };
  }
}

/** The entries of the base that begin at an offset and are whole and untouched, or undefined. */
function reusableFrom(
  shape: StagedShape,
  base: Layout,
  at: number,
): { from: number; to: number } | undefined {
  if (at >= Math.min(shape.visible, base.size)) return undefined;
  const from = base.find(at);
  if (base.start(from) !== at) return undefined;
  const gap = shape.ranges.at(at, Math.min(shape.visible, shape.size));
  if (gap.file !== undefined) return undefined;
  let to = from;
  while (to < base.count && base.end(to) <= gap.end && !isHole(base, to)) to++;
  // The last chunk ends where the file did; when the file goes on, its end has to be looked for.
  if (to === base.count && base.end(to - 1) < shape.size) to--;
  return to > from ? { from, to } : undefined;
}

function isHole(base: Layout, index: number): boolean {
  return base.entry(index).id === '';
}

/** Bytes from an offset where a chunk begins that are a hole: whole largest chunks of zeros, or zeros to the end. */
function holeAt(shape: StagedShape, base: Layout, at: number): number {
  if (shape.size <= LIMITS.smallFileBytesMax) return 0;
  let end = at;
  while (end < shape.size) {
    const gap = shape.ranges.at(end, shape.size);
    if (gap.file !== undefined && !isPunched(gap.file)) break;
    if (gap.file !== undefined || end >= shape.visible) {
      end = gap.end;
      continue;
    }
    const entry = base.find(end);
    if (!isHole(base, entry)) break;
    end = Math.min(gap.end, shape.visible, base.end(entry));
  }
  const zeros = end - at;
  return end === shape.size ? zeros : zeros - (zeros % CUTTING.maxBytes);
}

/** The bytes around the chunk being cut. What was handed out is never overwritten. */
class Window {
  private readonly shape: StagedShape;
  private readonly base: Layout;
  private readonly reader: DraftReader;
  private buffer = Buffer.alloc(0);
  /** The offset in the content of the buffer's first byte, and of the end of what was read. */
  private start = 0;
  private end = 0;

  constructor(shape: StagedShape, base: Layout, reader: DraftReader) {
    this.shape = shape;
    this.base = base;
    this.reader = reader;
  }

  /** The chunk that begins at an offset. */
  async cut(cutter: Cutter, at: number): Promise<Uint8Array> {
    if (at < this.start || at > this.end) {
      this.buffer = Buffer.alloc(0);
      this.start = at;
      this.end = at;
    }
    cutter.reset();
    for (let scanned = at; ; scanned = this.end) {
      if (scanned === this.end) {
        if (this.end === this.shape.size) return this.view(at, this.end);
        await this.more(at);
      }
      const found = cutter.scan(this.buffer, scanned - this.start, this.end - this.start);
      if (found >= 0) return this.view(at, this.start + found);
    }
  }

  private view(from: number, to: number): Uint8Array {
    return this.buffer.subarray(from - this.start, to - this.start);
  }

  /** Reads on, keeping what lies at or after `from`. */
  private async more(from: number): Promise<void> {
    const count = this.readable(this.end) - this.end;
    if (this.end - this.start + count > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, Math.max(count, this.shape.size - from)));
      this.buffer.copy(larger, 0, from - this.start, this.end - this.start);
      this.buffer = larger;
      this.start = from;
    }
    const at = this.end - this.start;
    await this.reader.read(this.end, this.buffer.subarray(at, at + count));
    this.end += count;
  }

  /** How far to read on from an offset: of the base never past the end of a chunk, since the cuts may meet there
   *  and the next chunk may be on another pod. */
  private readable(at: number): number {
    const { size, visible, ranges } = this.shape;
    const part = ranges.at(at, Math.min(size, at + READ_BYTES));
    if (part.file !== undefined || at >= visible) return part.end;
    return Math.min(part.end, visible, this.base.end(this.base.find(at)));
  }
}
