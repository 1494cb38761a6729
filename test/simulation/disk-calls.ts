import type { Disk, File, Folder } from './disk.js';
import { type Opened, onStage, type Stage } from './stage.js';

/** Paths below this are on simulated disks: `/simulated/DISK/…`. */
export const SIMULATED = '/simulated/';
/** The part of such a path that names the disk. */
const DISK_PART = 2;
/** Descriptors from here on are of simulated files. */
export const FIRST_DESCRIPTOR = 2 ** 30;
const BLOCK_BYTES = 4096;
const FREE_BLOCKS = 2 ** 28;

interface Place {
  disk: Disk;
  folder: Folder;
  name: string;
  node: File | Folder | undefined;
}

function failure(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${call} '${path}' (simulated)`), { code, syscall: call, path });
}

function stageNow(): Stage {
  const here = onStage();
  if (here === undefined) throw new Error('a simulated disk was used by nobody');
  return here.stage;
}

function placeOf(path: string, call: string): Place {
  const place = lookUp(path);
  if (typeof place === 'string') throw failure(place, call, path);
  return place;
}

/** @returns where a path leads, or the code of the error that it ends in on the way there */
function lookUp(path: string): Place | 'ENOENT' | 'ENOTDIR' {
  const parts = path.split('/');
  const disk = stageNow().disks.get(parts[DISK_PART] as string);
  if (disk === undefined) return 'ENOENT';
  const place: Place = { disk, folder: disk.root, name: '', node: disk.root };
  for (let at = DISK_PART + 1; at < parts.length; at++) {
    const part = parts[at] as string;
    if (part === '' || part === '.') continue;
    const { node } = place;
    if (node === undefined) return 'ENOENT';
    if (node.kind !== 'folder') return 'ENOTDIR';
    place.folder = node;
    place.name = part;
    place.node = node.entries.get(part);
  }
  return place;
}

function found(path: string, call: string): Place & { node: File | Folder } {
  const place = placeOf(path, call);
  if (place.node === undefined) throw failure('ENOENT', call, path);
  return place as Place & { node: File | Folder };
}

function openedAs(descriptor: number, call: string): Opened {
  const opened = stageNow().opened.get(descriptor);
  if (opened === undefined) throw failure('EBADF', call, String(descriptor));
  return opened;
}

function fileOf(opened: Opened, call: string): File {
  if (opened.node.kind !== 'file') throw failure('EISDIR', call, '');
  return opened.node;
}

/** The calls of `node:fs` that the product makes, on simulated disks and at once. */
export const disk = {
  open(path: string, flags: string | number = 'r'): number {
    const mode = String(flags);
    const place = placeOf(path, 'open');
    let { node } = place;
    if (node !== undefined && mode.includes('x')) throw failure('EEXIST', 'open', path);
    if (node === undefined) {
      if (mode.startsWith('r')) throw failure('ENOENT', 'open', path);
      node = place.disk.file();
      place.disk.name({ folder: place.folder, name: place.name, node });
    } else if (mode.startsWith('w') && node.kind === 'file') node.resize(0);
    if (node.kind === 'folder' && mode !== 'r') throw failure('EISDIR', 'open', path);
    const { stage } = onStage() as { stage: Stage };
    const descriptor = FIRST_DESCRIPTOR + stage.descriptors++;
    stage.opened.set(descriptor, { disk: place.disk, node, append: mode.startsWith('a'), at: 0 });
    return descriptor;
  },

  close(descriptor: number): void {
    openedAs(descriptor, 'close');
    stageNow().opened.delete(descriptor);
  },

  read(
    descriptor: number,
    target: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): number {
    const opened = openedAs(descriptor, 'read');
    const at = position ?? opened.at;
    const count = fileOf(opened, 'read').read(at, target.subarray(offset, offset + length));
    if (position === null) opened.at += count;
    return count;
  },

  write(
    descriptor: number,
    bytes: Uint8Array,
    offset = 0,
    length = bytes.length - offset,
    position: number | null = null,
  ): number {
    const opened = openedAs(descriptor, 'write');
    const file = fileOf(opened, 'write');
    const at = opened.append ? file.size : (position ?? opened.at);
    if (opened.disk.refuses(at + length - file.size)) throw failure('ENOSPC', 'write', '');
    if (opened.disk.fails('write')) throw failure('EIO', 'write', '');
    file.write(at, bytes.subarray(offset, offset + length));
    if (position === null) opened.at = at + length;
    return length;
  },

  /** How long an fsync takes at most, in milliseconds. */
  syncMs(descriptor: number): number {
    return openedAs(descriptor, 'fsync').disk.syncMs;
  },

  /** @returns what makes it so: an fsync covers what was written when it began */
  sync(descriptor: number): () => void {
    const opened = openedAs(descriptor, 'fsync');
    const { node, disk: on } = opened;
    const finish = node.kind === 'file' ? node.sync() : () => on.syncFolder(node);
    return () => {
      if (!on.fails('sync')) return finish();
      if (node.kind === 'file') node.forget();
      throw failure('EIO', 'fsync', '');
    };
  },

  truncate(path: string | number, size: number): void {
    const file = typeof path === 'number' ? openedAs(path, 'truncate').node : found(path, 'truncate').node;
    if (file.kind !== 'file') throw failure('EISDIR', 'truncate', String(path));
    file.resize(size);
  },

  stat(path: string | number, options?: { throwIfNoEntry?: boolean }) {
    if (options?.throwIfNoEntry === false && !disk.exists(path as string)) return undefined;
    const node = typeof path === 'number' ? openedAs(path, 'stat').node : found(path, 'stat').node;
    const size = node.kind === 'file' ? node.size : BLOCK_BYTES;
    const isFile = () => node.kind === 'file';
    return { size, ino: node.number, dev: 1, isFile, isDirectory: () => !isFile() };
  },

  exists(path: string): boolean {
    const place = lookUp(path);
    return typeof place !== 'string' && place.node !== undefined;
  },

  mkdir(path: string, options: { recursive?: boolean } | number | undefined): void {
    const recursive = typeof options === 'object' && options.recursive === true;
    if (recursive) {
      const above = path.slice(0, path.lastIndexOf('/'));
      if (above.length > SIMULATED.length && !disk.exists(above)) disk.mkdir(above, options);
    }
    const place = placeOf(path, 'mkdir');
    if (place.node !== undefined && recursive) return;
    if (place.node !== undefined) throw failure('EEXIST', 'mkdir', path);
    place.disk.name({ folder: place.folder, name: place.name, node: place.disk.folder() });
  },

  readdir(path: string): string[] {
    const { node } = found(path, 'readdir');
    if (node.kind !== 'folder') throw failure('ENOTDIR', 'readdir', path);
    return [...node.entries.keys()];
  },

  unlink(path: string): void {
    const { disk: on, folder, name, node } = found(path, 'unlink');
    if (node.kind === 'folder') throw failure('EISDIR', 'unlink', path);
    on.name({ folder, name, node: undefined });
  },

  rm(path: string, options: { recursive?: boolean; force?: boolean } = {}): void {
    if (!disk.exists(path)) {
      if (options.force === true) return;
      throw failure('ENOENT', 'rm', path);
    }
    const { disk: on, folder, name, node } = found(path, 'rm');
    if (node.kind === 'folder') {
      if (options.recursive !== true) throw failure('ERR_FS_EISDIR', 'rm', path);
      for (const below of [...node.entries.keys()]) disk.rm(`${path}/${below}`, options);
    }
    on.name({ folder, name, node: undefined });
  },

  rename(from: string, to: string): void {
    const source = found(from, 'rename');
    const target = placeOf(to, 'rename');
    if (target.node?.kind === 'folder') throw failure('EISDIR', 'rename', to);
    source.disk.name(
      { folder: source.folder, name: source.name, node: undefined },
      { folder: target.folder, name: target.name, node: source.node },
    );
  },

  link(from: string, to: string): void {
    const source = found(from, 'link');
    const target = placeOf(to, 'link');
    if (target.node !== undefined) throw failure('EEXIST', 'link', to);
    target.disk.name({ folder: target.folder, name: target.name, node: source.node });
  },

  readFile(path: string, encoding?: unknown): Buffer | string {
    const { node } = found(path, 'open');
    if (node.kind !== 'file') throw failure('EISDIR', 'read', path);
    const bytes = node.whole();
    return encoding === undefined || encoding === null ? bytes : bytes.toString('utf8');
  },

  statfs(path: string) {
    const { disk: on } = found(path, 'statfs');
    const { limitBytes } = on;
    const free =
      limitBytes === undefined
        ? FREE_BLOCKS
        : Math.max(0, Math.floor((limitBytes - on.usedBytes) / BLOCK_BYTES));
    return { bsize: BLOCK_BYTES, blocks: 2 * FREE_BLOCKS, bfree: free, bavail: free, files: 1e9, ffree: 1e9 };
  },
};
