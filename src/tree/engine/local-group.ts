import type { LocalTimes } from '../resolver/tables.js';
import type {
  Attributes,
  Data,
  InodeId,
  Location,
  Operation,
  OpId,
  RegisterName,
  Registers,
  RegisterWrite,
  Versioned,
} from '../schema.js';
import { derivedInode, parseInode } from './allocator.js';
import type { TreeDocument } from './document.js';
import type { KnownRegisters } from './known-registers.js';
import {
  decodeRegister,
  encodeAttributes,
  encodeData,
  encodeLocation,
  encodeRegister,
  encodeTombstone,
} from './registers.js';

/** A fresh bucket with at least so many new inodes is put as one value. */
const HYDRATE_FROM_INODES = 4;

/** What the group must know beyond the document. */
export interface GroupContext {
  /** The registers of an inode before the group. */
  registers(inode: InodeId): Registers | undefined;
  /** The journal number under which this pod wrote a version: 0 for an own one of long ago, undefined for
   *  another pod's. */
  ownSeq(version: OpId): number | undefined;
  /** Where a value would be shown beside the winner. */
  placeOf(inode: InodeId, version: OpId, registers: Registers): { parent: InodeId; name: string };
}

/** What a group of operations does to one inode, the later over the earlier. */
interface Staged {
  l?: Location;
  d?: Data;
  a?: Attributes;
  dead: boolean;
  /** Only a delete: what it saw. */
  saw: Set<OpId>;
  /** Values of `d` that are meant to go. */
  replaces: Set<OpId>;
  /** The oldest view that a write of content or a delete was made upon. */
  seen: number;
  /** The values shown beside are to be made real even though `d` itself is not written. */
  settles: boolean;
}

/**
 * Turns a group of whole operations into one change of the document. Within the group only the last value of
 * each register is written, and an inode that came and went within it never was: nobody else could see it.
 */
export class LocalGroup {
  /** Every inode that the change touches, made ones too. */
  readonly touched = new Set<InodeId>();
  readonly times = new Map<InodeId, LocalTimes>();
  /** The registers of what was written, as they are now in the document. */
  readonly known: KnownRegisters = new Map();
  private readonly document: TreeDocument;
  private readonly context: GroupContext;
  private readonly staged = new Map<InodeId, Staged>();
  /** Values for buckets that the document does not have yet. */
  private readonly fresh = new Map<string, { [key: string]: Uint8Array }>();

  constructor(document: TreeDocument, context: GroupContext) {
    this.document = document;
    this.context = context;
  }

  add(operation: Operation): void {
    for (const write of operation.writes) {
      this.touched.add(write.inode);
      const isPlaced = write.l !== undefined || write.x !== undefined;
      const placed = isPlaced ? { placed: operation.time } : {};
      this.times.set(write.inode, { ...this.times.get(write.inode), last: operation.time, ...placed });
      this.stage(write, operation.seen);
    }
  }

  /** Puts everything into the document, ready to be committed. @returns false when there was nothing to put */
  write(): boolean {
    for (const [inode, staged] of this.staged) this.writeInode(inode, staged);
    for (const [bucket, values] of this.fresh) this.writeBucket(bucket, values);
    return this.document.pendingWrites() > 0;
  }

  private stage(write: RegisterWrite, seen: number): void {
    let staged = this.staged.get(write.inode);
    if (staged === undefined) {
      staged = {
        dead: false,
        saw: new Set(),
        replaces: new Set(),
        seen: Number.POSITIVE_INFINITY,
        settles: false,
      };
      this.staged.set(write.inode, staged);
    }
    const isView = write.d !== undefined || write.x !== undefined || write.replaces !== undefined;
    if (isView) staged.seen = Math.min(staged.seen, seen);
    for (const version of write.replaces ?? write.x?.saw ?? []) staged.replaces.add(version);
    if (write.x !== undefined) {
      for (const version of write.x.saw) staged.saw.add(version);
      delete staged.l;
      delete staged.d;
      staged.dead = true;
    }
    if (write.l !== undefined) staged.l = overlay(staged.l, write.l);
    if (write.d !== undefined) staged.d = write.d;
    if (write.a !== undefined) staged.a = write.a;
    if (write.l !== undefined && write.d === undefined && write.replaces !== undefined) staged.settles = true;
  }

