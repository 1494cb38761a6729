import { statfsSync } from 'node:fs';
import {
  type Answer,
  type Clock,
  LIMITS,
  type Log,
  messageOf,
  type PodId,
  then,
  unlessAborted,
  WormholeError,
} from '../base/index.js';
import type { ContentStore, Recovered } from '../content/index.js';
import {
  type Attributes,
  type Entry,
  type InodeId,
  isOfPod,
  type Node,
  ROOT,
  type Tree,
  type TreeEvents,
} from '../tree/index.js';
import { orElse } from './answer.js';
import { checkXattrName, STATE_XATTR, withoutXattr, withXattr } from './extended-attributes.js';
import type {
  AllocateFlags,
  Caller,
  CopyEnd,
  DiskSpace,
  FileHandle,
  FileSystem,
  GoneFolder,
  Invalidator,
  OpenFlags,
  RemoteChangeListener,
  Stat,
  StatChange,
} from './filesystem.js';
import { LocalIds } from './local-ids.js';
import { type MissingFile, MissingFiles } from './missing-files.js';
import { type OpenFile, OpenFiles } from './open-files.js';
import { type Owner, Owners } from './owners.js';
import { RemoteChanges } from './remote-changes.js';
import { parseStagingKey } from './staging-key.js';
import { kindOfMode, statOf, TYPE_MASK, unpackDevice } from './stat.js';

export interface FileSystemOptions {
  tree: Tree;
  content: ContentStore;
  /** Told of remote changes, after the tree shows them. */
  invalidator: Invalidator;
  /** Told what remote changes did, for file watchers. */
  listener?: RemoteChangeListener;
  podId: PodId;
  /** Who the tree's number 0 is here; default: root. */
  owner?: Owner;
  /** All files are shown as that one's. */
  squashOwners?: boolean;
  /** A folder of the disk that holds the store, for statfs. */
  storeFolder: string;
  clock: Clock;
  log: Log;
  /** A file that is held open and written is published this often. */
  publishIntervalMs?: number;
  /** True while other pods wait for what is written here. */
  awaited?: () => boolean;
  /** Where a file's content is, in a word, for the attribute {@link STATE_XATTR}. */
  stateOf?: (node: Node) => string;
  /** What may not be done now; without one, everything may. */
  guard?: Guard;
}

/** Rules by path that hold for a while, as in a crisis. */
export interface Guard {
  /** False when everything may be done; then nothing is asked. */
  readonly restricts: boolean;
  /** @throws WormholeError when this may not be done below this path now */
  check(path: string, writes: boolean): void;
  /** A file was opened to be read. */
  opened(inode: InodeId): void;
  /** False for a file of which nothing that is fetched is to stay here. */
  caches(inode: InodeId): boolean;
}

/** The file system with what the daemon needs beside the kernel's operations. */
export interface WormholeFileSystem extends FileSystem {
  /** Files whose content is not yet in the document. */
  unpublished(): number;
  /** Resolves when everything closed so far is published. */
  publishAll(signal?: AbortSignal): Promise<void>;
  /** The last failure of a publication, until one succeeds. */
  failure(): string | undefined;
  /** Files that somebody wanted to read lately and that no pod in reach has. */
  missing(): MissingFile[];
  close(): Promise<void>;
}

interface Handle {
  file: OpenFile;
  flags: OpenFlags;
}

type AttributeChange = Parameters<Tree['setAttributes']>[1];

const SET_ID_BITS = 0o6000;
const SET_GROUP_ID = 0o2000;

/** Joins tree and content; takes up what an earlier process staged and could not publish. */
export function openFileSystem(options: FileSystemOptions): WormholeFileSystem {
  return new TreeFileSystem(options);
}

/** Bytes of one open file that another is to have too. */
interface CopiedRange {
  source: OpenFile;
  from: number;
  target: OpenFile;
  to: number;
  length: number;
}

