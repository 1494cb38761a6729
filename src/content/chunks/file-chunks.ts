import {
  close,
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  link,
  mkdirSync,
  open,
  read,
  readdirSync,
  readFileSync,
  rename,
  rmSync,
  stat,
  unlink,
  write,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  diskError,
  isMissing,
  isSha256,
  LIMITS,
  Semaphore,
  syncDirectory,
  WormholeError,
} from '../../base/index.js';
import type { ChunkId } from '../content.js';
import type { Chunks, PutOptions } from './chunks.js';
import { DirectWrites } from './direct-writes.js';
import { isPacked, pack, unpack, unpackNow } from './packing.js';

const openFile = promisify(open);
const readPart = promisify(read);
const writePart = promisify(write);
const syncFile = promisify(fdatasync);
const closeFile = promisify(close);
const renameFile = promisify(rename);
const unlinkFile = promisify(unlink);
const linkFile = promisify(link);
const statFile = promisify(stat);

const FILE_MODE = 0o600;
const FOLDER = { recursive: true, mode: 0o700 } as const;

/** Folders of one store: `chunks/ab/cdef…`, what is being written, and what was found damaged. */
export interface ChunkFolders {
  chunks: string;
  temporary: string;
  damaged: string;
}

export function chunkFolders(folder: string): ChunkFolders {
  return {
    chunks: join(folder, 'chunks'),
    temporary: join(folder, 'temporary'),
    damaged: join(folder, 'damaged'),
  };
}

/** Makes the folders where they are missing and clears away what a crash left half written. */
export async function prepareChunkFolders(folders: ChunkFolders): Promise<void> {
  rmSync(folders.temporary, { recursive: true, force: true });
  for (const folder of [folders.temporary, folders.damaged, folders.chunks]) mkdirSync(folder, FOLDER);
  const present = new Set(readdirSync(folders.chunks));
  for (let i = 0; i < 256; i++) {
    const name = i.toString(16).padStart(2, '0');
    if (!present.has(name)) mkdirSync(join(folders.chunks, name), FOLDER);
  }
  await syncDirectory(folders.chunks);
  await syncDirectory(dirname(folders.chunks));
}

/**
 * Chunks in files of their own: written to a temporary file, synced and renamed; the folders that were touched
 * are synced by `flush`, each once. The file's presence is the only record of a chunk.
 */
export class FileChunks implements Chunks {
  private readonly folders: ChunkFolders;
  /** Distinguishes the temporary files of threads that share the folders. */
  private readonly writer: string;
  private written = 0;
  /** Whatever may wait for the disk takes one. */
  private readonly turns = new Semaphore(LIMITS.diskWaitsMax);
  /** For what is only cached: it is read again seldom, and not at once. */
  private readonly direct = new DirectWrites();
  /** Folders with names that a power cut would take. */
  private readonly unsynced = new Set<string>();
  /** Chunks of which a sync failed: they count only once they were written again to a new file. */
  private readonly doubtful = new Set<ChunkId>();
  /** Durable chunks on their way. */
  private readonly puts = new Set<Promise<void>>();
  private syncing: Promise<unknown> | undefined;

  constructor(folders: ChunkFolders, writer: string) {
    this.folders = folders;
    this.writer = writer;
  }

  has(id: ChunkId): boolean {
    return existsSync(this.path(id));
  }

  async get(id: ChunkId): Promise<Uint8Array | undefined> {
    const stored = await this.stored(id);
    if (stored === undefined || !isPacked(stored)) return stored;
    // What cannot be unpacked has rotted: whoever compares its hash finds out.
    return unpack(stored).catch(() => stored);
  }

  async stored(id: ChunkId): Promise<Uint8Array | undefined> {
    let descriptor: number;
    try {
      descriptor = await openFile(this.path(id), 'r');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw diskError('a chunk', error);
    }
    try {
      return await readWhole(descriptor);
    } catch (error) {
      throw diskError('a chunk', error);
    } finally {
      closeSync(descriptor);
    }
  }

  getNow(id: ChunkId): Uint8Array | undefined {
    try {
      const stored = readFileSync(this.path(id));
      return isPacked(stored) ? unpackNow(stored) : stored;
    } catch (error) {
      if (isMissing(error)) return undefined;
      if (error instanceof WormholeError && error.code === 'corrupt') return new Uint8Array(0);
      throw diskError('a chunk', error);
    }
  }

