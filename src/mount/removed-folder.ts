import { WormholeError } from '../base/index.js';
import type { FileSystem, GoneFolder, Stat, StatChange } from '../fs/index.js';

type Inode = Stat['inode'];

/** What answers for the attributes of an inode. */
export type Attributes = Pick<
  FileSystem,
  'stat' | 'setStat' | 'getxattr' | 'listxattr' | 'setxattr' | 'removexattr'
>;

/**
 * A folder that was removed while somebody is in it or has it open. The file system has it no more; what a local one
 * still answers about it, until it is let go, is answered from here.
 */
export class RemovedFolder implements Attributes {
  private shown: Stat;
  private readonly xattrs: Map<string, Uint8Array>;

  constructor({ stat, xattrs }: GoneFolder) {
    this.shown = { ...stat, nlink: 0 };
    this.xattrs = new Map(Object.entries(xattrs));
  }

  stat(): Stat {
    return this.shown;
  }

  setStat(_: Inode, { mode, uid, gid, mtime }: StatChange): Stat {
    const now = BigInt(Date.now()) * 1_000_000n;
    const stat = this.shown;
    this.shown = {
      ...stat,
      mode: mode === undefined ? stat.mode : (stat.mode & ~0o7777) | mode,
      uid: uid ?? stat.uid,
      gid: gid ?? stat.gid,
      mtime: mtime === 'now' ? now : (mtime ?? stat.mtime),
      ctime: now,
    };
    return this.shown;
  }

  getxattr(_: Inode, name: string): Uint8Array | undefined {
    return this.xattrs.get(name);
  }

  listxattr(): string[] {
    return [...this.xattrs.keys()];
  }

  setxattr(_: Inode, name: string, value: Uint8Array, flags: { create: boolean; replace: boolean }): void {
    const isSet = this.xattrs.has(name);
    if (flags.create && isSet) throw new WormholeError('exists', `${name} is set already`);
    if (flags.replace && !isSet) throw new WormholeError('no-attribute', `${name} is not set`);
    this.xattrs.set(name, Uint8Array.from(value));
  }

  removexattr(_: Inode, name: string): void {
    if (!this.xattrs.delete(name)) throw new WormholeError('no-attribute', `${name} is not set`);
  }
}
