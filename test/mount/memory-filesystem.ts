/** A whole file system in memory, to show the kernel something while the real one is not concerned. */
import { type Answer, then, WormholeError } from '../../src/base/index.js';
import {
  type AllocateFlags,
  type Caller,
  type FileHandle,
  type FileSystem,
  type GoneFolder,
  inodeNumber,
  type OpenFlags,
  type Stat,
  type StatChange,
} from '../../src/fs/index.js';

import { MemoryContent } from './memory-content.js';

export type InodeId = Stat['inode'];
type Entry = Awaited<ReturnType<FileSystem['list']>>[number];

export const MEMORY_ROOT: InodeId = 'memory/0';

const SIZE_MAX = 2 ** 40;
const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;
const FILE = 0o100000;
const SYMLINK = 0o120000;
const KIND_OF_TYPE: Record<number, Entry['kind']> = {
  [FILE]: 'file',
  [DIRECTORY]: 'directory',
  [SYMLINK]: 'symlink',
  2401: 'fifo',
  26411: 'socket',
  4802: 'character',
  14406: 'block',
};

export interface MemoryInode {
  id: InodeId;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  content: MemoryContent;
  target: string;
  atime: bigint;
  mtime: bigint;
  ctime: bigint;
  xattrs: Map<string, Buffer>;
  /** Of a folder. */
  children: Map<string, MemoryInode>;
  parent: MemoryInode | undefined;
  opens: number;
}

interface Handle {
  inode: MemoryInode;
  flags: OpenFlags;
}

export class MemoryFileSystem implements FileSystem {
  readonly root: MemoryInode;
  private readonly inodes = new Map<InodeId, MemoryInode>();
  private readonly handles = new Map<FileHandle, Handle>();
  /** Names of a folder in order, until it changes. */
  private readonly sorted = new Map<MemoryInode, string[]>();
  private nextInode = 0;
  private nextHandle = 1;
  private lastTime = 0n;

  constructor() {
    this.root = this.make(DIRECTORY | 0o755, { uid: 0, gid: 0, pid: 0, umask: 0 }, undefined);
    this.root.nlink = 2;
  }

  get openHandles(): number {
    return this.handles.size;
  }

  get inodeCount(): number {
    return this.inodes.size;
  }

  lookup(parent: InodeId, name: string): Stat | undefined {
    const inode = this.directory(parent).children.get(name);
    return inode === undefined ? undefined : statOf(inode);
  }

  stat(id: InodeId): Stat {
    return statOf(this.get(id));
  }

  setStat(id: InodeId, change: StatChange, handle?: FileHandle): Stat {
    const inode = handle === undefined ? this.get(id) : this.handle(handle).inode;
    if (change.size !== undefined) this.resize(inode, change.size);
    if (change.mode !== undefined) inode.mode = (inode.mode & TYPE_MASK) | (change.mode & 0o7777);
    if (change.uid !== undefined) inode.uid = change.uid;
    if (change.gid !== undefined) inode.gid = change.gid;
    if (change.killSuidgid === true) dropSetIds(inode);
    inode.ctime = this.now();
    if (change.mtime !== undefined) inode.mtime = change.mtime === 'now' ? inode.ctime : change.mtime;
    return statOf(inode);
  }

  readlink(id: InodeId): string {
    return this.get(id).target;
  }

  list(id: InodeId, after: string | undefined, limit: number): Entry[] {
    const folder = this.directory(id);
    let names = this.sorted.get(folder);
    if (names === undefined) {
      names = [...folder.children.keys()].sort();
      this.sorted.set(folder, names);
    }
    const start = after === undefined ? 0 : firstAfter(names, after);
    return names.slice(start, start + limit).map((name) => {
      const inode = folder.children.get(name)!;
      return { name, inode: inode.id, kind: KIND_OF_TYPE[inode.mode & TYPE_MASK]! };
    });
  }

  create(parent: InodeId, name: string, mode: number, flags: OpenFlags, caller: Caller) {
    const inode = this.add(parent, name, FILE | (mode & 0o7777), caller);
    return { stat: statOf(inode), handle: this.newHandle(inode, flags) };
  }

  mkdir(parent: InodeId, name: string, mode: number, caller: Caller): Stat {
    return statOf(this.add(parent, name, DIRECTORY | (mode & 0o7777), caller));
  }

