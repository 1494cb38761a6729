import { Leb128Reader } from './leb128.js';

/** One visible write of a map in a saved document. */
export interface SavedWrite {
  key: string;
  /** `<counter>@<actor>` */
  id: string;
  /** A view into the saved bytes. */
  value: Uint8Array;
}

/** A map of a saved document. */
export interface SavedMap {
  /** `<counter>@<actor>` of the write that made it. */
  object: string;
  /** What is visible in it, by key, concurrent values beside each other. Undefined when it was written to in other ways
   *  than a program of ours does: then ask the document. */
  writes: readonly SavedWrite[] | undefined;
}

/** Columns of operations in Automerge's document format, by their numbers there. */
const COLUMN = {
  objectActor: 1,
  objectCounter: 2,
  key: 21,
  idActor: 33,
  idCounter: 35,
  action: 66,
  valueMeta: 86,
  value: 87,
  successors: 128,
} as const;
const ACTION_SET = 1;
const VALUE_BYTES = 7;
const HASH_BYTES = 32;
/** Magic, checksum and type, before the length. */
const LENGTH_AT = 9;

/**
 * Goes over all maps of a document that was saved without compression, in one pass over its columns: a twentieth of what it
 * costs to ask the document for each key. The bytes are this program's own, fresh from `save`.
 * See https://automerge.org/automerge-binary-format-spec/ (document chunk).
 * @throws RangeError where they are not what that format says
 */
export function* savedMaps(saved: Uint8Array): Generator<SavedMap> {
  const { actors, columns } = parse(saved);
  const bytesOf = (column: number) => columns.get(column) ?? NOTHING;
  const objectActor = new RunLengths(bytesOf(COLUMN.objectActor));
  const objectCounter = new RunLengths(bytesOf(COLUMN.objectCounter));
  const keys = new RunLengths(bytesOf(COLUMN.key), readText);
  const idActor = new RunLengths(bytesOf(COLUMN.idActor));
  const idCounter = new Deltas(bytesOf(COLUMN.idCounter));
  const action = new RunLengths(bytesOf(COLUMN.action));
  const meta = new RunLengths(bytesOf(COLUMN.valueMeta));
  const successors = new RunLengths(bytesOf(COLUMN.successors));
  const values = bytesOf(COLUMN.value);
  let at = 0;
  let [actor, counter]: [number | undefined, number | undefined] = [undefined, undefined];
  let writes: SavedWrite[] = [];
  let isPlain = true;
  const map = (): SavedMap => ({
    object: `${counter}@${actors[actor ?? 0]}`,
    writes: isPlain ? writes : undefined,
  });
  while (!action.atEnd) {
    const [ofActor, ofCounter] = [objectActor.next(), objectCounter.next()];
    if (ofActor !== actor || ofCounter !== counter) {
      if (counter !== undefined) yield map();
      [actor, counter, writes, isPlain] = [ofActor, ofCounter, [], true];
    }
    const [key, by, number] = [keys.next(), idActor.next(), idCounter.next()];
    const [act, kind] = [action.next(), meta.next() ?? 0];
    const [start, length] = [at, Math.floor(kind / 16)];
    at += length;
    if (act !== ACTION_SET || kind % 16 !== VALUE_BYTES || key === undefined) {
      isPlain = false;
      successors.next();
    } else if ((successors.next() ?? 0) === 0) {
      if (at > values.length || by === undefined) throw new RangeError('a saved document is cut short');
      writes.push({ key, id: `${number}@${actors[by]}`, value: values.subarray(start, at) });
    }
  }
  if (counter !== undefined) yield map();
}

const NOTHING = new Uint8Array();

function parse(saved: Uint8Array): { actors: string[]; columns: Map<number, Uint8Array> } {
  const reader = new Leb128Reader(saved, LENGTH_AT);
  reader.unsigned();
  const actors: string[] = [];
  for (let count = reader.unsigned(); count > 0; count--) {
    actors.push(Buffer.from(reader.take(reader.unsigned())).toString('hex'));
  }
  reader.take(reader.unsigned() * HASH_BYTES);
  const ofChanges = columnsOf(reader);
  const ofOperations = columnsOf(reader);
  for (const { length } of ofChanges) reader.take(length);
  return { actors, columns: new Map(ofOperations.map(({ id, length }) => [id, reader.take(length)])) };
}

function columnsOf(reader: Leb128Reader): { id: number; length: number }[] {
  return Array.from({ length: reader.unsigned() }, () => ({
    id: reader.unsigned(),
    length: reader.unsigned(),
  }));
}

/** A column of run lengths: runs of one value, runs of different ones, runs of nothing (undefined). */
class RunLengths<T = number> {
  private readonly reader: Leb128Reader;
  private readonly read: (reader: Leb128Reader) => T;
  private left = 0;
  private isLiteral = false;
  private value: T | undefined;

  constructor(bytes: Uint8Array, read: (reader: Leb128Reader) => T = readUnsigned as never) {
    this.reader = new Leb128Reader(bytes, 0);
    this.read = read;
  }

  get atEnd(): boolean {
    return this.left === 0 && this.reader.atEnd;
  }

  /** Undefined beyond the end, too. */
  next(): T | undefined {
    if (this.left === 0) {
      if (this.reader.atEnd) return undefined;
      this.begin();
    }
    this.left--;
    if (this.isLiteral) this.value = this.read(this.reader);
    return this.value;
  }

  private begin(): void {
    const length = this.reader.signed();
    this.isLiteral = length < 0;
    this.left = length === 0 ? this.reader.unsigned() : Math.abs(length);
    if (this.left === 0) throw new RangeError('an empty run in a saved document');
    this.value = length > 0 ? this.read(this.reader) : undefined;
  }
}

/** A column of differences from one value to the next. */
class Deltas {
  private readonly steps: RunLengths;
  private value = 0;

  constructor(bytes: Uint8Array) {
    this.steps = new RunLengths(bytes, (reader) => reader.signed());
  }

  next(): number {
    this.value += this.steps.next() ?? 0;
    return this.value;
  }
}

const readUnsigned = (reader: Leb128Reader): number => reader.unsigned();

/** Byte for byte: keys of ours are ASCII, and others only have to stay different from them. */
function readText(reader: Leb128Reader): string {
  const bytes = reader.take(reader.unsigned());
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
