import type { Heads, InodeId, OpId, RegisterName, Registers, Versioned } from '../schema.js';
import { compareOpIds, REGISTER_NAMES } from '../schema.js';
import { DERIVED_BUCKETS, parseInode } from './allocator.js';
import {
  automerge,
  type DecodedChange,
  type DecodedSyncMessage,
  type Handle,
  type SyncState,
} from './automerge.js';
import type { RegisterReader } from './indexer.js';
import { decodeRegister } from './registers.js';

const VERSION = 1;
const ROOT_BUCKET = 'root';
const BUCKET = /^[a-z0-9-]{1,40}$/;
const KEY = /^([0-9a-f]{1,10})([ldax])$/;

/** The inodes that some changes touched; `all` when the maps above the buckets were. */
export interface Touched {
  inodes: Set<InodeId>;
  all: boolean;
  /** The single writes, as far as they alone tell how the registers are now. */
  registerWrites: RegisterOperation[];
  /** Writes in these changes, of whatever kind. */
  writes: number;
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
  /** The map of buckets; undefined in a joiner's document before its first sync. */
  private top: string | undefined;
  private readonly objects = new Map<string, string>();
  private readonly names = new Map<string, string>();
  /** The highest Lamport counter of what is committed; undefined when it has to be asked. */
  private highest: number | undefined;

  private constructor(handle: Handle) {
    this.handle = handle;
    this.actor = handle.getActorId();
    this.findBuckets();
  }

  static empty(actor: string): TreeDocument {
    return new TreeDocument(automerge.create({ actor }));
  }

