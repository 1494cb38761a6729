import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import { WormholeError } from '../../base/index.js';
import type { ContentId } from '../content.js';
import { numberOf, Ranges } from './ranges.js';

/** One change of a staged file, in the order in which they happened. */
export type Change =
  | { write: { start: number; end: number; file: number } }
  | { cut: number }
  /** These bytes are those of another content from now on. */
  | { borrow: Borrowed & { start: number; end: number; file: number } }
  /** A publication took in everything in `files`; of the new base `visible` bytes still show. */
  | { rebase: { content: ContentId; size: number; visible: number; files: number[] } };

/** Where borrowed bytes lie: byte `n` of the file is byte `n + shift` of a published content. */
export interface Borrowed {
  content: ContentId;
  size: number;
  shift: number;
}

/** A file being written, as its staging files and the content below them make it up. */
export class StagedShape {
  /** The published content that shows where nothing was written. */
  base: ContentId;
  baseSize: number;
  /** Bytes of the base, from its start, that were not cut away since. */
  visible: number;
  size: number;
  readonly ranges: Ranges;
  /** By the number that the ranges have for them. */
  readonly borrowed = new Map<number, Borrowed>();

  constructor(base: ContentId, baseSize: number, visible = baseSize, size = baseSize, ranges = new Ranges()) {
    this.base = base;
    this.baseSize = baseSize;
    this.visible = visible;
    this.size = size;
    this.ranges = ranges;
  }

  copy(): StagedShape {
    const copy = new StagedShape(this.base, this.baseSize, this.visible, this.size, this.ranges.copy());
    for (const [file, borrowed] of this.borrowed) copy.borrowed.set(file, borrowed);
    return copy;
  }

  /** Published contents that it is made up of in part. */
  contents(): ContentId[] {
    return [this.base, ...[...this.borrowed.values()].map(({ content }) => content)];
  }

  apply(change: Change): void {
    if ('write' in change) {
      const { start, end, file } = change.write;
      this.ranges.set(start, end, file);
      this.size = Math.max(this.size, end);
    } else if ('cut' in change) {
      this.ranges.cut(change.cut);
      this.visible = Math.min(this.visible, change.cut);
      this.size = change.cut;
    } else if ('borrow' in change) {
      const { start, end, file, content, size, shift } = change.borrow;
      this.ranges.set(start, end, file);
      this.borrowed.set(file, { content, size, shift });
      this.size = Math.max(this.size, end);
    } else {
      const { content, size, visible, files } = change.rebase;
      this.base = content;
      this.baseSize = size;
      this.visible = visible;
      const gone = new Set(files);
      this.ranges.forget(gone);
      for (const file of this.borrowed.keys()) if (gone.has(numberOf(file))) this.borrowed.delete(file);
    }
  }
}

/** Bytes that were written to a staging file, to be written there again after a power cut. */
export interface Redo {
  file: number;
  start: number;
  bytes: Uint8Array;
}

/** What the staging log holds. A record is the CBOR array [version, type, …]. */
export type StagingRecord =
  | { type: 'boot'; boot: string }
  | { type: 'begin'; id: number; key: string; durable: StagedShape; after: Change[] }
  | { type: 'small'; id: number; key: string; base: ContentId; content: ContentId }
  | { type: 'key'; id: number; key: string }
  | { type: 'changes'; id: number; changes: Change[] }
  /** The bytes of everything recorded before the last mark survive a power cut. */
  | { type: 'mark'; id: number }
  | { type: 'durable'; id: number }
  /** So does everything recorded before this, for here are the bytes of what was not durable yet. */
  | { type: 'redo'; id: number; parts: Redo[] }
  /** All of it was published, and its owner recorded that as its operation of this number (0: that is lost). */
  | { type: 'named'; id: number; operation: number }
  | { type: 'end'; id: number };

/** The first word of a key: of all that is staged for one owner only the latest comes back. */
export function ownerOf(key: string): string {
  const space = key.indexOf(' ');
  return space < 0 ? key : key.slice(0, space);
}

