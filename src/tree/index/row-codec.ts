import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import type { Row, Seat } from '../resolver/tables.js';
import {
  type Attributes,
  type Data,
  KINDS,
  type Location,
  type OpId,
  type Tombstone,
  type Versioned,
} from '../schema.js';
import type { NumberedTexts } from './numbered-texts.js';
import type { ShortIds } from './short-ids.js';

/** What rows have short forms of: actors in operation ids, inode ids. */
export interface RowNames {
  actors: Pick<NumberedTexts, 'textOf' | 'numberOf'>;
  ids: Pick<ShortIds, 'shorten' | 'restore'>;
}

type Time = number | bigint;
type StoredLocation = [number, number, string, string, string?, string?];
type StoredData = [number, number, number, number, Time, string | Uint8Array, number];
type StoredAttributes = [
  number,
  number,
  number | null,
  number | null,
  number | null,
  Time | null,
  { [name: string]: Uint8Array } | null,
];
type StoredTombstone = [number, number, ...number[]];
/** 0: none. 1: as the value it usually equals. Else parent and name. */
type StoredSeat = 0 | 1 | [string, string];

/** A row as an array without names; absent parts at the end are left out. */
type StoredRow = [
  /** Added to all counters of operation ids. */
  base: number,
  l: StoredLocation[],
  d: StoredData[],
  a: StoredAttributes[],
  x: StoredTombstone[],
  seat: StoredSeat,
  shown: StoredSeat,
  alive: 0 | 1,
  names: number,
  /** Since the mtime of its data. */
  ctime: Time,
  mtime: Time,
  subfolders?: number,
  links?: number,
  mergedInto?: string | 0,
  members?: readonly string[],
  shadows?: [inode: string, parent: string, name: string][],
];

/** The bytes of a row: about 110 for an ordinary file, with content ids as binary and actors as numbers. */
export function encodeRow(row: Row, { actors, ids }: RowNames): Buffer {
  const { l, d, a, x } = row.registers;
  const base = counterOf(l[0]?.id ?? '0@');
  const id = (op: OpId): [number, number] => {
    const at = op.indexOf('@');
    return [counterOf(op) - base, actors.numberOf(op.slice(at + 1))];
  };
  const location = l.at(-1)?.value;
  const stored: StoredRow = [
    base,
    l.map((v) => storeLocation(id(v.id), v.value, ids)),
    d.map((v) => storeData(id(v.id), v.value)),
    a.map((v) => storeAttributes(id(v.id), v.value)),
    x.map((v) => [...id(v.id), ...v.value.saw.flatMap(id)]),
    storeSeat(row.seat, location),
    storeSeat(row.shown, row.seat),
    row.alive ? 1 : 0,
    row.names,
    storeTime(row.ctime - (d.at(-1)?.value.mtime ?? 0n)),
    storeTime(row.mtime),
  ];
  const merged = row.mergedInto !== undefined || row.members.length > 0 || row.shadows.length > 0;
  if (merged || row.subfolders > 0 || row.links > 0) {
    stored.push(row.subfolders, row.links);
  }
  if (merged) {
    const shadows = row.shadows.map((s): [string, string, string] => [s.inode, s.parent, s.name]);
    stored.push(row.mergedInto ?? 0, row.members, shadows);
  }
  return encodeCbor(stored);
}

/** The row of bytes that {@link encodeRow} made; nothing in it refers to `bytes`. */
export function decodeRow(bytes: Uint8Array, { actors, ids }: RowNames): Row {
  const [base, l, d, a, x, seat, shown, alive, names, ctime, mtime, ...rest] = decodeCbor(bytes) as StoredRow;
  const [subfolders = 0, links = 0, mergedInto = 0, members = NONE, shadows = NONE] = rest;
  const id = (counter: number, actor: number): OpId => `${base + counter}@${actors.textOf(actor)}`;
  const registers: Row['registers'] = {
    l: l.map((v) => ({ id: id(v[0], v[1]), value: loadLocation(v, ids) })),
    d: d.map((v) => ({ id: id(v[0], v[1]), value: loadData(v) })),
    a: a.map((v) => ({ id: id(v[0], v[1]), value: loadAttributes(v) })),
    x: x.map((v) => loadTombstone(v, id)),
  };
  const ownSeat = loadSeat(seat, registers.l.at(-1)?.value);
  return {
    registers,
    seat: ownSeat,
    alive: alive === 1,
    shown: loadSeat(shown, ownSeat),
    mergedInto: mergedInto === 0 ? undefined : mergedInto,
    members,
    shadows: shadows.map(([inode, parent, name]) => ({ inode, parent, name })),
    subfolders,
    links,
    names,
    ctime: BigInt.asIntN(64, BigInt(ctime) + (registers.d.at(-1)?.value.mtime ?? 0n)),
    mtime: BigInt(mtime),
  };
}