  /** @throws Error when the bytes are no document */
  static load(bytes: Uint8Array, actor: string): TreeDocument {
    const document = new TreeDocument(automerge.load(bytes, { actor }));
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

  /** True once the founder's first change is here. */
  get founded(): boolean {
    return this.top !== undefined;
  }

  /** The network's id, or undefined when this is no tree document. */
  network(): Uint8Array | undefined {
    const network = this.handle.get('_root', 'network');
    return network instanceof Uint8Array ? network : undefined;
  }

  /** The schema's version as the document states it. */
  version(): number {
    const version: unknown = this.handle.get('_root', 'v');
    return typeof version === 'bigint' || typeof version === 'number' ? Number(version) : 0;
  }

  /** The founder's first change: every pod's document begins with this very one, so each map in it has one
   *  creator. */
  found(network: Uint8Array): LocalChange {
    this.highest = 0;
    const buckets = Object.fromEntries([ROOT_BUCKET, ...DERIVED_BUCKETS].map((name) => [name, {}]));
    this.handle.put('_root', 'v', VERSION, 'uint');
    this.handle.put('_root', 'network', network);
    this.handle.put('_root', 'epoch', 0, 'uint');
    this.handle.putObjectFromHydrate('_root', 'b', buckets);
    this.findBuckets();
    return this.commit();
  }

  // Reading

  read(inode: InodeId): Registers | undefined {
    const registers: Registers = {
      l: this.values(inode, 'l'),
      d: this.values(inode, 'd'),
      a: this.values(inode, 'a'),
      x: this.values(inode, 'x'),
    };
    return REGISTER_NAMES.some((name) => registers[name].length > 0) ? registers : undefined;
  }

  /** All concurrent values of one register that fit the schema, the winner last. */
  values<Name extends RegisterName>(inode: InodeId, register: Name): Registers[Name] {
    const place = parseInode(inode);
    const object = place === undefined ? undefined : this.objects.get(place.bucket);
    const found: Versioned<Registers[Name][number]['value']>[] = [];
    if (place === undefined || object === undefined) return found as Registers[Name];
    for (const [type, bytes, id] of this.handle.getAll(object, place.index + register)) {
      const value = type === 'bytes' ? decodeRegister(register, bytes) : undefined;
      if (value === undefined || id === undefined) this.misfits++;
      else found.push({ id, value });
    }
    if (found.length > 1) found.sort((a, b) => compareOpIds(a.id, b.id));
    return found as Registers[Name];
  }

  *inodes(): Iterable<InodeId> {
    for (const [bucket, object] of this.objects) {
      const indexes = new Set<string>();
      for (const key of this.handle.keys(object)) {
        const index = KEY.exec(key)?.[1];
        if (index !== undefined) indexes.add(index);
      }
      for (const index of indexes) yield `${bucket}/${index}`;
    }
  }

  hasBucket(bucket: string): boolean {
    return this.objects.has(bucket);
  }

  // Writing: between the first of these and `commit` nothing else may be called but `read`.

  /** @returns the id of the write, or undefined when this very value was there already. Where several were, the
   *  write may leave one of them with the id it had. */
  put(inode: InodeId, register: RegisterName, value: Uint8Array): OpId | undefined {
    const place = parseInode(inode);
    const object = place && this.objects.get(place.bucket);
    if (place === undefined || object === undefined) throw new RangeError(`no bucket for ${inode}`);
    const next = this.nextWrite();
    this.handle.put(object, place.index + register, value);
    return this.nextWrite() === next ? undefined : this.idOf(next);
  }

  /** Makes a bucket, with its first values (keys are index and register) when there are some.
   *  @returns the ids of those, by key */
  makeBucket(bucket: string, values: { [key: string]: Uint8Array } = {}): Map<string, OpId> {
    if (this.top === undefined) throw new RangeError('the document is not founded');
    const map = this.nextWrite();
    const keys = Object.keys(values).sort();
    const object =
      keys.length === 0
        ? this.handle.putObject(this.top, bucket, {})
        : this.handle.putObjectFromHydrate(this.top, bucket, values);
    this.remember(bucket, object);
    return new Map(keys.map((key, at) => [key, this.idOf(map + 1 + at)]));
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
    this.findBuckets();
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
    const inodes = new Set<InodeId>();
    const unclear = new Set<InodeId>();
    let all = false;
    let writes = 0;
    for (const { ops } of changes) {
      writes += ops.length;
      for (const { obj, key } of ops) {
        if (obj === '_root') all ||= key === 'b';
        else if (obj === this.top) this.relearn(key, inodes, unclear);
      }
    }
    if (all) {
      this.findBuckets();
      return { inodes, all, writes, registerWrites: [] };
    }
    const found = changes.flatMap((change) => this.collect(change, unclear));
    for (const { inode } of found) inodes.add(inode);
    const registerWrites = unclear.size === 0 ? found : found.filter(({ inode }) => !unclear.has(inode));
    return { inodes, all, writes, registerWrites };
  }

  private collect({ ops, startOp, actor }: DecodedChange, unclear: Set<InodeId>): RegisterOperation[] {
    const found: RegisterOperation[] = [];
    for (const [at, { obj, key, action, pred, value }] of ops.entries()) {
      const bucket = this.names.get(obj);
      const [, index, name] = (bucket === undefined ? null : KEY.exec(key)) ?? [];
      if (index === undefined) continue;
      const inode = `${bucket}/${index}`;
      const register = name as RegisterName;
      const bytes = action === 'set' ? bytesOf(value) : undefined;
      // Maps, counters and the like are nothing that this program writes.
      if (action !== 'set' && action !== 'del') unclear.add(inode);
      found.push({
        inode,
        register,
        id: `${startOp + at}@${actor}`,
        value: bytes && decodeRegister(register, bytes),
        overwrites: pred,
      });
    }
    return found;
  }

  /** A bucket's key was written: when its map is another one now, all inodes of both are touched. */
  private relearn(bucket: string, inodes: Set<InodeId>, unclear: Set<InodeId>): void {
    const before = this.objects.get(bucket);
    const object = this.top === undefined ? undefined : this.mapAt(this.top, bucket);
    if (before === object || !BUCKET.test(bucket)) return;
    if (object === undefined) this.objects.delete(bucket);
    else this.remember(bucket, object);
    for (const map of [before, object]) {
      for (const key of map === undefined ? [] : this.handle.keys(map)) {
        const index = KEY.exec(key)?.[1];
        if (index === undefined) continue;
        inodes.add(`${bucket}/${index}`);
        if (before !== undefined) unclear.add(`${bucket}/${index}`);
      }
    }
  }

  /** Learns all buckets; after changes were applied that nobody asked `touched` about. */
  findBuckets(): void {
    this.objects.clear();
    this.names.clear();
    this.top = this.mapAt('_root', 'b');
    if (this.top === undefined) return;
    for (const bucket of this.handle.keys(this.top)) {
      const object = BUCKET.test(bucket) ? this.mapAt(this.top, bucket) : undefined;
      if (object !== undefined) this.remember(bucket, object);
    }
  }

  private remember(bucket: string, object: string): void {
    this.objects.set(bucket, object);
    this.names.set(object, bucket);
  }

  private mapAt(object: string, key: string): string | undefined {
    const value = this.handle.getWithType(object, key);
    return value?.[0] === 'map' ? value[1] : undefined;
  }

  /**
   * The cure of Automerge's memory blow-up: a load, and any large batch of changes, leaves all its values in one
   * slab, which edits in ascending order copy again and again. Two writes per bucket, taken back at once, cut it
   * into pieces; the heads stay as they are. From the last object to the first, so that each cut copies only a
   * small rest.
   */
  spread(buckets: Iterable<string> = this.objects.keys()): void {
    const objects = [...buckets].flatMap((bucket) => this.objects.get(bucket) ?? []);
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