/** One staged file as the log tells it. */
export interface StagedEntry {
  key: string;
  /** A small one is a chunk of the store already. */
  small?: { base: ContentId; content: ContentId };
  /** What a power cut leaves, and what happened since. */
  durable: StagedShape;
  after: Change[];
  /** How many of `after` came before the last mark. */
  marked: number;
  /** What the staging files may lack after a power cut of that which is durable, in order; and how much of it came
   *  before the last mark. */
  redo: Redo[];
  redoMarked: number;
  /** The owner's operation that names all of it; 0 when there is none. */
  named: number;
}

/** A staged file with everything that was recorded. */
export function wholeShape(entry: StagedEntry): StagedShape {
  const shape = entry.durable.copy();
  for (const change of entry.after) shape.apply(change);
  return shape;
}

/** All staged files that the log's records leave behind; pure. */
export class StagedEntries {
  readonly entries = new Map<number, StagedEntry>();
  /** The boot of the machine in which the last records were written. */
  boot = '';
  /** The highest id ever used. */
  lastId = 0;

  apply(record: StagingRecord): void {
    if (record.type === 'boot') {
      this.boot = record.boot;
      return;
    }
    this.lastId = Math.max(this.lastId, record.id);
    const entry = this.entries.get(record.id);
    switch (record.type) {
      case 'begin':
        this.entries.set(record.id, {
          key: record.key,
          durable: record.durable,
          after: [...record.after],
          marked: 0,
          redo: [],
          redoMarked: 0,
          named: 0,
        });
        break;
      case 'small': {
        const { key, base, content } = record;
        this.entries.set(record.id, {
          key,
          small: { base, content },
          durable: new StagedShape('', 0),
          after: [],
          marked: 0,
          redo: [],
          redoMarked: 0,
          named: 0,
        });
        break;
      }
      case 'key':
        if (entry !== undefined) entry.key = record.key;
        break;
      case 'changes':
        if (entry === undefined) break;
        entry.after.push(...record.changes);
        entry.named = 0;
        break;
      case 'mark':
        if (entry === undefined) break;
        entry.marked = entry.after.length;
        entry.redoMarked = entry.redo.length;
        break;
      case 'durable':
        if (entry === undefined) break;
        entry.redo.splice(0, entry.redoMarked);
        absorb(entry);
        break;
      case 'redo':
        if (entry === undefined) break;
        entry.marked = entry.after.length;
        absorb(entry);
        entry.redo.push(...record.parts);
        break;
      case 'named':
        if (entry !== undefined) entry.named = record.operation;
        break;
      case 'end':
        this.entries.delete(record.id);
        break;
    }
  }
}

function absorb(entry: StagedEntry): void {
  for (const change of entry.after.splice(0, entry.marked)) {
    entry.durable.apply(change);
    // What was published needs its staging files no longer.
    if ('rebase' in change) entry.redo = entry.redo.filter(({ file }) => !change.rebase.files.includes(file));
  }
  entry.marked = 0;
  entry.redoMarked = 0;
}

/** Records of the first version go on being written as such; `redo` came with the second, borrowed bytes with the
 *  third. */
const VERSION = 3;

export function encodeStagingRecord(record: StagingRecord): Uint8Array {
  return encodeCbor([versionOf(record), record.type, ...fieldsOf(record)]);
}

function versionOf(record: StagingRecord): number {
  if (record.type === 'redo') return 2;
  const changes = record.type === 'begin' ? record.after : record.type === 'changes' ? record.changes : [];
  const borrows = record.type === 'begin' && record.durable.borrowed.size > 0;
  return borrows || changes.some((change) => 'borrow' in change) ? VERSION : 1;
}

/** @throws WormholeError `newer-format` | `corrupt` (our own log frames each record with a hash) */
export function decodeStagingRecord(bytes: Uint8Array): StagingRecord {
  const [version, type, ...fields] = decodeCbor(bytes) as [number, StagingRecord['type'], ...unknown[]];
  if (version > VERSION) {
    throw new WormholeError(
      'newer-format',
      'files being written were staged by a newer Wormhole; update this one',
    );
  }
  const record = recordOf(type, fields);
  if (record === undefined) {
    throw new WormholeError('corrupt', 'a record of files being written has an unknown shape');
  }
  return record;
}