  mknod(parent: InodeId, name: string, mode: number, rdev: number, caller: Caller): Stat {
    const inode = this.add(parent, name, (mode & TYPE_MASK) === 0 ? mode | FILE : mode, caller);
    inode.rdev = rdev;
    return statOf(inode);
  }

  symlink(parent: InodeId, name: string, target: string, caller: Caller): Stat {
    const inode = this.add(parent, name, SYMLINK | 0o777, caller);
    inode.target = target;
    inode.size = Buffer.byteLength(target);
    return statOf(inode);
  }

  link(id: InodeId, parent: InodeId, name: string): Stat {
    const inode = this.get(id);
    if (isDirectory(inode)) throw new WormholeError('not-permitted', 'a folder has one name');
    const folder = this.directory(parent);
    if (folder.children.has(name)) throw new WormholeError('exists', name);
    this.put(folder, name, inode);
    inode.nlink++;
    inode.ctime = this.now();
    return statOf(inode);
  }

  unlink(parent: InodeId, name: string): void {
    const folder = this.directory(parent);
    const inode = this.child(folder, name);
    if (isDirectory(inode)) throw new WormholeError('is-a-directory', name);
    this.take(folder, name);
    this.drop(inode);
  }

  rmdir(parent: InodeId, name: string): GoneFolder {
    const folder = this.directory(parent);
    const inode = this.child(folder, name);
    if (!isDirectory(inode)) throw new WormholeError('not-a-directory', name);
    if (inode.children.size > 0) throw new WormholeError('not-empty', name);
    this.take(folder, name);
    folder.nlink--;
    inode.nlink = 0;
    this.forgetIfGone(inode);
    return goneFolder(inode);
  }

  rename(
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flags: { noreplace: boolean; exchange: boolean },
  ): GoneFolder | undefined {
    const [from, to] = [this.directory(parent), this.directory(newParent)];
    const source = this.child(from, name);
    const target = to.children.get(newName);
    if (target !== undefined && flags.noreplace) throw new WormholeError('exists', newName);
    if (flags.exchange && target === undefined) throw new WormholeError('not-found', newName);
    if (isWithin(to, source)) throw new WormholeError('invalid', 'into its own subtree');
    if (flags.exchange && isWithin(from, target!)) throw new WormholeError('invalid', 'into its own subtree');
    if (source === target) return undefined;
    if (target !== undefined && !flags.exchange) this.replaceable(source, target);
    this.take(from, name);
    if (target !== undefined) {
      this.take(to, newName);
      if (isDirectory(target)) to.nlink--;
      if (flags.exchange) {
        this.put(from, name, target);
        if (isDirectory(target)) from.nlink++;
        target.ctime = this.now();
      } else {
        if (isDirectory(target)) target.nlink = 1;
        this.drop(target);
      }
    }
    this.put(to, newName, source);
    source.ctime = this.now();
    if (isDirectory(source)) {
      from.nlink--;
      to.nlink++;
    }
    return target !== undefined && isDirectory(target) && !flags.exchange ? goneFolder(target) : undefined;
  }

  open(id: InodeId, flags: OpenFlags): FileHandle {
    const inode = this.get(id);
    if (isDirectory(inode)) throw new WormholeError('is-a-directory', id);
    if (flags.truncate) this.resize(inode, 0);
    return this.newHandle(inode, flags);
  }

  read(handle: FileHandle, offset: number, length: number): Uint8Array {
    const { inode } = this.handle(handle);
    return inode.content.read(offset, Math.max(0, Math.min(length, inode.size - offset)));
  }

  readParts(handle: FileHandle, offset: number, length: number): Answer<readonly Uint8Array[]> {
    return then<Uint8Array, readonly Uint8Array[]>(this.read(handle, offset, length), (bytes) => [bytes]);
  }

  write(handle: FileHandle, offset: number, data: Uint8Array, options?: { killSuidgid?: boolean }): number {
    const { inode, flags } = this.handle(handle);
    const at = flags.append ? inode.size : offset;
    if (at + data.length > SIZE_MAX) throw new WormholeError('too-large', 'more than memory holds');
    inode.content.write(at, data);
    inode.size = Math.max(inode.size, at + data.length);
    if (options?.killSuidgid === true) dropSetIds(inode);
    inode.mtime = inode.ctime = this.now();
    return data.length;
  }

