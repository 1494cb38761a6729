/** Numbers of the FUSE kernel protocol 7.38, as in linux/fuse.h. */

export const PROTOCOL_MAJOR = 7;
export const PROTOCOL_MINOR = 38;
/** Linux 5.4; an older kernel lacks what the driver relies on. */
export const PROTOCOL_MINOR_LEAST = 31;
/** Linux 6.16: from here on the kernel takes {@link NOTIFY}.incrementEpoch. */
export const PROTOCOL_MINOR_EPOCH = 44;

export const ROOT_NODE = 1;

export const OPCODE = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  access: 34,
  create: 35,
  interrupt: 36,
  destroy: 38,
  ioctl: 39,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
} as const;

/** Bits of `flags` in INIT. Bit 31 and above do not appear, so that plain numbers do. */
export const INIT_FLAG = {
  asyncRead: 1 << 0,
  atomicOTrunc: 1 << 3,
  bigWrites: 1 << 5,
  doReaddirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  parallelDirops: 1 << 18,
  abortError: 1 << 21,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  handleKillprivV2: 1 << 28,
  initExt: 1 << 30,
} as const;

/** Bits of `valid` in SETATTR. */
export const SETATTR_VALID = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  handle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  killSuidgid: 1 << 11,
} as const;

/** Bits of `open_flags` in the answer to OPEN. */
export const OPEN_ANSWER = {
  keepCache: 1 << 1,
  /** Of a folder: the kernel keeps what it lists. */
  cacheDirectory: 1 << 3,
  noFlush: 1 << 5,
} as const;

/** Bit of `open_flags` in the requests OPEN and CREATE. */
export const OPEN_KILL_SUIDGID = 1 << 0;

/** Bits of `write_flags` in WRITE. */
export const WRITE_FLAG = {
  /** A page of a mapped file on its way back: the offset counts, whatever the handle was opened with. */
  cache: 1 << 0,
  killSuidgid: 1 << 2,
} as const;

export const FSYNC_DATA_ONLY = 1 << 0;

/** Bits of `flags` in RENAME2. */
export const RENAME_FLAG = { noreplace: 1 << 0, exchange: 1 << 1 } as const;

/** Bits of `flags` in SETXATTR. */
export const XATTR_FLAG = { create: 1, replace: 2 } as const;

/** Bits of `mode` in FALLOCATE. */
export const FALLOCATE_MODE = { keepSize: 1 << 0, punchHole: 1 << 1, zeroRange: 1 << 4 } as const;

/** `whence` in LSEEK; the others are the kernel's own business. */
export const SEEK = { data: 3, hole: 4 } as const;

/** Codes of notifications, which travel in the header's field of the error. The last is known
 *  from Linux 6.16 on; an older kernel refuses it. */
export const NOTIFY = { invalidateInode: 2, invalidateEntry: 3, incrementEpoch: 8 } as const;

/** Sizes in bytes of the structures that the driver writes or skips. */
export const SIZE = {
  inHeader: 40,
  outHeader: 16,
  attributes: 88,
  entryOut: 128,
  attrOut: 104,
  openOut: 16,
  writeIn: 40,
  writeOut: 8,
  lseekOut: 8,
  initOut: 64,
  statfsOut: 80,
  getxattrOut: 8,
  /** A directory entry before its name. */
  dirent: 24,
} as const;

/** What the kernel asks of the buffer that requests are read into, besides `max_write`. */
export const REQUEST_OVERHEAD_BYTES = 4096;
