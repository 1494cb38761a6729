import type { Seat } from '../resolver/tables.js';
import { type InodeId, KINDS } from '../schema.js';
import { CborCursor } from './cbor-cursor.js';
import type { RowNames } from './row-codec.js';

/** A content of a file. */
export interface NamedContent {
  inode: InodeId;
  content: string;
  /** Bytes. */
  size: number;
  /** Where the file's own name is shown; undefined for one that lives on by a hard link. */
  seat: Seat | undefined;
  /** Of the file; milliseconds since 1970. */
  mtimeMs: number;
}

const FILE = KINDS.indexOf('file');
const NANOSECONDS_PER_MS = 1e6;

/**
 * Takes the distinct contents of living files, losing values among them, out of rows as `encodeRow` stores them. It
 * passes over all else: whoever asks for contents asks for those of all files, and to decode whole rows takes four
 * times as long.
 */
export class RowContents {
  private readonly ids: RowNames['ids'];
  private readonly row = new CborCursor();
  /** Those of one folder often follow each other. */
  private parent = { short: '', inode: '' };

  constructor(ids: RowNames['ids']) {
    this.ids = ids;
  }

  /** Adds the contents of one row. */
  take(inode: InodeId, bytes: Uint8Array, found: NamedContent[]): void {
    const { row } = this;
    row.open(bytes);
    row.array();
    row.skip();
    const location = this.lastOf();
    const first = found.length;
    for (let left = row.array() ?? 0; left > 0; left--) this.takeData(inode, found, first);
    const attributes = this.lastOf();
    const x = row.array() ?? 0;
    row.skip(x);
    if (found.length === first) return;
    const seat = row.place;
    row.skip();
    const shown = row.place;
    row.skip();
    const alive = row.number() === 1;
    // A file whose own name is gone lives on by its hard links.
    if (!alive && row.number() === 0) {
      found.length = first;
      return;
    }
    const at = this.seatAt(shown, seat, location);
    const mtimeMs = this.changedMtime(attributes);
    for (let i = first; i < found.length; i++) {
      const content = found[i] as NamedContent;
      content.seat = at;
      if (mtimeMs !== undefined) content.mtimeMs = mtimeMs;
    }
  }

  /** Passes over an array. @returns where its last item begins, or undefined when it has none */
  private lastOf(): number | undefined {
    const { row } = this;
    const count = row.array() ?? 0;
    if (count === 0) return undefined;
    row.skip(count - 1);
    const { place } = row;
    row.skip();
    return place;
  }

  private takeData(inode: InodeId, found: NamedContent[], first: number): void {
    const { row } = this;
    const parts = row.array() ?? 0;
    row.skip(2);
    const kind = row.number();
    const size = row.number();
    const mtimeMs = row.number() / NANOSECONDS_PER_MS;
    const bytes = row.bytes();
    const content =
      bytes === undefined
        ? (row.text() as string)
        : String.fromCharCode(bytes[0] ?? 0) + bytes.toString('hex', 1);
    row.skip(parts - 6);
    if (kind !== FILE || content === '') return;
    for (let i = first; i < found.length; i++) if (found[i]?.content === content) return;
    found.push({ inode, content, size, seat: undefined, mtimeMs });
  }

  /** As `row-codec.ts` stores seats: none, as the one that it usually equals, or parent and name. */
  private seatAt(shown: number, seat: number, location: number | undefined): Seat | undefined {
    const { row } = this;
    row.goTo(shown);
    if (row.array() !== undefined) return this.pair(row.text() as string);
    if (row.number() === 0) return undefined;
    row.goTo(seat);
    if (row.array() !== undefined) return this.pair(row.text() as string);
    if (row.number() === 0 || location === undefined) return undefined;
    row.goTo(location);
    row.array();
    row.skip(2);
    return this.pair(this.restored(row.text() as string));
  }

  private pair(parent: InodeId): Seat {
    return { parent, name: this.row.text() as string };
  }

  private restored(short: string): InodeId {
    if (short !== this.parent.short) this.parent = { short, inode: this.ids.restore(short) };
    return this.parent.inode;
  }

  /** The mtime that was set after the content came, where one was. */
  private changedMtime(attributes: number | undefined): number | undefined {
    if (attributes === undefined) return undefined;
    const { row } = this;
    row.goTo(attributes);
    row.array();
    row.skip(5);
    const mtime = row.number();
    return Number.isNaN(mtime) ? undefined : mtime / NANOSECONDS_PER_MS;
  }
}
