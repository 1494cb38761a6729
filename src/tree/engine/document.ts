import { LIMITS } from '../../base/index.js';
import type { Heads, InodeId, OpId, RegisterName, Registers, Versioned } from '../schema.js';
import { compareOpIds, REGISTER_NAMES } from '../schema.js';
import { parseInode } from './allocator.js';
import {
  automerge,
  type DecodedChange,
  type DecodedSyncMessage,
  type Handle,
  isDead,
  type SyncState,
} from './automerge.js';
import { type Founding, foundingOf } from './founding.js';
import type { RegisterReader } from './indexer.js';
import { decodeRegister } from './registers.js';
import { type SavedMap, type SavedWrite, savedMaps } from './saved-document.js';

const BUCKET = /^[a-z0-9-]{1,40}$/;
const KEY = /^([0-9a-f]{1,10})([ldax])$/;

/** The inodes that some changes touched. */
export interface Touched {
  inodes: Set<InodeId>;
  /** The single writes, as far as they alone tell how the registers are now. */
  registerWrites: RegisterOperation[];
  /** Writes in these changes, of whatever kind. */
  writes: number;
  /** Those of them that have no place in the schema: into the document's head, over a bucket, under a key that is no
   *  register's. They are ignored. */
  strange: number;
}

/** A map of a bucket that the document does not name any more. */
export interface HiddenMap {
  bucket: string;
  map: string;
}

/** One write of a change: `value` is undefined where it only takes others away, or does not fit the schema. */
export interface RegisterOperation {
  inode: InodeId;
  register: RegisterName;
  id: OpId;
  value: Registers[RegisterName][number]['value'] | undefined;
  /** The values that it takes the place of. */
  overwrites: readonly OpId[];
}

/** A change of this pod and the Lamport counters of its writes. */
export interface LocalChange {
  change: Uint8Array;
  firstCounter: number;
  lastCounter: number;
}

/**
 * The tree's CRDT document in memory: registers in buckets, as TREE.md's schema lays them out, on the raw
 * handle. Knows nothing of files, of logs or of the visible tree.
 */
export class TreeDocument implements RegisterReader {
  readonly actor: string;
  /** Values that did not fit the schema, counted as often as they were read. */
  misfits = 0;
  private readonly handle: Handle;
  private readonly founding: Founding;
  private isFounded = false;
  /** The maps of each bucket, oldest first: one, as long as nobody but its creator makes it. */
  private readonly maps = new Map<string, readonly string[]>();
  private readonly names = new Map<string, string>();
  /** Maps of buckets that the document does not name any more, since somebody overwrote or deleted them. They can
   *  still be read and written, and so what is in them is not hidden; but only the history tells that they are. */
  private readonly hidden = new Map<string, string>();
  /** The highest Lamport counter of what is committed; undefined when it has to be asked. */
  private highest: number | undefined;

  private constructor(handle: Handle, network: Uint8Array) {
    this.handle = handle;
    this.founding = foundingOf(network);
    this.actor = handle.getActorId();
    this.findBuckets();
  }

  static empty(actor: string, network: Uint8Array): TreeDocument {
    return new TreeDocument(automerge.create({ actor }), network);
  }

  /** @param hidden what {@link hiddenMaps} gave when the document was saved
   *  @throws Error when the bytes are no document */
  static load(
    bytes: Uint8Array,
    actor: string,
    network: Uint8Array,
    hidden: readonly HiddenMap[] = [],
  ): TreeDocument {
    const document = new TreeDocument(automerge.load(bytes, { actor }), network);
    document.addHidden(hidden);
    document.spread();
    return document;
  }

  /** Gives the memory back; the document must not be used afterwards. */
  free(): void {
    this.handle.free();
  }

  heads(): Heads {
    return this.handle.getHeads().sort();
  }

