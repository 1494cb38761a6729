// The memory file system behind fuse-native (libfuse 2.9), for comparison:
// `node dist/bench/decisions/fuse-native-server.js <folder with fuse-native installed> <mount point>`
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { OpenFlags, Stat } from '../../src/fs/index.js';
import { MemoryFileSystem } from '../../test/mount/memory-filesystem.js';

type Done<T = unknown> = (error: number, result?: T) => void;
interface Native {
  mount(done: (error: Error | null) => void): void;
  unmount(done: () => void): void;
}
type NativeClass = new (mountPoint: string, operations: object, options: object) => Native;

const [, , packages = '', mountPoint = ''] = process.argv;
const Fuse = createRequire(join(packages, 'package.json'))('fuse-native') as NativeClass;
const memory = new MemoryFileSystem();
const caller = { uid: 0, gid: 0, pid: 0, umask: 0 };
const flags: OpenFlags = { read: true, write: true, append: false, truncate: false, sync: false };
const ENOENT = -2;

/** The path-based face that fuse-native wants. */
function split(path: string): { parent: string; name: string } {
  const at = path.lastIndexOf('/');
  return { parent: memory.at(path.slice(0, at))?.id ?? '', name: path.slice(at + 1) };
}

function statOf(path: string): object | undefined {
  const inode = memory.at(path);
  if (inode === undefined) return undefined;
  const stat: Stat = memory.stat(inode.id);
  const date = (time: bigint) => new Date(Number(time / 1_000_000n));
  return { ...stat, atime: date(stat.atime), mtime: date(stat.mtime), ctime: date(stat.ctime) };
}

function attempt<T>(done: Done<T>, work: () => T): void {
  try {
    done(0, work());
  } catch {
    done(ENOENT);
  }
}

const operations = {
  getattr(path: string, done: Done<object>) {
    const stat = statOf(path);
    if (stat === undefined) done(ENOENT);
    else done(0, stat);
  },
  readdir: (path: string, done: Done<string[]>) =>
    attempt(done, () => [...(memory.at(path)?.children.keys() ?? [])]),
  create: (path: string, mode: number, done: Done<number>) =>
    attempt(done, () => {
      const { parent, name } = split(path);
      return memory.create(parent, name, mode, flags, caller).handle;
    }),
  open: (path: string, _: number, done: Done<number>) =>
    attempt(done, () => memory.open(memory.at(path)?.id ?? '', flags)),
  read(
    _: string,
    handle: number,
    buffer: Buffer,
    length: number,
    offset: number,
    done: (count: number) => void,
  ) {
    const data = memory.read(handle, offset, length);
    buffer.set(data);
    done(data.length);
  },
  write(
    _: string,
    handle: number,
    buffer: Buffer,
    length: number,
    offset: number,
    done: (count: number) => void,
  ) {
    done(memory.write(handle, offset, buffer.subarray(0, length)));
  },
  flush: (_: string, handle: number, done: Done) => attempt(done, () => memory.flush(handle)),
  release: (_: string, handle: number, done: Done) => attempt(done, () => memory.release(handle)),
  truncate: (path: string, size: number, done: Done) =>
    attempt(done, () => memory.setStat(memory.at(path)?.id ?? '', { size })),
  mkdir: (path: string, mode: number, done: Done) =>
    attempt(done, () => memory.mkdir(split(path).parent, split(path).name, mode, caller)),
  unlink: (path: string, done: Done) =>
    attempt(done, () => memory.unlink(split(path).parent, split(path).name)),
  rmdir: (path: string, done: Done) =>
    attempt(done, () => memory.rmdir(split(path).parent, split(path).name)),
  rename: (from: string, to: string, done: Done) =>
    attempt(done, () => {
      const [old, next] = [split(from), split(to)];
      memory.rename(old.parent, old.name, next.parent, next.name, { noreplace: false, exchange: false });
    }),
};

const native = new Fuse(mountPoint, operations, { force: true, entryTimeout: 1, attrTimeout: 1 });
native.mount((error) => {
  process.send?.(error === null ? 'ready' : String(error));
});
process.on('message', () => native.unmount(() => process.exit(0)));