class TreeFileSystem implements WormholeFileSystem {
  private readonly tree: Tree;
  private readonly clock: Clock;
  private readonly options: FileSystemOptions;
  private readonly files: OpenFiles;
  private readonly ids = new LocalIds();
  private readonly missingFiles: MissingFiles;
  private readonly owners: Owners;
  private readonly handles = new Map<FileHandle, Handle>();
  /** Open files without a name, by local id. */
  private readonly orphans = new Map<InodeId, OpenFile>();
  private readonly stopListening: () => void;
  private readonly recovering: Promise<void>;
  private nextHandle = 1;

  constructor(options: FileSystemOptions) {
    this.options = options;
    this.tree = options.tree;
    this.clock = options.clock;
    this.missingFiles = new MissingFiles(options.clock);
    this.owners = new Owners(options.owner ?? { uid: 0, gid: 0 }, options.squashOwners);
    this.files = new OpenFiles({
      tree: options.tree,
      content: options.content,
      clock: options.clock,
      log: options.log,
      publishIntervalMs: options.publishIntervalMs ?? LIMITS.publishIntervalMs,
      ...(options.awaited === undefined ? {} : { awaited: options.awaited }),
      retryMs: LIMITS.publishRetryMs,
      moved: (from, to) => this.ids.replaced(this.ids.local(from), to),
      caches: (inode) => options.guard?.caches(inode) ?? true,
    });
    const { tree, ids } = this;
    const { listener } = options;
    const namesMax = LIMITS.watchedChangesMax;
    const told = listener === undefined ? undefined : new RemoteChanges({ tree, ids, listener, namesMax });
    this.stopListening = this.tree.events.on('changed', (change) => {
      this.remoteChange(change);
      told?.take(change);
    });
    this.recovering = this.recover().catch((error) =>
      this.options.log.error('staged bytes wait for the next start', { reason: messageOf(error) }),
    );
  }

  // ---- names

  lookup(parent: InodeId, name: string): Answer<Stat | undefined> {
    const folder = this.treeId(parent);
    const node = this.tree.lookup(folder, name);
    // What changes in a folder is told by the id that shows it.
    const isFleeting = this.tree.node(folder)?.id !== folder;
    if (node === undefined && isFleeting) throw new WormholeError('not-found', `there is no ${name}`);
    if (node === undefined) return undefined;
    const stat = this.statNode(node);
    if (isFleeting) stat.fleeting = true;
    return stat;
  }

  stat(inode: InodeId): Answer<Stat> {
    return this.statNode(this.node(inode), inode);
  }

  readlink(inode: InodeId): string {
    const node = this.node(inode);
    if (node.kind !== 'symlink') throw new WormholeError('invalid', `${node.name} is not a symbolic link`);
    return node.content;
  }

  list(inode: InodeId, after: string | undefined, limit: number): Entry[] {
    return this.tree
      .list(this.treeId(inode), after, limit)
      .map((entry) => ({ ...entry, inode: this.ids.local(entry.inode) }));
  }

  create(
    parent: InodeId,
    name: string,
    mode: number,
    flags: OpenFlags,
    caller: Caller,
  ): Answer<{ stat: Stat; handle: FileHandle }> {
    return then(this.tree.congested(), () => {
      const node = this.make(parent, name, 'file', mode, '', caller);
      const handle = this.openNode(node, flags);
      return { stat: this.statNode(node), handle };
    });
  }

  mkdir(parent: InodeId, name: string, mode: number, caller: Caller): Answer<Stat> {
    return then(this.tree.congested(), () =>
      this.statNode(this.make(parent, name, 'directory', mode, '', caller)),
    );
  }

  mknod(parent: InodeId, name: string, mode: number, rdev: number, caller: Caller): Answer<Stat> {
    const kind = kindOfMode(mode);
    if (kind === undefined || kind === 'directory' || kind === 'symlink') {
      throw new WormholeError('invalid', `mknod cannot make type ${(mode & TYPE_MASK).toString(8)}`);
    }
    const { major, minor } = unpackDevice(rdev);
    const content = kind === 'character' || kind === 'block' ? `${major}:${minor}` : '';
    return this.statNode(this.make(parent, name, kind, mode, content, caller));
  }

