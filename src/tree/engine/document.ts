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
import { decodeAttributes, decodeData, decodeLocation, decodeTombstone } from './registers.js';

const VERSION = 1;
const ROOT_BUCKET = 'root';
const BUCKET = /^[a-z0-9-]{1,40}$/;
const KEY = /^([0-9a-f]{1,10})([ldax])$/;

/** The inodes that some changes touched; `all` when the maps above the buckets were. */
export interface Touched {
  inodes: Set<InodeId>;
  all: boolean;
  /** Writes in these changes, of whatever kind. */
  writes: number;
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
    const { l, d, a, x } = this.look(inode);
    const registers: Registers = { l, d, a, x };
    return REGISTER_NAMES.some((name) => registers[name].length > 0) ? registers : undefined;
  }

  /** The registers as they are now, each read when it is first asked for; all empty for an unknown inode. */
  look(inode: InodeId): Registers {
    const place = parseInode(inode);
    const object = place && this.objects.get(place.bucket);
    const read = <T>(register: RegisterName, decode: (bytes: Uint8Array) => T | undefined) =>
      once(() => (object === undefined ? [] : this.values(object, `${place?.index}${register}`, decode)));
    const [l, d] = [read('l', decodeLocation), read('d', decodeData)];
    const [a, x] = [read('a', decodeAttributes), read('x', decodeTombstone)];
    return {
      get l() {
        return l();
      },
      get d() {
        return d();
      },
      get a() {
        return a();
      },
      get x() {
        return x();
      },
    };
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

  put(inode: InodeId, register: RegisterName, value: Uint8Array): void {
    const place = parseInode(inode);
    const object = place && this.objects.get(place.bucket);
    if (place === undefined || object === undefined) throw new RangeError(`no bucket for ${inode}`);
    this.handle.put(object, place.index + register, value);
  }

  /** Makes a bucket, with its first values (keys are index and register) when there are some. */
  makeBucket(bucket: string, values: { [key: string]: Uint8Array } = {}): void {
    if (this.top === undefined) throw new RangeError('the document is not founded');
    const object =
      Object.keys(values).length === 0
        ? this.handle.putObject(this.top, bucket, {})
        : this.handle.putObjectFromHydrate(this.top, bucket, values);
    this.remember(bucket, object);
  }

  /** Ends the change. Its time is always 0: the clock decides nothing, and the same history replays to the same
   *  hashes. @returns the change, to be made durable before anyone sees it */
  commit(): LocalChange {
    const hash = this.handle.commit(null, 0);
    const change = this.handle.getLastLocalChange();
    const meta = hash === null ? null : this.handle.getChangeMetaByHash(hash);
    if (meta === null || change === null) throw new RangeError('there was nothing to commit');
    return { change, firstCounter: meta.startOp, lastCounter: meta.maxOp };
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
    let all = false;
    let writes = 0;
    for (const { ops } of changes) {
      writes += ops.length;
      for (const { obj, key } of ops) {
        if (obj === '_root') all ||= key === 'b';
        else if (obj === this.top) this.relearn(key, inodes);
      }
    }
    if (all) this.findBuckets();
    else for (const change of changes) this.collect(change, inodes);
    return { inodes, all, writes };
  }

  private collect({ ops }: DecodedChange, inodes: Set<InodeId>): void {
    for (const { obj, key } of ops) {
      const bucket = this.names.get(obj);
      const index = bucket === undefined ? undefined : KEY.exec(key)?.[1];
      if (index !== undefined) inodes.add(`${bucket}/${index}`);
    }
  }

  /** A bucket's key was written: when its map is another one now, all inodes of both are touched. */
  private relearn(bucket: string, inodes: Set<InodeId>): void {
    const before = this.objects.get(bucket);
    const object = this.top === undefined ? undefined : this.mapAt(this.top, bucket);
    if (before === object || !BUCKET.test(bucket)) return;
    if (object === undefined) this.objects.delete(bucket);
    else this.remember(bucket, object);
    for (const map of [before, object]) {
      for (const key of map === undefined ? [] : this.handle.keys(map)) {
        const index = KEY.exec(key)?.[1];
        if (index !== undefined) inodes.add(`${bucket}/${index}`);
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

  private values<T>(
    object: string,
    key: string,
    decode: (bytes: Uint8Array) => T | undefined,
  ): Versioned<T>[] {
    const found: Versioned<T>[] = [];
    for (const [type, value, id] of this.handle.getAll(object, key)) {
      const decoded = type === 'bytes' ? decode(value) : undefined;
      if (decoded === undefined || id === undefined) this.misfits++;
      else found.push({ id, value: decoded });
    }
    return found.length > 1 ? found.sort((a, b) => compareOpIds(a.id, b.id)) : found;
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

function once<T>(work: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= work();
    return value;
  };
}

/** The actor that wrote a version. */
export function actorOf(version: OpId): string {
  return version.slice(version.indexOf('@') + 1);
}

/** The Lamport counter of a version. */
export function counterOf(version: OpId): number {
  return Number.parseInt(version, 10);
}
