import type { Stats } from 'node:fs';
import { lstat, open, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS, messageOf, sha256, WormholeError } from '../../base/index.js';
import type { ContentStore } from '../../content/index.js';
import type { InodeId, NewEntry, Node, Tree } from '../../tree/index.js';
import type { FileSystem } from '../filesystem.js';
import { BLOCK_BYTES, readFully, sameBytes, type Transfer, TransferReport, WRITE } from './transfer.js';

export interface TransferParts {
  tree: Tree;
  content: ContentStore;
  fileSystem: FileSystem;
}

export interface TransferOptions {
  /** Gets a line for people now and then. */
  progress: (line: string) => void;
  signal: AbortSignal;
}

/** A folder of the tree; without an id while the batch that makes it is being gathered. */
interface Place {
  inode?: InodeId;
  at: number;
}

/**
 * Copies a folder of this machine into a folder of the tree. Entries are made in batches, small contents go straight
 * into the store; nothing that is there is replaced, so that a second run goes on where the first was cut off. What
 * has the same name and the same bytes is taken as done.
 * @throws WormholeError of the tree and the store; `interrupted`
 */
export async function importFolder(
  parts: TransferParts,
  source: string,
  target: InodeId,
  options: TransferOptions,
): Promise<Transfer> {
  const run = new Import(parts, options);
  await run.count(source);
  await run.folder(source, { inode: target, at: 0 });
  await run.flush();
  // Contents first, then the names that need them.
  await parts.content.flush();
  await parts.tree.flush();
  return run.report.transfer;
}

class Import {
  readonly report: TransferReport;
  private readonly parts: TransferParts;
  private readonly signal: AbortSignal;
  private batch: NewEntry[] = [];
  private places: Place[] = [];
  private storing: Promise<void>[] = [];
  private storingBytes = 0;

  constructor(parts: TransferParts, { progress, signal }: TransferOptions) {
    this.parts = parts;
    this.signal = signal;
    this.report = new TransferReport(progress);
  }

  /** Counts what is to come, so that it can be told how long it takes. */
  async count(path: string): Promise<void> {
    // One that cannot be read is named when its turn comes.
    const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
    if (this.signal.aborted) throw cancelled();
    this.report.expect(entries.filter((entry) => !entry.isDirectory()).length);
    for (const entry of entries) if (entry.isDirectory()) await this.count(join(path, entry.name));
  }

  async folder(path: string, place: Place): Promise<void> {
    const names = (await readdir(path)).sort();
    for (const name of names) {
      if (this.signal.aborted) throw cancelled();
      const below = join(path, name);
      try {
        await this.entry(below, name, place);
      } catch (error) {
        // One that cannot be read, or named in the tree, does not keep the others out.
        if (!isOfOne(error)) throw error;
        this.report.leave(below, messageOf(error));
      }
    }
  }

  /** Makes what was gathered, all of it or none. */
  async flush(): Promise<void> {
    await Promise.all(this.storing.splice(0));
    this.storingBytes = 0;
    const [batch, places] = [this.batch, this.places];
    this.batch = [];
    this.places = [];
    if (batch.length === 0) return;
    await this.parts.tree.congested();
    const inodes = this.parts.tree.createMany(batch);
    for (const place of places) place.inode = inodes[place.at] as InodeId;
  }

  private async entry(path: string, name: string, place: Place): Promise<void> {
    if (name.includes('\ufffd')) return this.report.leave(path, 'its name is not UTF-8');
    const stats = await lstat(path);
    const there = place.inode === undefined ? undefined : this.parts.tree.lookup(place.inode, name);
    if (stats.isDirectory()) await this.directory(path, name, place, stats, there);
    else if (stats.isSymbolicLink()) await this.symlink(path, name, place, stats, there);
    else if (!stats.isFile()) this.report.leave(path, 'it is neither file, folder nor symbolic link');
    else if (stats.size <= LIMITS.smallFileBytesMax) await this.small(path, name, place, stats, there);
    else await this.large(path, name, place, stats, there);
  }

  private async directory(
    path: string,
    name: string,
    place: Place,
    stats: Stats,
    there: Node | undefined,
  ): Promise<void> {
    if (there !== undefined && there.kind !== 'directory') {
      return this.report.leave(path, 'a file of this name is there');
    }
    if (there !== undefined) return this.folder(path, { inode: there.id, at: 0 });
    const made: Place = {
      at: await this.add(place, name, { kind: 'directory', size: 0, content: '' }, stats),
    };
    this.places.push(made);
    this.report.transfer.folders++;
    await this.folder(path, made);
  }

  private async symlink(
    path: string,
    name: string,
    place: Place,
    stats: Stats,
    there: Node | undefined,
  ): Promise<void> {
    const content = await readlink(path);
    if (there?.kind === 'symlink' && there.content === content) return this.report.already();
    if (there !== undefined) return this.report.leave(path, 'another entry of this name is there');
    await this.add(place, name, { kind: 'symlink', size: Buffer.byteLength(content), content }, stats);
    this.report.copied(0);
  }