  symlink(parent: InodeId, name: string, target: string, caller: Caller): Answer<Stat> {
    if (Buffer.byteLength(target) > LIMITS.symlinkTargetBytesMax) {
      throw new WormholeError('name-too-long', 'the target of a symbolic link is longer than 4,095 bytes');
    }
    return this.statNode(this.make(parent, name, 'symlink', 0o777, target, caller));
  }

  link(inode: InodeId, parent: InodeId, name: string): Answer<Stat> {
    this.check(this.treeId(parent), name);
    return this.statNode(this.tree.link(this.treeId(inode), this.treeId(parent), name));
  }

  unlink(parent: InodeId, name: string): void {
    this.check(this.treeId(parent), name);
    const { node, gone } = this.tree.unlink(this.treeId(parent), name);
    if (gone) this.orphan(node);
  }

  rmdir(parent: InodeId, name: string): GoneFolder {
    this.check(this.treeId(parent), name);
    return this.gone(this.tree.rmdir(this.treeId(parent), name));
  }

  private gone(folder: Node): GoneFolder {
    return { stat: this.statNode(folder), xattrs: folder.xattrs };
  }

  rename(
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flags: { noreplace: boolean; exchange: boolean },
    signal?: AbortSignal,
  ): Answer<GoneFolder | undefined> {
    const [from, to] = [this.treeId(parent), this.treeId(newParent)];
    this.check(from, name);
    this.check(to, newName);
    const source = this.tree.lookup(from, name);
    const target = flags.exchange ? undefined : this.tree.lookup(to, newName);
    const file = source === undefined ? undefined : this.files.get(source.id);
    // "Write a temporary file, rename it over": peers must never see the name with content that is still to
    // be published (contract D4).
    const published = target !== undefined && file !== undefined ? this.files.published(file) : undefined;
    const waited =
      published instanceof Promise && signal !== undefined ? unlessAborted(published, signal) : published;
    return then(waited, () => this.renameNow(from, name, to, newName, flags));
  }

  private renameNow(
    from: InodeId,
    name: string,
    to: InodeId,
    newName: string,
    flags: { noreplace: boolean; exchange: boolean },
  ): GoneFolder | undefined {
    const source = this.tree.lookup(from, name);
    const file = source === undefined ? undefined : this.files.get(source.id);
    const { moved, replaced } = this.tree.rename(from, name, to, newName, flags);
    const local = source === undefined ? moved.id : this.ids.local(source.id);
    if (replaced?.kind === 'directory') return this.gone(replaced);
    if (replaced !== undefined) this.orphan(replaced);
    if (source === undefined || moved.id === source.id) return undefined;
    // In the tree the entry of a replaced file stays as it is; for POSIX its folder has changed.
    if (to !== from) this.changeAttributes(to, { mtime: this.clock.wallNs() });
    if (file !== undefined) this.files.becameTarget(file, moved);
    this.ids.replaced(local, moved.id);
    return undefined;
  }

  // ---- attributes

  setStat(inode: InodeId, change: StatChange, handle?: FileHandle): Answer<Stat> {
    const node = this.node(inode, handle);
    this.check(node.id);
    const resized = change.size === undefined ? undefined : this.resize(inode, node, change.size, handle);
    return then(resized, () => {
      this.setAttributes(inode, this.node(inode, handle), change, handle);
      return this.statNode(this.node(inode, handle), inode, handle);
    });
  }