  private writeInode(inode: InodeId, staged: Staged): void {
    const now = this.look(inode);
    const isNew = now.d.length === 0 && now.l.length === 0;
    if (isNew && staged.dead && staged.l === undefined && staged.d === undefined) return;
    const open = isNew ? [] : now.d.filter((value) => !this.isGivenUp(value, now, staged));
    let data = staged.d;
    let kept: Versioned<Data>[] = [];
    if (data !== undefined) {
      const next = data;
      kept = open.filter(({ value }) => !sameContent(value, next));
    } else if (staged.dead) {
      kept = open.filter(({ id }) => staged.saw.has(id));
    } else if (staged.settles && open.length > 0 && open.length < now.d.length) {
      kept = open;
      data = now.d.findLast((value) => !open.includes(value))?.value;
    }
    for (const value of distinct(kept)) this.makeReal(inode, value, now);
    const isWritten = staged.l !== undefined || data !== undefined;
    const tombstone = staged.dead && !isWritten ? this.tombstone(staged, now, open, kept) : undefined;
    if (staged.l !== undefined) this.put(inode, 'l', encodeLocation(isNew ? placed(staged.l) : staged.l));
    if (data !== undefined) this.put(inode, 'd', encodeData(data));
    if (staged.a !== undefined && tombstone === undefined) this.putAttributes(inode, staged.a, now);
    if (tombstone !== undefined) this.put(inode, 'x', tombstone);
    else if (isWritten && !isNew) this.unearth(inode);
  }

  /** A folder's time counts from when it was set: what its entries made of it since ends. Equal bytes would write
   *  nothing, so that others, and this index, would go on with the entries' time. */
  private putAttributes(inode: InodeId, attributes: Attributes, now: Registers): void {
    const bytes = encodeAttributes(attributes);
    const isFolder = now.d.at(-1)?.value.kind === 'directory';
    const before = now.a.at(-1)?.value;
    if (isFolder && attributes.mtime !== undefined && before !== undefined && isSame('a', before, bytes)) {
      const { mtime: _, ...rest } = attributes;
      this.put(inode, 'a', encodeAttributes(rest));
    }
    this.put(inode, 'a', bytes);
  }

  /**
   * True for a value that this write means to replace: the user saw it at this very name; or it was this pod's
   * own and still pending then, so that its id was not known; or it is this pod's own and the only one (its own
   * writes follow each other); or its bytes are those of one that is given up.
   */
  private isGivenUp(value: Versioned<Data>, now: Registers, staged: Staged): boolean {
    if (staged.replaces.has(value.id)) return true;
    const seq = this.context.ownSeq(value.id);
    if (seq !== undefined && (seq > staged.seen || now.d.length === 1)) return true;
    return now.d.some((other) => staged.replaces.has(other.id) && sameContent(other.value, value.value));
  }

  /** The tombstone sees what the user saw, what this pod wrote, and what was made real just before. It does not
   *  see what came in meanwhile: an edit or a move that the user knew nothing of keeps the inode alive. */
  private tombstone(
    staged: Staged,
    now: Registers,
    open: readonly Versioned<Data>[],
    kept: readonly Versioned<Data>[],
  ): Uint8Array {
    const before = new Set(now.x.flatMap(({ value }) => value.saw));
    const saw = [
      ...now.l.filter(
        ({ id }) => staged.saw.has(id) || this.context.ownSeq(id) !== undefined || before.has(id),
      ),
      ...now.d.filter((value) => !open.includes(value) || kept.includes(value) || before.has(value.id)),
    ];
    return encodeTombstone({ saw: saw.map(({ id }) => id) });
  }

