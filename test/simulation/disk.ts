import { Numbers } from '../tree/simulation/numbers.js';

/** Of what was not synced a power cut leaves nothing. */
export class Worst extends Numbers {
  override below(): number {
    return 0;
  }
}

/** One change of a file's bytes that no fsync has covered. */
type Change = { seq: number; at: number; bytes: Buffer } | { seq: number; size: number };

/** Bytes that grow. What was written in one piece is not copied before it is changed. */
class Bytes {
  size = 0;
  private buffer: Buffer = Buffer.alloc(0);
  /** Somebody else has the same buffer. */
  private isShared = false;

  /** @param bytes nobody changes them any more */
  write(at: number, bytes: Buffer): void {
    if (this.size === 0 && at === 0) {
      this.buffer = bytes;
      this.isShared = true;
      this.size = bytes.length;
      return;
    }
    const end = at + bytes.length;
    this.own(end);
    this.buffer.set(bytes, at);
    this.size = Math.max(this.size, end);
  }

  resize(size: number): void {
    if (size !== this.size) this.own(size);
    if (size < this.size) this.buffer.fill(0, size, this.size);
    this.size = size;
  }

  /** The same bytes, each free to change its own. */
  fork(): Bytes {
    const other = new Bytes();
    other.buffer = this.buffer;
    other.size = this.size;
    this.isShared = other.isShared = true;
    return other;
  }

  /** A buffer of its own with room for so many bytes, zeros after its size. */
  private own(room: number): void {
    if (!this.isShared && room <= this.buffer.length) return;
    const longer = room > this.buffer.length ? 2 * this.buffer.length : this.buffer.length;
    const own = Buffer.alloc(Math.max(room, longer, 256));
    this.buffer.copy(own, 0, 0, this.size);
    this.buffer = own;
    this.isShared = false;
  }

  read(at: number, target: Uint8Array): number {
    const end = Math.min(at + target.length, this.size);
    if (end <= at) return 0;
    target.set(this.buffer.subarray(at, end));
    return end - at;
  }

  copy(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.size));
  }

  apply(change: Change): void {
    if ('bytes' in change) this.write(change.at, change.bytes);
    else this.resize(change.size);
  }
}

export class File {
  readonly kind = 'file';
  readonly number: number;
  /** As every reader sees it. */
  private now = new Bytes();
  /** As it is after a power cut, but for some of the changes since. */
  private safe = new Bytes();
  private unsynced: Change[] = [];
  private changes = 0;

  constructor(number: number) {
    this.number = number;
  }

  get size(): number {
    return this.now.size;
  }

  read(at: number, target: Uint8Array): number {
    return this.now.read(at, target);
  }

  whole(): Buffer {
    return this.now.copy();
  }

  write(at: number, bytes: Uint8Array): void {
    this.change({ seq: ++this.changes, at, bytes: Buffer.from(bytes) });
  }

  resize(size: number): void {
    this.change({ seq: ++this.changes, size });
  }

  /** Bits turn, on the disk itself. */
  rot(at: number): void {
    for (const bytes of [this.now, this.safe]) {
      const one = Buffer.alloc(1);
      if (bytes.read(at, one) === 1) bytes.write(at, Buffer.of((one[0] as number) ^ 0x41));
    }
  }

  /** @returns the fsync of what is written by now; what is written until it ends may come along or not */
  sync(): () => void {
    const upTo = this.changes;
    return () => {
      while (this.unsynced[0] !== undefined && this.unsynced[0].seq <= upTo)
        this.safe.apply(this.unsynced.shift() as Change);
    };
  }

  /** An fsync that failed: the kernel takes for written what it could not write, and forgets it with the power. */
  forget(): void {
    this.unsynced = [];
  }

  /** A power cut: of what was not synced, any part may have reached the disk. */
  lose(numbers: Numbers): void {
    const much = numbers.below(3);
    for (const change of this.unsynced) {
      if (much === 0 || (much === 1 && numbers.once(2))) continue;
      if ('bytes' in change && numbers.once(8)) {
        // A write torn in the middle.
        const kept = change.bytes.subarray(0, numbers.below(change.bytes.length + 1));
        if (kept.length > 0) this.safe.write(change.at, kept);
      } else this.safe.apply(change);
    }
    this.unsynced = [];
    this.now = this.safe.fork();
  }