  private setAttributes(inode: InodeId, node: Node, change: StatChange, handle?: FileHandle): void {
    const file = this.fileOf(inode, handle);
    const attributes: AttributeChange = this.owners.changed(change);
    if (change.mode !== undefined) attributes.mode = change.mode & 0o7777;
    else if (change.killSuidgid === true && node.kind !== 'directory' && (node.mode & SET_ID_BITS) !== 0) {
      attributes.mode = withoutSetIds(node.mode);
    }
    if (change.mtime !== undefined) {
      attributes.mtime = change.mtime === 'now' ? this.clock.wallNs() : change.mtime;
    }
    if (file !== undefined && file.orphan === undefined && this.files.isPending(file)) {
      this.setAttributesWhilePending(file, node, attributes);
    } else if (file?.orphan !== undefined) {
      file.orphan = { ...file.orphan, ...definedOnly(attributes), ctime: this.clock.wallNs() };
      // Those of the last write would be shown before these.
      if (typeof attributes.mtime === 'bigint') file.mtime = attributes.mtime;
      file.ctime = file.orphan.ctime;
    } else if (Object.keys(attributes).length > 0) {
      this.changeAttributes(node.id, attributes);
    }
  }

  /**
   * `cp -a`, `tar` and `rsync` set owner, mode and time of what they have just written, mostly to what it has.
   * A content that is yet to be published takes the time with it, or its publication would undo utimens.
   */
  private setAttributesWhilePending(file: OpenFile, node: Node, { mtime, ...rest }: AttributeChange): void {
    if (typeof mtime === 'bigint') file.mtime = mtime;
    file.ctime = this.clock.wallNs();
    const { mode = node.mode, uid = node.uid, gid = node.gid } = rest;
    if (mode === node.mode && uid === node.uid && gid === node.gid) return;
    if (this.files.defersOwner(file)) file.owner = { ...file.owner, ...rest };
    else this.changeAttributes(node.id, rest);
  }

  private resize(inode: InodeId, node: Node, size: number, handle?: FileHandle): Answer<void> {
    if (node.kind === 'directory') throw new WormholeError('is-a-directory', `${node.name} is a folder`);
    if (node.kind !== 'file') throw new WormholeError('invalid', `${node.name} has no content to cut`);
    const open = this.fileOf(inode, handle);
    if (open !== undefined && open.handles > 0) return this.cut(open, size);
    const file = this.files.acquire(node);
    return then(this.cut(file, size), () => this.files.release(file));
  }

  private cut(file: OpenFile, size: number): Answer<void> {
    checkSize(size);
    if (file.content.size === size && !file.content.dirty) {
      // POSIX marks the times even when nothing is cut; the content stays as it is.
      if (file.orphan !== undefined) this.files.touched(file);
      else this.changeAttributes(file.inode, { mtime: this.clock.wallNs() });
      return;
    }
    return then(file.content.truncate(size), () => this.files.touched(file));
  }

  getxattr(inode: InodeId, name: string): Uint8Array | undefined {
    if (name === STATE_XATTR) return this.stateOf(inode);
    checkXattrName(name);
    const { xattrs } = this.node(inode);
    return Object.hasOwn(xattrs, name) ? xattrs[name] : undefined;
  }

  setxattr(
    inode: InodeId,
    name: string,
    value: Uint8Array,
    flags: { create: boolean; replace: boolean },
  ): void {
    this.setXattrs(inode, withXattr(this.node(inode).xattrs, name, value, flags));
  }

  /** Told by this pod about itself: it is not listed, so that no copy takes it along. */
  private stateOf(inode: InodeId): Uint8Array | undefined {
    const node = this.node(inode);
    if (node.kind !== 'file') return undefined;
    const state = this.fileOf(inode)?.content.dirty ? 'here' : this.options.stateOf?.(node);
    return state === undefined ? undefined : Buffer.from(state);
  }

  listxattr(inode: InodeId): string[] {
    return Object.keys(this.node(inode).xattrs);
  }

  removexattr(inode: InodeId, name: string): void {
    this.setXattrs(inode, withoutXattr(this.node(inode).xattrs, name));
  }

  private setXattrs(inode: InodeId, xattrs: { [name: string]: Uint8Array }): void {
    const file = this.fileOf(inode);
    if (file?.orphan === undefined) this.check(this.node(inode).id);
    if (file?.orphan === undefined) this.changeAttributes(this.node(inode).id, { xattrs });
    else file.orphan = { ...file.orphan, xattrs, ctime: this.clock.wallNs() };
  }

