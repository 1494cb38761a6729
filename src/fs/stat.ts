import { type InodeId, type Node, ROOT } from '../tree/index.js';
import type { Stat } from './filesystem.js';

const TYPE_BITS: Record<Node['kind'], number> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  character: 0o020000,
  block: 0o060000,
};

export const TYPE_MASK = 0o170000;

/** The kind that the type bits of a st_mode name; no type bits mean a plain file, as in mknod(2). */
export function kindOfMode(mode: number): Node['kind'] | undefined {
  const type = mode & TYPE_MASK;
  if (type === 0) return 'file';
  return (Object.keys(TYPE_BITS) as Node['kind'][]).find((kind) => TYPE_BITS[kind] === type);
}

/** st_rdev as Linux packs it for user space (glibc's makedev for numbers below 2^32). */
export function packDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function unpackDevice(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

/**
 * A number below 2^53 that an inode id always gives: two 26-bit FNV-1a hashes side by side. Two inodes of a
 * million-file tree share one with a probability of about 1 in 9,000; programs that compare numbers
 * (hard link detection in tar, rsync) look at nlink > 1 first.
 */
export function inodeNumber(id: InodeId): number {
  if (id === ROOT) return 1;
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x5bd1e995);
    high ^= high >>> 13;
  }
  // 0 means 'no inode' to some programs, 1 is the root.
  return Math.max(2, (high >>> 6) * 0x4000000 + (low >>> 6));
}

/** What `stat` shows of a node; `open` overrides what an open, not yet published file knows better. */
export function statOf(
  id: InodeId,
  node: Node,
  open?: { size: number; mtime: bigint | undefined; ctime: bigint | undefined },
): Stat {
  const size = node.kind === 'directory' ? 4096 : (open?.size ?? node.size);
  const device = node.kind === 'character' || node.kind === 'block' ? node.content.split(':') : [];
  return {
    inode: id,
    ino: inodeNumber(id),
    mode: TYPE_BITS[node.kind] | node.mode,
    nlink: node.nlink,
    uid: node.uid,
    gid: node.gid,
    rdev: device.length === 2 ? packDevice(Number(device[0]), Number(device[1])) : 0,
    size,
    blocks: node.kind === 'symlink' ? 0 : Math.ceil(size / 512),
    atime: open?.mtime ?? node.mtime,
    mtime: open?.mtime ?? node.mtime,
    ctime: open?.ctime ?? node.ctime,
  };
}