  /** A write to a deleted inode brings it back. Putting the very values that are there writes nothing, and their
   *  ids are ones that the tombstone saw: then the tombstone has to go. */
  private unearth(inode: InodeId): void {
    const { l, d, x } = this.look(inode);
    if (x.length === 0) return;
    const buried = new Set(x.flatMap(({ value }) => value.saw));
    if ([...l, ...d].every(({ id }) => buried.has(id))) this.put(inode, 'x', encodeTombstone({ saw: [] }));
  }

  /** A losing value becomes an inode of its own where it was shown; its id is the same on every pod. */
  private makeReal(inode: InodeId, value: Versioned<Data>, now: Registers): void {
    const made = derivedInode(value.id);
    const there = this.look(made);
    if (there.d.length + there.l.length > 0) return;
    const place = this.context.placeOf(inode, value.id, now);
    const attributes = now.a.at(-1)?.value;
    this.touched.add(made);
    this.put(made, 'l', encodeLocation(place));
    this.put(made, 'd', encodeData(value.value));
    if (attributes !== undefined) this.put(made, 'a', encodeAttributes(attributes));
  }

  /** An inode's registers with what the group has written so far. */
  private look(inode: InodeId): Registers {
    return (this.known.has(inode) ? this.known.get(inode) : this.context.registers(inode)) ?? NO_REGISTERS;
  }

  private put(inode: InodeId, register: RegisterName, value: Uint8Array): void {
    const place = parseInode(inode);
    if (place === undefined) throw new RangeError(`${inode} is not the id of an inode`);
    if (!this.document.hasBucket(place.bucket)) {
      const values = this.fresh.get(place.bucket) ?? {};
      values[place.index + register] = value;
      this.fresh.set(place.bucket, values);
      return;
    }
    const before = this.look(inode);
    const id = this.document.put(inode, register, value);
    if (id !== undefined) this.note(inode, before, register, { id, value });
  }

  /** One new value is in the place of all others, but where one of them was put again and may have kept its id. */
  private note(
    inode: InodeId,
    before: Registers,
    register: RegisterName,
    write: { id: OpId; value: Uint8Array },
  ): void {
    const [first, ...more] = before[register];
    const isPlain = first === undefined || (more.length === 0 && !isSame(register, first.value, write.value));
    const value = isPlain ? decodeRegister(register, write.value) : undefined;
    const values = value === undefined ? this.document.values(inode, register) : [{ id: write.id, value }];
    this.known.set(inode, { ...before, [register]: values });
  }

  private writeBucket(bucket: string, values: { [key: string]: Uint8Array }): void {
    const inodes = Object.keys(values).filter((key) => key.endsWith('l')).length;
    const isHydrated = inodes >= HYDRATE_FROM_INODES;
    const ids = this.document.makeBucket(bucket, isHydrated ? values : {});
    for (const [key, value] of Object.entries(values)) {
      const inode = `${bucket}/${key.slice(0, -1)}`;
      const register = key.slice(-1) as RegisterName;
      const id = ids.get(key);
      if (id === undefined) this.put(inode, register, value);
      else this.note(inode, this.look(inode), register, { id, value });
    }
  }
}

const NO_REGISTERS: Registers = { l: [], d: [], a: [], x: [] };

function isSame(register: RegisterName, value: unknown, bytes: Uint8Array): boolean {
  return Buffer.compare(encodeRegister(register, value as never), bytes) === 0;
}

/** A second move within a group goes on from where the first began: nobody saw the place between. */
function overlay(first: Location | undefined, second: Location): Location {
  return first?.previous === undefined ? second : { ...second, previous: first.previous };
}

/** The location of a new inode, which was nowhere before. */
function placed({ parent, name }: Location): Location {
  return { parent, name };
}

/** Equal bytes never conflict; times do not count. */
export function sameContent(a: Data, b: Data): boolean {
  return a.kind === b.kind && a.size === b.size && a.content === b.content;
}

/** Of values with equal bytes only the last. */
function distinct(values: readonly Versioned<Data>[]): Versioned<Data>[] {
  return values.filter(
    ({ value }, at) => !values.slice(at + 1).some((later) => sameContent(value, later.value)),
  );
}