  private async small(
    path: string,
    name: string,
    place: Place,
    stats: Stats,
    there: Node | undefined,
  ): Promise<void> {
    const bytes = await readFile(path);
    // It grew while it was looked at.
    if (bytes.length > LIMITS.smallFileBytesMax) return this.large(path, name, place, stats, there);
    const id = sha256(bytes);
    const content = bytes.length === 0 ? '' : `c${id}`;
    if (there?.kind === 'file' && there.content === content) return this.report.already();
    if (there !== undefined) return this.report.leave(path, 'another file of this name is there');
    if (bytes.length > 0) this.store(this.parts.content.put(id, bytes, { keep: true }), bytes.length);
    await this.add(place, name, { kind: 'file', size: bytes.length, content }, stats);
    this.report.copied(bytes.length);
  }

  /** Under another name until it is whole: a run that was cut off leaves nothing that looks finished. */
  private async large(
    path: string,
    name: string,
    place: Place,
    stats: Stats,
    there: Node | undefined,
  ): Promise<void> {
    const { fileSystem, tree } = this.parts;
    if (place.inode === undefined) await this.flush();
    const parent = place.inode as InodeId;
    const plain = await open(path, 'r');
    try {
      if (there !== undefined) {
        const isSame = there.kind === 'file' && (await sameBytes(plain, fileSystem, there.id));
        return isSame ? this.report.already() : this.report.leave(path, 'another file of this name is there');
      }
      const temporary = `.wh-import-${sha256(Buffer.from(name)).slice(0, 16)}`;
      if (tree.lookup(parent, temporary) !== undefined) await fileSystem.unlink(parent, temporary);
      const caller = { uid: stats.uid, gid: stats.gid, pid: 0, umask: 0 };
      const { stat, handle } = await fileSystem.create(parent, temporary, stats.mode, WRITE, caller);
      let at = 0;
      try {
        at = await this.copy(plain, handle);
        await fileSystem.flush(handle);
        await fileSystem.setStat(stat.inode, { mtime: nanoseconds(stats) }, handle);
      } finally {
        await fileSystem.release(handle);
      }
      if (!(await sameBytes(plain, fileSystem, stat.inode))) {
        await fileSystem.unlink(parent, temporary);
        return this.report.leave(path, 'it changed while it was copied');
      }
      await fileSystem.rename(parent, temporary, parent, name, { noreplace: true, exchange: false });
      // Not the kernel's own doing: it may remember that there is no such name, or what was there.
      const names = [temporary, name].map((each) => ({ parent, name: each }));
      tree.events.emit('changed', { inodes: [parent], names });
      this.report.copied(at);
    } finally {
      await plain.close();
    }
  }

  private async copy(plain: Awaited<ReturnType<typeof open>>, handle: number): Promise<number> {
    const block = Buffer.alloc(BLOCK_BYTES);
    let at = 0;
    for (let count = -1; count !== 0; at += count) {
      if (this.signal.aborted) throw new WormholeError('interrupted', 'the import was cancelled');
      count = await readFully(plain, block, at);
      if (count > 0) await this.parts.fileSystem.write(handle, at, block.subarray(0, count));
      this.report.tell();
    }
    return at;
  }

  private store(stored: Promise<void>, bytes: number): void {
    // Awaited by `flush`, before the entries are made.
    stored.catch(() => {});
    this.storing.push(stored);
    this.storingBytes += bytes;
  }

  /** @returns the entry's number in the batch */
  private async add(
    place: Place,
    name: string,
    data: Pick<NewEntry['data'], 'kind' | 'size' | 'content'>,
    stats: Stats,
  ): Promise<number> {
    const isFull = this.batch.length >= LIMITS.bucketInodesMax;
    if (isFull || this.storingBytes > LIMITS.stagedMemoryBytesMax) await this.flush();
    const { uid, gid } = stats;
    this.batch.push({
      parent: place.inode ?? place.at,
      name,
      data: { ...data, mtime: nanoseconds(stats), mode: stats.mode & 0o7777 },
      attributes: { uid, gid },
    });
    return this.batch.length - 1;
  }
}

function nanoseconds({ mtimeMs }: Stats): bigint {
  return BigInt(Math.round(mtimeMs * 1_000)) * 1_000n;
}

/** It is about this entry alone, not about the store. */
function isOfOne(error: unknown): boolean {
  if (error instanceof WormholeError)
    return error.code === 'bad-name' || error.code === 'name-too-long' || error.code === 'invalid';
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ['EACCES', 'EPERM', 'ENOENT', 'ELOOP', 'EIO'].includes(code);
}

function cancelled(): WormholeError {
  return new WormholeError('interrupted', 'the import was cancelled');
}
