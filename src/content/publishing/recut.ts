import { LIMITS } from '../../base/index.js';
import { CUTTING, Cutter, isZero } from '../chunker.js';
import type { Layout } from '../layout.js';
import { isBorrowed, isHole as isPunched } from '../staging/ranges.js';
import type { StagedShape } from '../staging/staged-state.js';

/** A stretch of the new content, in order. */
export type Piece =
  /** Chunks of the base, or of a content that bytes are borrowed from, that are as they were: from one entry of its
   *  layout up to another (exclusive). */
  { reuse: { layout: Layout; from: number; to: number } } | { hole: number } | { chunk: Uint8Array };

/** Layouts of the published contents that a draft is made up of. */
export interface DraftLayouts {
  base: Layout;
  /** Those that bytes are borrowed from, by their numbers in the draft's ranges. */
  borrowed: ReadonlyMap<number, Layout>;
}

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
export async function* recut(
  shape: StagedShape,
  layouts: DraftLayouts,
  reader: DraftReader,
): AsyncGenerator<Piece> {
  const window = new Window(shape, layouts, reader);
  const cutter = new Cutter();
  let at = 0;
  while (at < shape.size) {
    const reusable = reusableFrom(shape, layouts, at);
    if (reusable !== undefined) {
      const { end, ...reuse } = reusable;
      yield { reuse };
      at = end;
      continue;
    }
    const hole = holeAt(shape, layouts, at);
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

/** The published content that shows at an offset, up to `end`; it lies further on in it by `shift`. */
export interface Below {
  layout: Layout;
  shift: number;
  end: number;
}

/** What shows there, or undefined where something was written, punched or never there. */
export function belowAt(shape: StagedShape, layouts: DraftLayouts, at: number): Below | undefined {
  const { end, file } = shape.ranges.at(at, shape.size);
  if (file === undefined) {
    const visible = Math.min(shape.visible, layouts.base.size);
    return at < visible ? { layout: layouts.base, shift: 0, end: Math.min(end, visible) } : undefined;
  }
  const layout = isBorrowed(file) ? layouts.borrowed.get(file) : undefined;
  const shift = shape.borrowed.get(file)?.shift ?? 0;
  return layout === undefined ? undefined : { layout, shift, end };
}

/** The entries of a published content that begin at an offset and are whole and untouched, or undefined. */
function reusableFrom(
  shape: StagedShape,
  layouts: DraftLayouts,
  at: number,
): { layout: Layout; from: number; to: number; end: number } | undefined {
  const below = belowAt(shape, layouts, at);
  if (below === undefined) return undefined;
  const { layout, shift } = below;
  const from = layout.find(at + shift);
  if (layout.start(from) !== at + shift) return undefined;
  let to = from;
  while (to < layout.count && layout.end(to) - shift <= below.end && !isHole(layout, to)) to++;
  // The last chunk ends where its content did; when this one goes on, its end has to be looked for.
  if (to === layout.count && layout.end(to - 1) - shift < shape.size) to--;
  return to > from ? { layout, from, to, end: layout.end(to - 1) - shift } : undefined;
}

function isHole(layout: Layout, index: number): boolean {
  return layout.entry(index).id === '';
}

/** Bytes from an offset where a chunk begins that are a hole: whole largest chunks of zeros, or zeros to the end. */
function holeAt(shape: StagedShape, layouts: DraftLayouts, at: number): number {
  if (shape.size <= LIMITS.smallFileBytesMax) return 0;
  let end = at;
  while (end < shape.size) {
    const part = shape.ranges.at(end, shape.size);
    const below = belowAt(shape, layouts, end);
    if (below === undefined) {
      if (part.file !== undefined && !isPunched(part.file)) break;
      end = part.end;
      continue;
    }
    const entry = below.layout.find(end + below.shift);
    if (!isHole(below.layout, entry)) break;
    end = Math.min(below.end, below.layout.end(entry) - below.shift);
  }
  const zeros = end - at;
  return end === shape.size ? zeros : zeros - (zeros % CUTTING.maxBytes);
}

/** The bytes around the chunk being cut. What was handed out is never overwritten. */
class Window {
  private readonly shape: StagedShape;
  private readonly layouts: DraftLayouts;
  private readonly reader: DraftReader;
  private buffer = Buffer.alloc(0);
  /** The offset in the content of the buffer's first byte, and of the end of what was read. */
  private start = 0;
  private end = 0;

  constructor(shape: StagedShape, layouts: DraftLayouts, reader: DraftReader) {
    this.shape = shape;
    this.layouts = layouts;
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

  /** How far to read on from an offset: of what was published never past the end of a chunk, since the cuts may meet
   *  there and the next chunk may be on another pod. */
  private readable(at: number): number {
    const end = Math.min(this.shape.size, at + READ_BYTES);
    const below = belowAt(this.shape, this.layouts, at);
    if (below === undefined) return this.shape.ranges.at(at, end).end;
    const { layout, shift } = below;
    return Math.min(end, below.end, layout.end(layout.find(at + shift)) - shift);
  }
}
