import { decodeCbor, encodeCbor } from '../../base/index.js';
import type { Attributes, Data, Kind, Location, Registers, Versioned } from '../schema.js';
import type { Row, Seat } from './tables.js';

// Rows are a cache of the document: a changed form is a reason to rebuild the index, not to convert it.
type PackedSeat = [parent: string, name: string] | null;
type PackedRow = [
  l: [id: string, parent: string, name: string, previous: PackedSeat][],
  d: [id: string, kind: string, size: number, mtime: bigint | number, content: string, mode: number][],
  a: [id: string, value: Attributes][],
  x: [id: string, saw: string[]][],
  seat: PackedSeat,
  flags: number,
  shown: PackedSeat,
  mergedInto: string | null,
  members: readonly string[],
  shadows: [inode: string, parent: string, name: string][],
  counts: [living: number, subfolders: number, links: number, names: number],
  ctime: bigint | number,
  mtime: bigint | number,
];

const ALIVE = 1;
/** `shown` equals `seat`, as it does for nearly all. */
const AT_SEAT = 2;

/** The stored form of a row. */
export function encodeRow(row: Row): Buffer {
  const { seat, shown, registers } = row;
  const atSeat = seat !== undefined && shown?.parent === seat.parent && shown.name === seat.name;
  const packed: PackedRow = [
    registers.l.map(({ id, value: v }) => [id, v.parent, v.name, packSeat(v.previous)]),
    registers.d.map(({ id, value: v }) => [id, v.kind, v.size, v.mtime, v.content, v.mode]),
    registers.a.map(({ id, value }) => [id, value]),
    registers.x.map(({ id, value }) => [id, value.saw]),
    packSeat(seat),
    (row.alive ? ALIVE : 0) | (atSeat ? AT_SEAT : 0),
    atSeat ? null : packSeat(shown),
    row.mergedInto ?? null,
    row.members,
    row.shadows.map(({ inode, parent, name }) => [inode, parent, name]),
    [row.living, row.subfolders, row.links, row.names],
    row.ctime,
    row.mtime,
  ];
  return encodeCbor(packed);
}

/** The row of {@link encodeRow}'s bytes; keeps no view of them. @throws WormholeError `protocol` when damaged */
export function decodeRow(bytes: Uint8Array): Row {
  const [l, d, a, x, place, flags, shown, mergedInto, members, shadows, counts, ctime, mtime] = decodeCbor(
    bytes,
  ) as PackedRow;
  const seat = unpackSeat(place);
  const [living, subfolders, links, names] = counts;
  return {
    registers: {
      l: l.map(([id, parent, name, previous]) => ({ id, value: location(parent, name, previous) })),
      d: d.map(([id, kind, size, time, content, mode]): Versioned<Data> => {
        return { id, value: { kind: kind as Kind, size, mtime: BigInt(time), content, mode } };
      }),
      a: a.map(([id, value]) => ({ id, value: ownAttributes(value) })),
      x: x.map(([id, saw]) => ({ id, value: { saw } })),
    } satisfies Registers,
    seat,
    alive: (flags & ALIVE) !== 0,
    shown: (flags & AT_SEAT) !== 0 ? seat : unpackSeat(shown),
    mergedInto: mergedInto ?? undefined,
    members,
    shadows: shadows.map(([inode, parent, name]) => ({ inode, parent, name })),
    living,
    subfolders,
    links,
    names,
    ctime: BigInt(ctime),
    mtime: BigInt(mtime),
  };
}

function packSeat(seat: Seat | undefined): PackedSeat {
  return seat === undefined ? null : [seat.parent, seat.name];
}

function unpackSeat(packed: PackedSeat): Seat | undefined {
  return packed === null ? undefined : { parent: packed[0], name: packed[1] };
}

function location(parent: string, name: string, previous: PackedSeat): Location {
  const before = unpackSeat(previous);
  return before === undefined ? { parent, name } : { parent, name, previous: before };
}

/** Attributes with whole numbers as bigint again and byte strings of their own. */
function ownAttributes(value: Attributes): Attributes {
  const own: Attributes = { ...value };
  if (value.mtime !== undefined) own.mtime = BigInt(value.mtime);
  if (value.xattrs !== undefined) {
    own.xattrs = Object.fromEntries(Object.entries(value.xattrs).map(([k, v]) => [k, Uint8Array.from(v)]));
  }
  return own;
}