  put(id: ChunkId, bytes: Uint8Array, options: PutOptions): Promise<void> {
    // What looks packed as it is would be unpacked when it is read.
    const stored = options.stored ?? (isPacked(bytes) ? pack(bytes) : bytes);
    const put = this.turns
      .run(() => this.store(id, stored, options.durable))
      .catch((error) => {
        throw diskError('a chunk', error);
      });
    if (options.durable) {
      this.puts.add(put);
      const done = () => this.puts.delete(put);
      put.then(done, done);
    }
    return put;
  }

  /** Makes a chunk that was put without `durable` as durable as the others. */
  harden(id: ChunkId): Promise<void> {
    return this.turns.run(() => this.hardenNow(id));
  }

  private async hardenNow(id: ChunkId): Promise<void> {
    const descriptor = await openFile(this.path(id), 'r');
    try {
      if (this.doubtful.has(id)) await this.rewrite(id, descriptor);
      else {
        await syncFile(descriptor).catch((cause) => {
          this.doubtful.add(id);
          throw diskError('a chunk', cause);
        });
      }
    } finally {
      closeSync(descriptor);
    }
    this.unsynced.add(dirname(this.path(id)));
  }

  /** The kernel forgets what it could not write and would answer with success next time (contract D7). */
  private async rewrite(id: ChunkId, descriptor: number): Promise<void> {
    await this.store(id, await readWhole(descriptor), true);
    this.doubtful.delete(id);
  }

  async remove(id: ChunkId): Promise<void> {
    try {
      await unlinkFile(this.path(id));
      this.unsynced.add(dirname(this.path(id)));
    } catch (error) {
      if (!isMissing(error)) throw diskError('a chunk', error);
    }
  }

  async setAside(id: ChunkId): Promise<void> {
    // A disk that goes on rotting must not fill up with what it spoilt.
    if (readdirSync(this.folders.damaged).length >= LIMITS.damagedChunksMax) return this.remove(id);
    try {
      await renameFile(this.path(id), join(this.folders.damaged, id));
      this.unsynced.add(dirname(this.path(id)));
    } catch (error) {
      if (!isMissing(error)) throw diskError('a damaged chunk', error);
    }
  }

  async length(id: ChunkId): Promise<number | undefined> {
    try {
      return (await statFile(this.path(id))).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw diskError('a chunk', error);
    }
  }

  async *ids(): AsyncIterable<ChunkId> {
    for (const part of await readdir(this.folders.chunks)) {
      for (const rest of await readdir(join(this.folders.chunks, part))) {
        const id = `${part}${rest}`;
        if (isSha256(id)) yield id;
      }
    }
  }

  async flush(): Promise<void> {
    await Promise.allSettled(this.puts);
    const folders = [...this.unsynced];
    this.unsynced.clear();
    // What an earlier call is syncing is not yet safe either.
    const before = this.syncing;
    const inTurn = (folder: string) => this.turns.run(() => syncDirectory(folder));
    const syncing = Promise.all([before, ...folders.map(inTurn)]);
    this.syncing = syncing;
    try {
      await syncing;
    } catch (error) {
      for (const folder of folders) this.unsynced.add(folder);
      throw diskError('the folder of chunks', error);
    } finally {
      if (this.syncing === syncing) this.syncing = undefined;
    }
  }

  private async store(id: ChunkId, bytes: Uint8Array, durable: boolean): Promise<void> {
    const temporary = join(this.folders.temporary, `${this.writer}${this.written++}`);
    try {
      if (durable || !(await this.direct.write(temporary, bytes, FILE_MODE)))
        await writeFile(temporary, bytes, durable);
      if (durable) await renameFile(temporary, this.path(id));
      else await this.linkNew(temporary, id);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    if (durable) this.unsynced.add(dirname(this.path(id)));
  }

  /** Gives a file its name only where nothing has it: another thread may have stored the chunk durably by now. */
  private async linkNew(temporary: string, id: ChunkId): Promise<void> {
    try {
      await linkFile(temporary, this.path(id));
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    }
    await unlinkFile(temporary);
  }

  private path(id: ChunkId): string {
    return `${this.folders.chunks}/${id.slice(0, 2)}/${id.slice(2)}`;
  }
}

async function writeFile(path: string, bytes: Uint8Array, durable: boolean): Promise<void> {
  const descriptor = await openFile(path, 'wx', FILE_MODE);
  try {
    for (let at = 0; at < bytes.length; ) {
      at += (await writePart(descriptor, bytes, at, bytes.length - at)).bytesWritten;
    }
    if (durable) await syncFile(descriptor);
  } finally {
    await closeFile(descriptor);
  }
}

async function readWhole(descriptor: number): Promise<Uint8Array> {
  const { size } = fstatSync(descriptor);
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await readPart(descriptor, bytes, at, size - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}