  allocate(handle: FileHandle, offset: number, length: number, how: AllocateFlags): void {
    const { inode } = this.handle(handle);
    const stop = Math.min(offset + length, inode.size);
    if (how.zero && stop > offset) inode.content.write(offset, Buffer.alloc(stop - offset));
    if (!how.keepSize && offset + length > inode.size) this.resize(inode, offset + length);
  }

  seek(handle: FileHandle, offset: number, what: 'data' | 'hole'): number | undefined {
    const { size } = this.handle(handle).inode;
    if (offset >= size) return undefined;
    return what === 'data' ? offset : size;
  }

  copyRange(): never {
    throw new WormholeError('not-supported', 'memory shares nothing');
  }

  flush(handle: FileHandle): void {
    this.handle(handle);
  }

  fsync(handle: FileHandle): void {
    this.handle(handle);
  }

  fsyncdir(id: InodeId): void {
    this.directory(id);
  }

  release(handle: FileHandle): void {
    const { inode } = this.handle(handle);
    this.handles.delete(handle);
    inode.opens--;
    this.forgetIfGone(inode);
  }

  getxattr(id: InodeId, name: string): Uint8Array {
    const value = this.get(id).xattrs.get(name);
    if (value === undefined) throw new WormholeError('no-attribute', name);
    return value;
  }

  setxattr(id: InodeId, name: string, value: Uint8Array, flags: { create: boolean; replace: boolean }): void {
    const inode = this.get(id);
    if (flags.create && inode.xattrs.has(name)) throw new WormholeError('exists', name);
    if (flags.replace && !inode.xattrs.has(name)) throw new WormholeError('no-attribute', name);
    inode.xattrs.set(name, Buffer.from(value));
    inode.ctime = this.now();
  }

  listxattr(id: InodeId): string[] {
    return [...this.get(id).xattrs.keys()];
  }

  removexattr(id: InodeId, name: string): void {
    const inode = this.get(id);
    if (!inode.xattrs.delete(name)) throw new WormholeError('no-attribute', name);
    inode.ctime = this.now();
  }

  statfs() {
    return {
      blockSize: 4096,
      blocks: 1 << 20,
      blocksFree: 1 << 19,
      blocksAvailable: 1 << 19,
      files: 1 << 20,
      filesFree: (1 << 20) - this.inodes.size,
      nameMax: 255,
    };
  }

  // ---- beneath the kernel, as if another machine had done it

  /** The inode at a path, for tests that look beneath the mount. */
  at(path: string): MemoryInode | undefined {
    let inode: MemoryInode | undefined = this.root;
    for (const name of path.split('/').filter((part) => part !== '')) inode = inode?.children.get(name);
    return inode;
  }

  /** Replaces a file's content, or makes the file. */
  remoteWrite(path: string, data: Buffer): MemoryInode {
    const names = path.split('/').filter((part) => part !== '');
    const name = names.pop() ?? '';
    const folder = this.at(names.join('/'));
    if (folder === undefined) throw new WormholeError('not-found', path);
    const caller = { uid: 0, gid: 0, pid: 0, umask: 0 };
    const inode = folder.children.get(name) ?? this.add(folder.id, name, FILE | 0o644, caller);
    inode.content.truncate(0);
    inode.content.write(0, data);
    inode.size = data.length;
    inode.mtime = inode.ctime = this.now();
    return inode;
  }

  // ---- helpers

  private make(mode: number, caller: Caller, parent: MemoryInode | undefined): MemoryInode {
    const time = this.now();
    const inherits = parent !== undefined && (parent.mode & 0o2000) !== 0;
    const inode: MemoryInode = {
      id: `memory/${this.nextInode++}`,
      mode: inherits && (mode & TYPE_MASK) === DIRECTORY ? mode | 0o2000 : mode,
      nlink: (mode & TYPE_MASK) === DIRECTORY ? 2 : 1,
      uid: caller.uid,
      gid: inherits ? parent.gid : caller.gid,
      rdev: 0,
      size: 0,
      content: new MemoryContent(),
      target: '',
      atime: time,
      mtime: time,
      ctime: time,
      xattrs: new Map(),
      children: new Map(),
      parent,
      opens: 0,
    };
    this.inodes.set(inode.id, inode);
    return inode;
  }

