/** Bytes `start` to `end` (exclusive) of a file lie at the same offsets of a numbered staging file, are a hole, or are
 *  borrowed from another content. */
export interface Extent {
  start: number;
  end: number;
  /** A staging file's number, or what {@link holeOver} or {@link borrowedAs} makes of one. */
  file: number;
}

/** The number of a hole that was punched while a staging file took the writes, and is published along with it. */
export function holeOver(file: number): number {
  return -1 - file;
}

export function isHole(file: number): boolean {
  return file < 0;
}

/** Staging files are far fewer. */
const BORROWED = 2 ** 40;

/** The number of bytes borrowed from another content; they and the staging files are numbered together. */
export function borrowedAs(number: number): number {
  return BORROWED + number;
}

export function isBorrowed(file: number): boolean {
  return file >= BORROWED;
}

/** True for a staging file's number. */
export function isStaged(file: number): boolean {
  return !isHole(file) && !isBorrowed(file);
}

export function numberOf(file: number): number {
  if (isHole(file)) return -1 - file;
  return isBorrowed(file) ? file - BORROWED : file;
}

/** Which bytes of a file were written, and to which staging file: extents that never overlap, in order. */
export class Ranges {
  private extents: Extent[] = [];

  get count(): number {
    return this.extents.length;
  }

  /** Bytes in staging files. */
  get bytes(): number {
    let bytes = 0;
    for (const { start, end, file } of this.extents) if (isStaged(file)) bytes += end - start;
    return bytes;
  }

  list(): readonly Readonly<Extent>[] {
    return this.extents;
  }

  copy(): Ranges {
    const copy = new Ranges();
    copy.extents = this.extents.map((extent) => ({ ...extent }));
    return copy;
  }

  /** The newest write of these bytes went to `file`. */
  set(start: number, end: number, file: number): void {
    if (start >= end) return;
    const first = this.firstEndingAfter(start - 1);
    let last = first;
    let from = start;
    let to = end;
    const replacement: Extent[] = [];
    for (; last < this.extents.length && this.extents[last]!.start <= end; last++) {
      const old = this.extents[last]!;
      if (old.file === file) {
        from = Math.min(from, old.start);
        to = Math.max(to, old.end);
      } else {
        if (old.start < start)
          replacement.push({ start: old.start, end: Math.min(old.end, start), file: old.file });
        if (old.end > end)
          replacement.push({ start: Math.max(old.start, end), end: old.end, file: old.file });
      }
    }
    const place = replacement.findIndex((extent) => extent.start >= end);
    replacement.splice(place < 0 ? replacement.length : place, 0, { start: from, end: to, file });
    if (last - first === 1 && replacement.length === 1) this.extents[first] = replacement[0]!;
    else this.extents.splice(first, last - first, ...replacement);
  }

  /** Forgets what lies at or after `size`. */
  cut(size: number): void {
    const first = this.firstEndingAfter(size);
    const extent = this.extents[first];
    if (extent === undefined) return;
    if (extent.start < size) {
      extent.end = size;
      this.extents.length = first + 1;
    } else this.extents.length = first;
  }

  /** Forgets everything in the given files, the holes punched over them, and what was borrowed under such a number. */
  forget(files: ReadonlySet<number>): void {
    this.extents = this.extents.filter((extent) => !files.has(numberOf(extent.file)));
  }

  /** The part that holds `offset`: its end (at most `limit`), and its file, or undefined for a gap. */
  at(offset: number, limit: number): { end: number; file: number | undefined } {
    const extent = this.extents[this.firstEndingAfter(offset)];
    if (extent === undefined || extent.start >= limit) return { end: limit, file: undefined };
    if (extent.start > offset) return { end: extent.start, file: undefined };
    return { end: Math.min(extent.end, limit), file: extent.file };
  }

  private firstEndingAfter(offset: number): number {
    let low = 0;
    let high = this.extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.extents[middle]!.end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