  // ---- content

  open(inode: InodeId, flags: OpenFlags): Answer<FileHandle> {
    const node = this.node(inode);
    if (node.kind === 'directory') throw new WormholeError('is-a-directory', `${node.name} is a folder`);
    this.check(node.id, undefined, flags.write || flags.truncate);
    if (flags.read) this.options.guard?.opened(node.id);
    const handle = this.openNode(node, flags);
    if (!flags.truncate) return handle;
    const { file } = this.handle(handle);
    const cut = orElse(
      () => this.cut(file, 0),
      () => this.release(handle),
    );
    return then(cut, () => handle);
  }

  read(handle: FileHandle, offset: number, length: number, signal?: AbortSignal): Answer<Uint8Array> {
    const { file } = this.handle(handle);
    return this.orMissing(file, file.content.read(offset, length, signal));
  }

  readParts(
    handle: FileHandle,
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Answer<readonly Uint8Array[]> {
    const { file } = this.handle(handle);
    return this.orMissing(file, file.content.readParts(offset, length, signal));
  }

  /** A file that cannot be read, because nobody who has it is there, is shown to the user. */
  private orMissing<T>(file: OpenFile, answer: Answer<T>): Answer<T> {
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error) => this.missingFiles.failed(file.inode, error));
  }

  write(
    handle: FileHandle,
    offset: number,
    data: Uint8Array,
    options?: { killSuidgid?: boolean },
  ): Answer<number> {
    const { file, flags } = this.handle(handle);
    this.check(file.inode);
    const at = flags.append ? file.content.size : offset;
    checkSize(at + data.length);
    return then(file.content.write(at, data), () => {
      this.files.touched(file);
      if (options?.killSuidgid === true) this.dropSetIds(file);
      return flags.sync ? then(this.makeDurable(file), () => data.length) : data.length;
    });
  }

  allocate(handle: FileHandle, offset: number, length: number, how: AllocateFlags): Answer<void> {
    const { file } = this.handle(handle);
    this.check(file.inode);
    const end = offset + length;
    checkSize(end);
    const { content } = file;
    const zeroed = how.zero && offset < content.size ? content.punch(offset, end) : undefined;
    return then(zeroed, () => {
      if (how.zero) this.files.touched(file);
      if (!how.keepSize && end > content.size)
        return then(content.truncate(end), () => this.files.touched(file));
      // Nothing changed, but that somebody asked for it.
      if (!how.zero) this.setAttributes(file.inode, this.node(file.inode, handle), { mtime: 'now' }, handle);
    });
  }

  seek(handle: FileHandle, offset: number, what: 'data' | 'hole'): Answer<number | undefined> {
    return this.handle(handle).file.content.seek(offset, what);
  }

  copyRange(from: CopyEnd, to: CopyEnd, length: number): Answer<number> {
    const [source, target] = [this.handle(from.handle).file, this.handle(to.handle)];
    this.check(target.file.inode);
    const range = { source, from: from.offset, target: target.file, to: to.offset, length };
    const moved = length <= LIMITS.smallFileBytesMax ? this.copyBytes(range) : this.borrowBytes(range);
    return then(moved, (copied) => {
      if (copied === 0) return 0;
      this.files.touched(target.file);
      return target.flags.sync ? then(this.makeDurable(target.file), () => copied) : copied;
    });
  }

  /** Of so little no chunk is whole. */
  private copyBytes({ source, from, target, to, length }: CopiedRange): Answer<number> {
    return then(source.content.read(from, length), (bytes) => {
      checkSize(to + bytes.length);
      return then(target.content.write(to, bytes), () => bytes.length);
    });
  }

  private borrowBytes(range: CopiedRange): Answer<number> {
    const { source, from, target, to, length } = range;
    // What was just written has no name for its bytes yet; that is quicker to wait for than to copy, as a rule.
    if (this.files.isPending(source) && source.content.publishBytes > PUBLISHED_FOR_COPY * length)
      throw notShared();
    return then(source.orphan === undefined ? this.files.published(source) : undefined, () => {
      const { content, size } = source.base;
      const end = Math.min(from + length, size);
      if (source.orphan !== undefined || source.content.dirty) throw notShared();
      if (end - from <= LIMITS.smallFileBytesMax)
        return this.copyBytes({ ...range, length: Math.max(0, end - from) });
      checkSize(to + end - from);
      return then(target.content.borrow(to, content, size, from, end), () => end - from);
    });
  }

  flush(handle: FileHandle): Answer<void> {
    return this.files.save(this.handle(handle).file);
  }

  fsync(handle: FileHandle): Answer<void> {
    return this.makeDurable(this.handle(handle).file);
  }

  async fsyncdir(): Promise<void> {
    await this.tree.flush();
  }

  release(handle: FileHandle): Answer<void> {
    const { file } = this.handle(handle);
    this.handles.delete(handle);
    if (file.orphan !== undefined && file.handles === 1) {
      const local = this.orphanId(file);
      this.orphans.delete(local);
      this.ids.closed(local);
    }
    return this.files.release(file);
  }

  statfs(): DiskSpace {
    // No disk is asked: file systems have these figures in memory.
    const disk = statfsSync(this.options.storeFolder);
    const counts = this.tree.counts();
    const used = counts.files + counts.directories;
    return {
      blockSize: disk.bsize,
      blocks: disk.blocks,
      blocksFree: disk.bfree,
      blocksAvailable: disk.bavail,
      files: used + disk.ffree,
      filesFree: disk.ffree,
      nameMax: LIMITS.nameBytesMax,
    };
  }

  // ---- for the daemon

  unpublished(): number {
    return this.files.unpublished();
  }

  async publishAll(signal?: AbortSignal): Promise<void> {
    await this.recovering;
    await this.files.publishAll(signal);
  }

  missing(): MissingFile[] {
    return this.missingFiles.list((chunk) => this.options.content.has(chunk));
  }

  failure(): string | undefined {
    return this.files.failure();
  }

  async close(): Promise<void> {
    this.stopListening();
    await this.files.close();
  }

  // ---- helpers

  /** Asks the guard about an inode of the tree, or a name in it. */
  private check(inode: InodeId, name?: string, writes = true): void {
    const { guard } = this.options;
    if (guard === undefined || !guard.restricts) return;
    const path = this.tree.pathOf(inode);
    guard.check(name === undefined ? path : `${path === '/' ? '' : path}/${name}`, writes);
  }

  private make(
    parent: InodeId,
    name: string,
    kind: Node['kind'],
    mode: number,
    content: string,
    caller: Caller,
  ): Node {
    const folder = this.node(parent);
    this.check(folder.id, name);
    const inherits = (folder.mode & SET_GROUP_ID) !== 0;
    const uid = this.owners.uid(caller.uid);
    const gid = inherits ? folder.gid : this.owners.gid(caller.gid);
    const attributes: Attributes = {};
    if (uid !== 0) attributes.uid = uid;
    if (gid !== 0) attributes.gid = gid;
    const bits = (mode & 0o7777) | (inherits && kind === 'directory' ? SET_GROUP_ID : 0);
    const size = kind === 'symlink' ? Buffer.byteLength(content) : 0;
    return this.tree.create(folder.id, name, { kind, size, content, mode: bits }, attributes);
  }

  private changeAttributes(inode: InodeId, change: AttributeChange): void {
    const { id } = this.tree.setAttributes(inode, change);
    if (id !== inode) this.ids.replaced(this.ids.local(inode), id);
  }

  /** The inode's last name went away; it lives on while it is open. */
  private orphan(node: Node): void {
    this.keepOrphan(node.id, this.files.orphaned(node.id, node));
  }

  /** Its local id goes on standing for it; should an edit elsewhere bring the inode back, that is another file. */
  private keepOrphan(inode: InodeId, file: OpenFile | undefined): void {
    if (file?.orphan === undefined || file.handles === 0) return;
    const local = this.ids.local(inode);
    this.orphans.set(local, file);
    this.ids.orphaned(local);
  }

  private orphanId(file: OpenFile): InodeId {
    for (const [local, orphan] of this.orphans) if (orphan === file) return local;
    return file.inode;
  }

  private openNode(node: Node, flags: OpenFlags): FileHandle {
    const handle = this.nextHandle++;
    this.handles.set(handle, { file: this.files.acquire(node), flags });
    return handle;
  }

  private makeDurable(file: OpenFile): Promise<void> {
    this.files.recordOwner(file);
    return Promise.all([file.content.sync(), this.tree.flush()]).then(() => {});
  }

  private dropSetIds(file: OpenFile): void {
    const before = file.owner?.mode ?? (file.orphan ?? this.tree.node(file.inode))?.mode ?? 0;
    if ((before & SET_ID_BITS) === 0) return;
    const mode = withoutSetIds(before);
    if (file.orphan !== undefined) file.orphan = { ...file.orphan, mode };
    else if (file.owner !== undefined) file.owner = { ...file.owner, mode };
    else this.changeAttributes(file.inode, { mode });
  }

  private handle(handle: FileHandle): Handle {
    const found = this.handles.get(handle);
    if (found === undefined) throw new WormholeError('bad-handle', 'this file is not open');
    return found;
  }

  private treeId(local: InodeId): InodeId {
    const tree = this.ids.tree(local);
    if (tree === undefined) throw new WormholeError('not-found', 'this inode has been replaced');
    return tree;
  }

  /** The open file that a local id stands for, also when its last name is gone. */
  private fileOf(local: InodeId, handle?: FileHandle): OpenFile | undefined {
    const byHandle = handle === undefined ? undefined : this.handles.get(handle)?.file;
    if (byHandle !== undefined) return byHandle;
    const tree = this.ids.tree(local);
    return (tree === undefined ? undefined : this.files.get(tree)) ?? this.orphans.get(local);
  }

  private node(local: InodeId, handle?: FileHandle): Node {
    const file = this.fileOf(local, handle);
    if (file?.orphan !== undefined) return file.orphan;
    const tree = this.ids.tree(local);
    const node = tree === undefined ? undefined : this.tree.node(tree);
    if (node === undefined) throw new WormholeError('not-found', 'this inode is gone');
    return file?.owner === undefined ? node : { ...node, ...file.owner };
  }

  private statNode(node: Node, local = this.ids.local(node.id), handle?: FileHandle): Stat {
    const file = node.kind === 'file' ? this.fileOf(local, handle) : undefined;
    if (file === undefined) {
      const stat = this.owners.show(statOf(local, node));
      if (this.ids.tree(local) !== node.id) stat.fleeting = true;
      return stat;
    }
    const { content, mtime, ctime, owner } = file;
    const shown = owner === undefined ? node : { ...node, ...owner };
    return this.owners.show(statOf(local, shown, { size: content.size, mtime, ctime }));
  }

  private remoteChange(change: TreeEvents['changed']): void {
    const { invalidator } = this.options;
    if (change.everything) {
      for (const inode of this.files.inodes()) this.refresh(inode);
      invalidator.everything();
    }
    for (const { parent, name } of change.names) invalidator.entry(this.ids.local(parent), name);
    // The kernel keeps listings too, and the times of the folder are new.
    for (const folder of new Set(change.names.map(({ parent }) => parent)))
      invalidator.inode(this.ids.local(folder));
    for (const inode of change.inodes) {
      const local = this.ids.local(inode);
      this.refresh(inode);
      invalidator.inode(local);
    }
  }

  /** An open file takes up what the tree has of it now. */
  private refresh(inode: InodeId): void {
    this.keepOrphan(inode, this.files.refresh(inode, this.tree.node(inode)));
  }

  /**
   * Takes up what an earlier process staged. While the index is being built anew inodes may be missing from it;
   * only once the document is there, those that still are were deleted: elsewhere, or here before their writer could close.
   */
  private async recover(): Promise<void> {
    const survived = this.tree.reached();
    const staged: Recovered[] = [];
    for (const found of this.options.content.recovered()) {
      if (found.named > 0 && found.named <= survived) this.drop(found);
      else staged.push(found);
      if (found.named > survived) found.content.recordedAs(0);
    }
    // At once: nobody may open these files before.
    const waiting = staged.filter((found) => !this.adopt(found));
    // Numbers come again: that these name nothing any more must be known before they do.
    if (staged.some(({ named }) => named > 0)) await this.options.content.flush();
    if (waiting.length === 0) return;
    await this.tree.commit();
    for (const found of waiting) if (!this.adopt(found) && !this.bringBack(found)) this.discard(found);
  }

  /** A file that was deleted elsewhere comes back with what was written to it here (contract D14). */
  private bringBack({ key, content }: Recovered): boolean {
    const { inode, versions } = parseStagingKey(key);
    const deletions = this.tree.deletionsOf(inode);
    if (deletions.length === 0 || deletions.some((id) => isOfPod(this.options.podId, id))) return false;
    this.files.adopt({ ...DELETED, id: inode, versions }, content);
    return true;
  }

  /** False when its inode is not in the tree. */
  private adopt({ key, content }: Recovered): boolean {
    const { inode, versions } = parseStagingKey(key);
    const node = this.tree.node(inode);
    if (node === undefined || node.kind !== 'file') return false;
    if (this.files.get(inode) !== undefined) {
      this.options.log.warn('staged bytes wait for the next start: the file is open already', { inode });
      return true;
    }
    // It replaces what its writer had opened, and what this pod itself wrote since; other edits stay beside it.
    const own = node.versions.filter((version) => isOfPod(this.options.podId, version));
    this.files.adopt({ ...node, versions: [...new Set([...versions, ...own])] }, content);
    this.options.invalidator.inode(this.ids.local(inode));
    return true;
  }

  /** The file was unlinked here before its writer could close it: nothing of it was to be kept. */
  private discard(found: Recovered): void {
    this.options.log.info('dropping staged bytes of a file that was deleted', { inode: found.key });
    this.drop(found);
  }

  private drop({ key, content }: Recovered): void {
    Promise.resolve(content.close(true)).catch((error) =>
      this.options.log.error('dropping staged bytes failed', { inode: key, error }),
    );
  }
}

