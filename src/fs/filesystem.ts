import type { Answer } from '../base/index.js';
import type { Entry, InodeId } from '../tree/index.js';

/** As `stat` shows it. Times in nanoseconds since 1970. */
export interface Stat {
  inode: InodeId;
  /** A number that stays the same over restarts, below 2^53. */
  ino: number;
  /** Type and permission bits, as in st_mode. */
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  /** 512-byte blocks. */
  blocks: number;
  atime: bigint;
  mtime: bigint;
  ctime: bigint;
  /** The inode is shown by another than its own id (of a merged folder, a conflict that was settled): nobody says by
   *  this id when it changes, so that it must not be remembered. */
  fleeting?: true;
}

/** Who asks, as the kernel says. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
  umask: number;
}

/** An open file; numbers are never reused within a process. */
export type FileHandle = number;

export interface OpenFlags {
  read: boolean;
  write: boolean;
  append: boolean;
  truncate: boolean;
  /** O_SYNC or O_DSYNC: every write is durable before it returns. */
  sync: boolean;
}

export interface StatChange {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  /** 'now' takes the file system's clock. atime is never recorded. */
  mtime?: bigint | 'now';
  /** Drop set-user-id and set-group-id bits (FATTR_KILL_SUIDGID). */
  killSuidgid?: boolean;
}

/** What fallocate(2) is to do with a range. */
export interface AllocateFlags {
  keepSize: boolean;
  /** Its bytes become zeros: FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE. */
  zero: boolean;
}

/** One side of a copy. */
export interface CopyEnd {
  handle: FileHandle;
  offset: number;
}

/** As statfs(2) tells it. */
export interface DiskSpace {
  /** Bytes. */
  blockSize: number;
  /** Blocks of that size. */
  blocks: number;
  blocksFree: number;
  blocksAvailable: number;
  /** Inodes. */
  files: number;
  filesFree: number;
  nameMax: number;
}

/** A folder that went, as it was then: whoever works in it still asks about it. */
export interface GoneFolder {
  stat: Stat;
  xattrs: { readonly [name: string]: Uint8Array };
}

/** What the kernel cached and must forget; `mount/` is one, the daemon hands it in. */
export interface Invalidator {
  /** Attributes and pages of an inode. */
  inode(inode: InodeId): void;
  /** An entry of a folder. */
  entry(parent: InodeId, name: string): void;
  /** All of it. */
  everything(): void;
}

/** Something at a name. */
interface Named {
  inode: InodeId;
  kind: Entry['kind'];
}

/** One thing that looks different since remote changes landed. */
export type RemoteChange =
  /** A name leads to something else; undefined: to nothing. */
  | { what: 'name'; parent: InodeId; name: string; before: Named | undefined; after: Named | undefined }
  /** At a name of the inode. */
  | ({ what: 'content' | 'attributes'; parent: InodeId; name: string } & Named);

/** Who wants to know what remote changes did to what the kernel knows; `mount/` is one, the daemon hands it in. */
export interface RemoteChangeListener {
  /** Whether the kernel knows this inode: of others nothing is told. */
  knows(inode: InodeId): boolean;
  /** @param pathOf the path of a folder, as `/a/b`; undefined when it is gone */
  changed(changes: readonly RemoteChange[], pathOf: (folder: InodeId) => string | undefined): void;
}

/**
 * Inode operations that join tree and content. All throw WormholeError; `mount/` turns it into an errno.
 * An inode that was unlinked lives on while it is open.
 */
export interface FileSystem {
  /** Undefined: there is no such name, and should one come, an invalidation tells of it.
   *  @throws WormholeError `not-found` when none would */
  lookup(parent: InodeId, name: string): Answer<Stat | undefined>;
  stat(inode: InodeId): Answer<Stat>;
  setStat(inode: InodeId, change: StatChange, handle?: FileHandle): Answer<Stat>;
  readlink(inode: InodeId): Answer<string>;
  /** Entries after a name, at most `limit`; `.` and `..` are the driver's. */
  list(inode: InodeId, after: string | undefined, limit: number): Answer<Entry[]>;

  create(
    parent: InodeId,
    name: string,
    mode: number,
    flags: OpenFlags,
    caller: Caller,
  ): Answer<{ stat: Stat; handle: FileHandle }>;
  mkdir(parent: InodeId, name: string, mode: number, caller: Caller): Answer<Stat>;
  /** FIFO, socket, device node or plain file: by the type bits of `mode`. */
  mknod(parent: InodeId, name: string, mode: number, rdev: number, caller: Caller): Answer<Stat>;
  symlink(parent: InodeId, name: string, target: string, caller: Caller): Answer<Stat>;
  link(inode: InodeId, parent: InodeId, name: string): Answer<Stat>;
  unlink(parent: InodeId, name: string): Answer<void>;
  rmdir(parent: InodeId, name: string): Answer<GoneFolder>;
  /** @returns the folder that it replaced, if it was one */
  rename(
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flags: { noreplace: boolean; exchange: boolean },
    /** Ends its waiting, as long as nothing has been renamed. */
    signal?: AbortSignal,
  ): Answer<GoneFolder | undefined>;

  open(inode: InodeId, flags: OpenFlags): Answer<FileHandle>;
  read(handle: FileHandle, offset: number, length: number, signal?: AbortSignal): Answer<Uint8Array>;
  /** As `read`, in the pieces in which the bytes lie, one after the other. */
  readParts(
    handle: FileHandle,
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Answer<readonly Uint8Array[]>;
  /** @returns bytes written. With O_APPEND the offset is ignored. `killSuidgid` as in StatChange. */
  write(
    handle: FileHandle,
    offset: number,
    data: Uint8Array,
    options?: { killSuidgid?: boolean },
  ): Answer<number>;
  /** As fallocate(2). No space is set aside; with 0 the file grows as by truncate. */
  allocate(handle: FileHandle, offset: number, length: number, how: AllocateFlags): Answer<void>;
  /** As lseek(2) with SEEK_DATA and SEEK_HOLE; undefined: ENXIO. */
  seek(handle: FileHandle, offset: number, what: 'data' | 'hole'): Answer<number | undefined>;
  /** As copy_file_range(2): names the chunks that are whole in it instead of moving their bytes.
   *  @returns how many were copied
   *  @throws WormholeError `not-supported` when they are to be read and written */
  copyRange(from: CopyEnd, to: CopyEnd, length: number): Answer<number>;
  /** At each close(): what was written is visible to every later open and survives kill -9. */
  flush(handle: FileHandle): Answer<void>;
  /** Durable against a power cut: content and name. */
  fsync(handle: FileHandle, dataOnly: boolean): Answer<void>;
  fsyncdir(inode: InodeId): Answer<void>;
  release(handle: FileHandle): Answer<void>;

  /** Undefined when it is not set: the kernel asks at each first write, so that this must cost little. */
  getxattr(inode: InodeId, name: string): Answer<Uint8Array | undefined>;
  setxattr(
    inode: InodeId,
    name: string,
    value: Uint8Array,
    flags: { create: boolean; replace: boolean },
  ): Answer<void>;
  listxattr(inode: InodeId): Answer<string[]>;
  removexattr(inode: InodeId, name: string): Answer<void>;

  statfs(): Answer<DiskSpace>;
}