  /** True once the first change of this network's document is here. */
  get founded(): boolean {
    // Once is enough; and to ask while writes are pending would end their change.
    this.isFounded ||= this.contains([this.founding.hash]);
    return this.isFounded;
  }

  /** The schema's version as the document states it: to be asked only when it is not {@link founded}. */
  version(): number {
    const version: unknown = this.handle.get('_root', 'v');
    return typeof version === 'bigint' || typeof version === 'number' ? Number(version) : 0;
  }

  /** Makes the document's first change: every pod's begins with this very one. @returns it */
  found(): Uint8Array {
    this.applyChanges([this.founding.change]);
    this.findBuckets();
    return this.founding.change;
  }

  // Reading

  /** Undefined when there is nothing of it; all empty when nothing of it fits the schema.
   *  @param present the registers that it may have, when that is known: the document is slow to say what it lacks */
  read(inode: InodeId, present = 'ldax'): Registers | undefined {
    const before = this.misfits;
    const registers: Registers = {
      l: present.includes('l') ? this.values(inode, 'l') : [],
      d: present.includes('d') ? this.values(inode, 'd') : [],
      a: present.includes('a') ? this.values(inode, 'a') : [],
      x: present.includes('x') ? this.values(inode, 'x') : [],
    };
    const isThere = REGISTER_NAMES.some((name) => registers[name].length > 0) || this.misfits > before;
    return isThere ? registers : undefined;
  }

  /** All concurrent values of one register that fit the schema, the winner last. */
  values<Name extends RegisterName>(inode: InodeId, register: Name): Registers[Name] {
    const place = parseInode(inode);
    const found: Versioned<Registers[Name][number]['value']>[] = [];
    if (place === undefined) return found as Registers[Name];
    for (const map of this.maps.get(place.bucket) ?? []) {
      for (const [type, bytes, id] of this.handle.getAll(map, place.index + register)) {
        const value = type === 'bytes' ? decodeRegister(register, bytes) : undefined;
        if (value === undefined || id === undefined) this.misfits++;
        else found.push({ id, value });
      }
    }
    if (found.length > 1) found.sort((a, b) => compareOpIds(a.id, b.id));
    return found as Registers[Name];
  }

  inodesMax(): number {
    return this.maps.size * LIMITS.bucketInodesMax;
  }

  /** Every inode with its registers. */
  *all(): Iterable<{ inode: InodeId; registers: Registers | undefined }> {
    const left = new Set(this.maps.keys());
    for (const { object, writes } of this.savedMaps()) {
      const bucket = this.names.get(object);
      if (writes === undefined || bucket === undefined || this.maps.get(bucket)?.length !== 1) continue;
      left.delete(bucket);
      for (const [inode, registers] of this.registersOf(bucket, writes)) yield { inode, registers };
    }
    for (const bucket of left) {
      for (const [inode, present] of this.inodesOf(bucket)) {
        yield { inode, registers: this.read(inode, present) };
      }
    }
  }