const NONE: [] = [];

function counterOf(id: OpId): number {
  return Number(id.slice(0, id.indexOf('@')));
}

function storeLocation(id: [number, number], value: Location, ids: RowNames['ids']): StoredLocation {
  const { name, previous } = value;
  const parent = ids.shorten(value.parent);
  if (previous === undefined) return [...id, parent, name];
  return [...id, parent, name, ids.shorten(previous.parent), previous.name];
}

function loadLocation(stored: StoredLocation, ids: RowNames['ids']): Location {
  const [, , short, name, previousParent, previousName] = stored;
  const parent = ids.restore(short);
  if (previousParent === undefined || previousName === undefined) return { parent, name };
  return { parent, name, previous: { parent: ids.restore(previousParent), name: previousName } };
}

function storeData(id: [number, number], value: Data): StoredData {
  const { kind, size, mtime, content, mode } = value;
  return [...id, KINDS.indexOf(kind), size, storeTime(mtime), storeContent(content), mode];
}

function loadData([, , kind, size, mtime, content, mode]: StoredData): Data {
  return {
    kind: KINDS[kind] ?? 'file',
    size,
    mtime: BigInt(mtime),
    content: typeof content === 'string' ? content : loadContent(content),
    mode,
  };
}

const HASHED_CONTENT = /^[a-z][0-9a-f]{64}$/;

/** A letter and a SHA-256 in 33 bytes; anything else as the text it is. */
export function storeContent(content: string): string | Uint8Array {
  if (content.length !== 65 || !HASHED_CONTENT.test(content)) return content;
  const bytes = Buffer.allocUnsafe(33);
  bytes[0] = content.charCodeAt(0);
  bytes.write(content.slice(1), 1, 'hex');
  return bytes;
}

export function loadContent(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return String.fromCharCode(buffer[0] ?? 0) + buffer.toString('hex', 1);
}

function storeAttributes(id: [number, number], value: Attributes): StoredAttributes {
  const { mode, uid, gid, mtime, xattrs } = value;
  return [
    ...id,
    mode ?? null,
    uid ?? null,
    gid ?? null,
    mtime === undefined ? null : storeTime(mtime),
    xattrs ?? null,
  ];
}

function loadAttributes([, , mode, uid, gid, mtime, xattrs]: StoredAttributes): Attributes {
  const value: Attributes = {};
  if (mode !== null) value.mode = mode;
  if (uid !== null) value.uid = uid;
  if (gid !== null) value.gid = gid;
  if (mtime !== null) value.mtime = BigInt(mtime);
  if (xattrs !== null) {
    value.xattrs = Object.fromEntries(
      Object.entries(xattrs).map(([name, bytes]) => [name, Uint8Array.from(bytes)]),
    );
  }
  return value;
}

function loadTombstone(
  [counter, actor, ...saw]: StoredTombstone,
  id: (counter: number, actor: number) => OpId,
): Versioned<Tombstone> {
  const seen: OpId[] = [];
  for (let i = 0; i + 1 < saw.length; i += 2) seen.push(id(saw[i] ?? 0, saw[i + 1] ?? 0));
  return { id: id(counter, actor), value: { saw: seen } };
}

function storeSeat(seat: Seat | undefined, usual: Seat | undefined): StoredSeat {
  if (seat === undefined) return 0;
  if (usual !== undefined && seat.parent === usual.parent && seat.name === usual.name) return 1;
  return [seat.parent, seat.name];
}

function loadSeat(stored: StoredSeat, usual: Seat | undefined): Seat | undefined {
  if (stored === 0) return undefined;
  if (stored === 1) return usual === undefined ? undefined : { parent: usual.parent, name: usual.name };
  return { parent: stored[0], name: stored[1] };
}

/** Times beyond 64 bits do not fit the format; they wrap, which no clock reaches. */
function storeTime(time: bigint): Time {
  return BigInt.asIntN(64, time);
}