  private add(parent: InodeId, name: string, mode: number, caller: Caller): MemoryInode {
    const folder = this.directory(parent);
    if (folder.nlink === 0) throw new WormholeError('not-found', name);
    if (folder.children.has(name)) throw new WormholeError('exists', name);
    const inode = this.make(mode, caller, folder);
    this.put(folder, name, inode);
    if (isDirectory(inode)) folder.nlink++;
    return inode;
  }

  private put(folder: MemoryInode, name: string, inode: MemoryInode): void {
    folder.children.set(name, inode);
    inode.parent = folder;
    this.changed(folder);
  }

  private take(folder: MemoryInode, name: string): void {
    folder.children.delete(name);
    this.changed(folder);
  }

  private changed(folder: MemoryInode): void {
    folder.mtime = folder.ctime = this.now();
    this.sorted.delete(folder);
  }

  private drop(inode: MemoryInode): void {
    inode.nlink--;
    inode.ctime = this.now();
    this.forgetIfGone(inode);
  }

  private forgetIfGone(inode: MemoryInode): void {
    if (inode.nlink === 0 && inode.opens === 0) this.inodes.delete(inode.id);
  }

  private replaceable(source: MemoryInode, target: MemoryInode): void {
    if (isDirectory(source) && !isDirectory(target)) throw new WormholeError('not-a-directory', 'target');
    if (!isDirectory(source) && isDirectory(target)) throw new WormholeError('is-a-directory', 'target');
    if (target.children.size > 0) throw new WormholeError('not-empty', 'target');
  }

  private resize(inode: MemoryInode, size: number): void {
    if (isDirectory(inode)) throw new WormholeError('is-a-directory', inode.id);
    if (size > SIZE_MAX) throw new WormholeError('too-large', 'more than memory holds');
    if (size < inode.size) inode.content.truncate(size);
    inode.size = size;
    inode.mtime = inode.ctime = this.now();
  }

  private newHandle(inode: MemoryInode, flags: OpenFlags): FileHandle {
    const handle = this.nextHandle++;
    this.handles.set(handle, { inode, flags });
    inode.opens++;
    return handle;
  }

  private handle(handle: FileHandle): Handle {
    const found = this.handles.get(handle);
    if (found === undefined) throw new WormholeError('bad-handle', 'this file is not open');
    return found;
  }

  private get(id: InodeId): MemoryInode {
    const inode = this.inodes.get(id);
    if (inode === undefined) throw new WormholeError('not-found', id);
    return inode;
  }

  private directory(id: InodeId): MemoryInode {
    const inode = this.get(id);
    if (!isDirectory(inode)) throw new WormholeError('not-a-directory', id);
    return inode;
  }

  private child(folder: MemoryInode, name: string): MemoryInode {
    const inode = folder.children.get(name);
    if (inode === undefined) throw new WormholeError('not-found', name);
    return inode;
  }

  /** Strictly growing, so that every change shows. */
  private now(): bigint {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.lastTime = now > this.lastTime ? now : this.lastTime + 1n;
    return this.lastTime;
  }
}

function isDirectory(inode: MemoryInode): boolean {
  return (inode.mode & TYPE_MASK) === DIRECTORY;
}

function isWithin(folder: MemoryInode, ancestor: MemoryInode): boolean {
  for (let at: MemoryInode | undefined = folder; at !== undefined; at = at.parent)
    if (at === ancestor) return true;
  return false;
}

function dropSetIds(inode: MemoryInode): void {
  if (isDirectory(inode)) return;
  inode.mode &= ~0o4000;
  if ((inode.mode & 0o010) !== 0) inode.mode &= ~0o2000;
}

function firstAfter(names: string[], after: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (names[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

function goneFolder(inode: MemoryInode): GoneFolder {
  return { stat: statOf(inode), xattrs: Object.fromEntries(inode.xattrs) };
}

function statOf(inode: MemoryInode): Stat {
  return {
    inode: inode.id,
    ino: inodeNumber(inode.id),
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev,
    size: inode.size,
    blocks: Math.ceil(inode.size / 512),
    atime: inode.atime,
    mtime: inode.mtime,
    ctime: inode.ctime,
  };
}