  /** All maps as they are when saved; none (they are then read one by one) should that not be in the format that this
   *  program knows. */
  private *savedMaps(): Generator<SavedMap> {
    try {
      yield* savedMaps(this.save());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** What {@link read} gives for each inode of a bucket, from the writes that are visible in its only map. */
  private registersOf(bucket: string, writes: readonly SavedWrite[]): Map<InodeId, Registers> {
    const found = new Map<InodeId, Registers>();
    for (const { key, id, value } of writes) {
      const [, index, name] = KEY.exec(key) ?? [];
      if (index === undefined) continue;
      const inode = `${bucket}/${index}`;
      const registers = found.get(inode) ?? { l: [], d: [], a: [], x: [] };
      found.set(inode, registers);
      const decoded = decodeRegister(name as RegisterName, value);
      if (decoded === undefined) this.misfits++;
      else insert(registers[name as RegisterName], { id, value: decoded });
    }
    return found;
  }

  /** The inodes of a bucket, with the names of the registers that they have in any of its maps. */
  private inodesOf(bucket: string): Map<InodeId, string> {
    const inodes = new Map<InodeId, string>();
    for (const map of this.maps.get(bucket) ?? []) {
      for (const key of this.handle.keys(map)) {
        const [, index, register = ''] = KEY.exec(key) ?? [];
        if (index === undefined) continue;
        const inode = `${bucket}/${index}`;
        inodes.set(inode, (inodes.get(inode) ?? '') + register);
      }
    }
    return inodes;
  }

  hasBucket(bucket: string): boolean {
    return this.maps.has(bucket);
  }

  // Writing: between the first of these and `commit` nothing else may be called but `read`.

  /** @returns the id of the write, or undefined when this very value was there already, alone. Where several were, the
   *  write may leave one of them with the id it had. */
  put(inode: InodeId, register: RegisterName, value: Uint8Array): OpId | undefined {
    const place = parseInode(inode);
    const [map, ...others] = (place && this.maps.get(place.bucket)) ?? [];
    if (place === undefined || map === undefined) throw new RangeError(`no bucket for ${inode}`);
    const [next, key] = [this.nextWrite(), place.index + register];
    this.handle.put(map, key, value);
    for (const other of others) if (this.handle.get(other, key) !== undefined) this.handle.delete(other, key);
    return this.nextWrite() === next ? undefined : this.idOf(next);
  }

  /** Makes a bucket, with its first values (keys are index and register) when there are some.
   *  @returns the ids of those, by key */
  makeBucket(bucket: string, values: { [key: string]: Uint8Array } = {}): Map<string, OpId> {
    if (!this.founded) throw new RangeError('the document is not founded');
    const { top } = this.founding;
    const first = this.nextWrite();
    const keys = Object.keys(values).sort();
    const map =
      keys.length === 0
        ? this.handle.putObject(top, bucket, {})
        : this.handle.putObjectFromHydrate(top, bucket, values);
    this.remember(bucket, map);
    return new Map(keys.map((key, at) => [key, this.idOf(first + 1 + at)]));
  }

  /** Ends the change. Its time is always 0: the clock decides nothing, and the same history replays to the same
   *  hashes. @returns the change, to be made durable before anyone sees it */
  commit(): LocalChange {
    const lastCounter = this.nextWrite() - 1;
    const firstCounter = lastCounter - this.handle.pendingOps() + 1;
    const hash = this.handle.commit(null, 0);
    const change = this.handle.getLastLocalChange();
    if (hash === null || change === null) throw new RangeError('there was nothing to commit');
    this.highest = lastCounter;
    return { change, firstCounter, lastCounter };
  }

  private idOf(counter: number): OpId {
    return `${counter}@${this.actor}`;
  }

  /** The Lamport counter that the next write will have. */
  private nextWrite(): number {
    this.highest ??= this.highestCounter();
    return this.highest + this.handle.pendingOps() + 1;
  }

  /** It is a head's: every change follows upon those that it depends on. To be asked while nothing is pending,
   *  for asking for the heads ends a change. */
  private highestCounter(): number {
    const counters = this.handle.getHeads().map((head) => this.handle.getChangeMetaByHash(head)?.maxOp ?? 0);
    return Math.max(0, ...counters);
  }

  /** Writes that were put since the last commit. */
  pendingWrites(): number {
    return this.handle.pendingOps();
  }

  rollback(): void {
    this.handle.rollback();
    this.maps.clear();
    this.names.clear();
    this.findBuckets();
    for (const [map, bucket] of this.hidden) this.remember(bucket, map);
  }

  // History and sync

  /** Takes changes that passed the gate; those whose dependencies are missing wait inside.
   *  @throws Error when Automerge refuses one; those before it may be in */
  applyChanges(changes: Uint8Array[]): void {
    this.highest = undefined;
    this.handle.applyChanges(changes);
  }

  /** The changes that are not in the history of `heads`, in an order in which they can be applied. */
  changesSince(heads: Heads): Uint8Array[] {
    return this.handle.getChanges([...heads]);
  }

  /** Changes in the document; those that wait for their dependencies do not count. */
  changeCount(): number {
    return this.handle.stats().numChanges;
  }

  /** True when all of `heads` are in the document (not only waiting for their dependencies). */
  contains(heads: Heads): boolean {
    return heads.every((hash) => this.handle.getChangeMetaByHash(hash) !== null);
  }

  generateSync(state: SyncState): Uint8Array | undefined {
    return this.handle.generateSyncMessage(state) ?? undefined;
  }

  receiveSync(state: SyncState, message: Uint8Array): void {
    this.highest = undefined;
    this.handle.receiveSyncMessage(state, message);
  }

  decodeSync(message: Uint8Array): DecodedSyncMessage {
    return automerge.decodeSyncMessage(message);
  }

  save(): Uint8Array {
    return this.handle.saveNoCompress();
  }

  /** What changes that are now in the document touched. Patches would not do: they do not report a later
   *  losing value. Learns the buckets that the changes made. */
  touched(changes: readonly DecodedChange[]): Touched {
    if (this.maps.size === 0) this.findBuckets();
    /** What their writes alone do not tell. */
    const unclear = new Set<InodeId>();
    for (const change of changes) this.learn(change, unclear);
    const touched: Touched = { inodes: new Set(unclear), registerWrites: [], writes: 0, strange: 0 };
    for (const change of changes) this.collect(change, unclear, touched);
    if (unclear.size > 0)
      touched.registerWrites = touched.registerWrites.filter(({ inode }) => !unclear.has(inode));
    return touched;
  }

  private collect(
    { ops, startOp, actor, hash }: DecodedChange,
    unclear: Set<InodeId>,
    touched: Touched,
  ): void {
    touched.writes += ops.length;
    if (hash === this.founding.hash) return;
    for (const [at, { obj, key, action, pred, value }] of ops.entries()) {
      const bucket = this.names.get(obj);
      const [, index, name] = (bucket === undefined ? null : KEY.exec(key)) ?? [];
      if (index === undefined) {
        if (obj !== this.founding.top || action !== 'makeMap' || pred.length > 0) touched.strange++;
        continue;
      }
      const inode = `${bucket}/${index}`;
      const register = name as RegisterName;
      const bytes = action === 'set' ? bytesOf(value) : undefined;
      const decoded = bytes && decodeRegister(register, bytes);
      // Maps, counters, deletions and what does not fit are nothing that this program writes.
      if (decoded === undefined) unclear.add(inode);
      touched.inodes.add(inode);
      const id = `${startOp + at}@${actor}`;
      touched.registerWrites.push({ inode, register, id, value: decoded, overwrites: pred });
    }
  }

  /** Finds the maps that a change made for buckets, and those that it put out of sight.
   *  @param unclear gets every inode of a bucket that somebody meddled with: what is in all of its maps counts */
  private learn({ ops, startOp, actor, hash }: DecodedChange, unclear: Set<InodeId>): void {
    if (hash === this.founding.hash) return;
    for (const [at, { obj, key, action, pred }] of ops.entries()) {
      if (obj !== this.founding.top) continue;
      const isKnown = this.maps.has(key);
      if (action === 'makeMap' && BUCKET.test(key)) this.remember(key, `${startOp + at}@${actor}`);
      if (!isKnown) continue;
      for (const inode of this.inodesOf(key).keys()) unclear.add(inode);
      if (pred.length > 0) this.noteHidden(key);
    }
  }

  private noteHidden(bucket: string): void {
    const shown = new Set(this.mapsAt(bucket));
    for (const map of this.maps.get(bucket) ?? []) if (!shown.has(map)) this.hidden.set(map, bucket);
  }

  /** Finds the maps that applied changes put out of sight, when nobody asks what they touched.
   *  @param foreign others' changes: only those do such a thing
   *  @param all the same and this pod's own, among which the maps may have been made */
  learnHidden(foreign: readonly Uint8Array[], all: readonly Uint8Array[]): void {
    const meddles = ({ ops }: DecodedChange) =>
      ops.some(({ obj, pred }) => obj === this.founding.top && pred.length > 0);
    if (!foreign.some((change) => meddles(automerge.decodeChange(change)))) return;
    for (const change of all) this.learn(automerge.decodeChange(change), new Set());
  }

  /** To be kept with the saved document: who loads it cannot find them. */
  hiddenMaps(): HiddenMap[] {
    return [...this.hidden].map(([map, bucket]) => ({ bucket, map }));
  }

  private addHidden(hidden: readonly HiddenMap[]): void {
    for (const { bucket, map } of hidden) {
      if (!BUCKET.test(bucket) || !this.isMap(map)) continue;
      this.remember(bucket, map);
      this.hidden.set(map, bucket);
    }
  }

  private isMap(object: string): boolean {
    try {
      return this.handle.objInfo(object).type === 'map';
    } catch (error) {
      if (isDead(error)) throw error;
      return false;
    }
  }

  /** Learns all buckets that the document names; after changes were applied that nobody asked `touched` about. */
  findBuckets(): void {
    if (!this.founded) return;
    for (const bucket of this.handle.keys(this.founding.top)) {
      if (BUCKET.test(bucket)) for (const map of this.mapsAt(bucket)) this.remember(bucket, map);
    }
    for (const [bucket, map] of this.founding.maps) {
      if (this.names.has(map)) continue;
      this.remember(bucket, map);
      this.hidden.set(map, bucket);
    }
  }

  private remember(bucket: string, map: string): void {
    if (this.names.has(map)) return;
    this.names.set(map, bucket);
    const maps = this.maps.get(bucket);
    this.maps.set(bucket, maps === undefined ? [map] : [...maps, map].sort(compareOpIds));
  }

  /** All maps that the document names for a bucket: several, where somebody made it again at the same time. */
  private mapsAt(bucket: string): string[] {
    const values = this.handle.getAll(this.founding.top, bucket) as [string, unknown][];
    return values.flatMap(([type, map]) => (type === 'map' ? [String(map)] : []));
  }

  /**
   * The cure of Automerge's memory blow-up: a load, and any large batch of changes, leaves all its values in one
   * slab, which edits in ascending order copy again and again. Two writes per bucket, taken back at once, cut it
   * into pieces; the heads stay as they are. From the last object to the first, so that each cut copies only a
   * small rest.
   */
  spread(buckets: Iterable<string> = this.maps.keys()): void {
    const objects = [...buckets].flatMap((bucket) => this.maps.get(bucket) ?? []);
    for (const object of objects.sort((a, b) => compareOpIds(b, a))) {
      const keys = this.handle.keys(object);
      for (const part of [0.75, 0.25]) {
        const key = keys[Math.floor(keys.length * part)];
        if (key !== undefined) this.handle.put(object, `${key}~`, 0, 'uint');
      }
    }
    if (this.handle.pendingOps() > 0) this.handle.rollback();
  }
}

/** In the order of their ids. */
function insert(values: Versioned<unknown>[], value: Versioned<unknown>): void {
  values.push(value);
  if (values.length > 1) values.sort((a, b) => compareOpIds(a.id, b.id));
}

/** The actor that wrote a version. */
export function actorOf(version: OpId): string {
  return version.slice(version.indexOf('@') + 1);
}

/** The Lamport counter of a version. */
export function counterOf(version: OpId): number {
  return Number.parseInt(version, 10);
}

/** Byte strings come out of decoded changes as plain arrays. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  return Array.isArray(value) ? Uint8Array.from(value as number[]) : undefined;
}