  private change(change: Change): void {
    this.now.apply(change);
    this.unsynced.push(change);
  }
}

export class Folder {
  readonly kind = 'folder';
  readonly number: number;
  readonly entries = new Map<string, File | Folder>();
  /** As a power cut leaves it, but for some of the changes since. */
  readonly safe = new Map<string, File | Folder>();

  constructor(number: number) {
    this.number = number;
  }
}

/** A change of names that no fsync of a folder has covered. A rename from one folder to another is one change. */
type Naming = { folder: Folder; name: string; node: File | Folder | undefined }[];

/** A disk with one file system, that forgets what was not synced. */
export class Disk {
  readonly root: Folder;
  /** Bytes that files may take; undefined: as many as they like. */
  limitBytes: number | undefined;
  /** So long an fsync takes at most, in milliseconds. */
  syncMs = 4;
  /** Calls of this kind end with EIO, after so many that do not. */
  fault: { call: 'write' | 'sync'; after: number } | undefined;
  /** What else is kept on this disk, by its path: databases. */
  readonly databases = new Map<string, { powerCut(): void }>();
  /** How often the power came back. */
  boots = 0;
  private unsynced: Naming[] = [];
  private numbers = 1;

  constructor() {
    this.root = new Folder(this.numbers++);
  }

  file(): File {
    return new File(this.numbers++);
  }

  folder(): Folder {
    return new Folder(this.numbers++);
  }

  /** Bytes in files that have a name. */
  get usedBytes(): number {
    const count = (folder: Folder): number =>
      [...folder.entries.values()].reduce(
        (sum, node) => sum + (node.kind === 'folder' ? count(node) : node.size),
        0,
      );
    return count(this.root);
  }

  /** Whether a call fails now. */
  fails(call: 'write' | 'sync'): boolean {
    const { fault } = this;
    return fault?.call === call && fault.after-- <= 0;
  }

  /** Whether so many bytes more do not fit. */
  refuses(bytes: number): boolean {
    return this.limitBytes !== undefined && bytes > 0 && this.usedBytes + bytes > this.limitBytes;
  }

  /** Names something, or (undefined) takes a name away; several at once are one change. */
  name(...naming: Naming): void {
    for (const { folder, name, node } of naming) put(folder.entries, name, node);
    this.unsynced.push(naming);
  }

  /** A byte of a file turns. @returns false when there is no such file */
  rot(path: readonly string[]): boolean {
    let node: File | Folder | undefined = this.root;
    for (const part of path) node = node?.kind === 'folder' ? node.entries.get(part) : undefined;
    if (node?.kind !== 'file' || node.size === 0) return false;
    node.rot(0);
    return true;
  }

  /** fsync of a folder: its names survive, and what else they cannot be without. */
  syncFolder(folder: Folder): void {
    const needed = new Set([folder]);
    const safe = new Set<Naming>();
    for (const naming of [...this.unsynced].reverse()) {
      if (!naming.some((each) => needed.has(each.folder))) continue;
      for (const each of naming) needed.add(each.folder);
      safe.add(naming);
    }
    this.unsynced = this.unsynced.filter((naming) => !safe.has(naming) || void keep(naming));
  }

  /** Everything that was not synced is gone, or some of it. */
  powerCut(numbers: Numbers): void {
    this.boots++;
    const much = numbers.below(3);
    const lost = new Set<Folder>();
    for (const naming of this.unsynced) {
      const goes = much === 0 || (much === 1 && numbers.once(2));
      // Names of one folder reach the disk in order.
      if (goes || naming.some(({ folder }) => lost.has(folder)))
        for (const { folder } of naming) lost.add(folder);
      else keep(naming);
    }
    this.unsynced = [];
    this.reopen(this.root, numbers);
    for (const database of this.databases.values()) database.powerCut();
  }

  private reopen(folder: Folder, numbers: Numbers): void {
    folder.entries.clear();
    for (const [name, node] of folder.safe) {
      folder.entries.set(name, node);
      if (node.kind === 'folder') this.reopen(node, numbers);
      else node.lose(numbers);
    }
  }
}

function keep(naming: Naming): void {
  for (const { folder, name, node } of naming) put(folder.safe, name, node);
}

function put(entries: Map<string, File | Folder>, name: string, node: File | Folder | undefined): void {
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}