/** What a publication needs of a file that is not in the tree any more, but for its id and its versions. */
const DELETED: Omit<Node, 'id' | 'versions'> = {
  kind: 'file',
  size: 0,
  mtime: 0n,
  ctime: 0n,
  mode: 0,
  uid: 0,
  gid: 0,
  nlink: 0,
  content: '',
  xattrs: {},
  parent: ROOT,
  name: '',
};

/** Of a file that is being written so much is published to copy a part of it, times the bytes of that. */
const PUBLISHED_FOR_COPY = 8;

function notShared(): WormholeError {
  return new WormholeError('not-supported', 'these bytes cannot be shared, they have to be copied');
}

/** @throws WormholeError `too-large` */
function checkSize(size: number): void {
  if (size > LIMITS.fileBytesMax) throw new WormholeError('too-large', 'a file may have 64 TiB');
}

/** Set-group-id without group execution means mandatory locking and stays, as in chown(2). */
function withoutSetIds(mode: number): number {
  const groupExecutes = (mode & 0o010) !== 0;
  return mode & ~0o4000 & (groupExecutes ? ~0o2000 : ~0);
}

function definedOnly(change: AttributeChange): Partial<Node> {
  const { mtime, ...rest } = change;
  return { ...rest, ...(typeof mtime === 'bigint' ? { mtime } : {}) };
}