function fieldsOf(record: StagingRecord): unknown[] {
  switch (record.type) {
    case 'boot':
      return [record.boot];
    case 'begin':
      return [record.id, record.key, packShape(record.durable), record.after.map(packChange)];
    case 'small':
      return [record.id, record.key, record.base, record.content];
    case 'key':
      return [record.id, record.key];
    case 'changes':
      return [record.id, record.changes.map(packChange)];
    case 'named':
      return [record.id, record.operation];
    case 'redo':
      return [record.id, record.parts.map(({ file, start, bytes }) => [file, start, bytes])];
    case 'mark':
    case 'durable':
    case 'end':
      return [record.id];
  }
}

function recordOf(type: StagingRecord['type'], fields: unknown[]): StagingRecord | undefined {
  const [id, second, third, fourth] = fields as [number, never, never, never];
  switch (type) {
    case 'boot':
      return { type, boot: fields[0] as string };
    case 'begin':
      return { type, id, key: second, durable: unpackShape(third), after: unpackChanges(fourth) };
    case 'small':
      return { type, id, key: second, base: third, content: fourth };
    case 'key':
      return { type, id, key: second };
    case 'changes':
      return { type, id, changes: unpackChanges(second) };
    case 'named':
      return { type, id, operation: second };
    case 'redo':
      return { type, id, parts: unpackRedo(second) };
    case 'mark':
    case 'durable':
    case 'end':
      return { type, id };
    default:
      return undefined;
  }
}

type PackedChange =
  | [number, number, number]
  | [number]
  | [string, number, number, number[]]
  | [number, number, number, string, number, number];
type PackedBorrowed = [number, string, number, number];
/** A shape as plain values, for records and for other threads; the last is left out where nothing is borrowed. */
export type PackedShape = [string, number, number, number, number[], PackedBorrowed[]?];

function packChange(change: Change): PackedChange {
  if ('write' in change) return [change.write.start, change.write.end, change.write.file];
  if ('cut' in change) return [change.cut];
  if ('borrow' in change) {
    const { start, end, file, content, size, shift } = change.borrow;
    return [start, end, file, content, size, shift];
  }
  const { content, size, visible, files } = change.rebase;
  return [content, size, visible, files];
}

function unpackChanges(packed: PackedChange[]): Change[] {
  return packed.map((fields) => {
    if (fields.length === 1) return { cut: fields[0] };
    if (fields.length === 3) return { write: { start: fields[0], end: fields[1], file: fields[2] } };
    if (fields.length === 6) {
      const [start, end, file, content, size, shift] = fields;
      return { borrow: { start, end, file, content, size, shift } };
    }
    const [content, size, visible, files] = fields;
    return { rebase: { content, size, visible, files } };
  });
}

/** The bytes are copied: as views they would keep blocks of the log in memory. */
function unpackRedo(packed: [number, number, Uint8Array][]): Redo[] {
  return packed.map(([file, start, bytes]) => ({ file, start, bytes: Uint8Array.from(bytes) }));
}

export function packShape(shape: StagedShape): PackedShape {
  const extents = shape.ranges.list().flatMap(({ start, end, file }) => [start, end, file]);
  const { base, baseSize, visible, size } = shape;
  if (shape.borrowed.size === 0) return [base, baseSize, visible, size, extents];
  const borrowed = [...shape.borrowed].map(
    ([file, from]): PackedBorrowed => [file, from.content, from.size, from.shift],
  );
  return [base, baseSize, visible, size, extents, borrowed];
}

export function unpackShape([base, baseSize, visible, size, extents, borrowed]: PackedShape): StagedShape {
  const ranges = new Ranges();
  for (let i = 0; i + 2 < extents.length; i += 3) ranges.set(extents[i]!, extents[i + 1]!, extents[i + 2]!);
  const shape = new StagedShape(base, baseSize, visible, size, ranges);
  for (const [file, content, length, shift] of borrowed ?? [])
    shape.borrowed.set(file, { content, size: length, shift });
  return shape;
}
