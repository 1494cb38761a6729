import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  unlink,
  write,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import {
  type Answer,
  diskError,
  type Semaphore,
  syncDirectory,
  then,
  WormholeError,
} from '../../base/index.js';

const readInBackground = promisify(read);
const writeInBackground = promisify(write);
const syncInBackground = promisify(fdatasync);
const removeInBackground = promisify(unlink);

/** Up to this many bytes a system call on this thread is cheaper than handing it to another one. */
const AT_ONCE_BYTES = 128 * 1024;
/** From so many unflushed bytes on the disk is set to work while more are being written: fsync, or the publication
 *  after close, then has less to wait for. */
const FLUSH_EARLY_BYTES = 32 * 1024 * 1024;

/**
 * A sparse file that holds written bytes at their own offsets. Its descriptor is opened when it is needed, for
 * many files may wait to be published, and is closed when its last use has ended.
 */
export class StagingFile {
  readonly path: string;
  private readonly turns: Semaphore;
  private opened: number | undefined;
  private uses = 0;
  private closed = false;
  private unsynced = false;
  /** Its name, and all that was written before some moment, survive a power cut. */
  private everSynced = false;
  /** Bytes written since the disk was last set to work, and whether it is at it. */
  private unflushedBytes = 0;
  private flushing = false;
  /** The kernel forgets what it could not write, so a sync that failed once must never be answered with success. */
  private syncFailure: WormholeError | undefined;

  /** @param turns to wait for the disk
   *  @throws WormholeError `full` | `io` */
  constructor(path: string, mode: 'create' | 'existing', turns: Semaphore) {
    this.path = path;
    this.turns = turns;
    try {
      this.opened = openSync(path, mode === 'create' ? 'wx+' : 'r+', 0o600);
    } catch (error) {
      throw diskError('a staged file', error);
    }
    this.unsynced = mode === 'existing';
  }

  /** Does without its descriptor until the next use. */
  rest(): void {
    if (this.uses > 0 || this.opened === undefined) return;
    closeSync(this.opened);
    this.opened = undefined;
  }

  private get descriptor(): number {
    if (this.closed) throw new WormholeError('closed', `the staging file ${this.path} is closed`);
    this.opened ??= openSync(this.path, 'r+');
    return this.opened;
  }

  /** Bytes from the start to the end of the file. */
  get length(): number {
    return fstatSync(this.descriptor).size;
  }

  /** Answered when the bytes are in the file; they must not be changed until then.
   *  @throws WormholeError `full` | `io` */
  write(offset: number, data: Uint8Array): Answer<void> {
    this.unsynced = true;
    if (data.length > AT_ONCE_BYTES) return this.writeLater(offset, data);
    try {
      for (let at = 0; at < data.length; ) {
        at += writeSync(this.descriptor, data, at, data.length - at, offset + at);
      }
    } catch (error) {
      throw diskError('a staged file', error);
    }
  }

  /** Fills `target` from an offset. @throws WormholeError `io` */
  read(offset: number, target: Uint8Array): Answer<void> {
    if (target.length > AT_ONCE_BYTES) return this.readLater(offset, target);
    let at = 0;
    try {
      while (at < target.length) {
        const count = readSync(this.descriptor, target, at, target.length - at, offset + at);
        if (count === 0) throw tooShort(this.path);
        at += count;
      }
    } catch (error) {
      throw diskError('a staged file', error);
    }
  }

  /** Gives space back; what lies at or after `size` is no longer needed. */
  cut(size: number): void {
    try {
      if (this.length > size) ftruncateSync(this.descriptor, size);
    } catch (error) {
      throw diskError('a staged file', error);
    }
  }

  /** Resolves when what was written survives a power cut. @throws WormholeError `io` */
  sync(): Answer<void> {
    if (this.syncFailure !== undefined) throw this.syncFailure;
    if (!this.unsynced) return;
    this.unsynced = false;
    return this.using((descriptor) => this.turns.run(() => this.syncWithName(descriptor))).then(
      () => {
        this.everSynced = true;
      },
      (error) => {
        this.syncFailure = diskError('a staged file', error);
        throw this.syncFailure;
      },
    );
  }

  /** Not every file system makes a new file's name durable along with its bytes. */
  private async syncWithName(descriptor: number): Promise<void> {
    await syncInBackground(descriptor);
    if (!this.everSynced) await syncDirectory(dirname(this.path));
  }

  /** True when bytes may be left to the log that are not synced here: it can write them again after a power cut. */
  get takesRedo(): boolean {
    return this.everSynced && this.syncFailure === undefined;
  }

  /** No use begins after this. */
  close(): void {
    this.closed = true;
    this.rest();
  }

  /** Deletes the file, off this thread: that takes long where it is large. What fails is deleted at the next
   *  start. */
  async remove(): Promise<void> {
    await removeInBackground(this.path).catch(() => {});
  }

  private writeLater(offset: number, data: Uint8Array): Promise<void> {
    return this.using(async (descriptor) => {
      for (let at = 0; at < data.length; ) {
        at += (await writeInBackground(descriptor, data, at, data.length - at, offset + at)).bytesWritten;
      }
      this.flushEarly(data.length);
    }).catch((error) => {
      throw diskError('a staged file', error);
    });
  }

  private readLater(offset: number, target: Uint8Array): Promise<void> {
    return this.using(async (descriptor) => {
      for (let at = 0; at < target.length; ) {
        const { bytesRead } = await readInBackground(descriptor, target, at, target.length - at, offset + at);
        if (bytesRead === 0) throw tooShort(this.path);
        at += bytesRead;
      }
    }).catch((error) => {
      throw diskError('a staged file', error);
    });
  }

  /** What fails here is what the next sync says. */
  private flushEarly(bytes: number): void {
    this.unflushedBytes += bytes;
    if (this.flushing || this.closed || this.unflushedBytes < FLUSH_EARLY_BYTES) return;
    this.unflushedBytes = 0;
    this.flushing = true;
    this.using((descriptor) => this.turns.run(() => syncInBackground(descriptor)))
      .catch((error) => {
        this.syncFailure ??= diskError('a staged file', error);
      })
      .finally(() => {
        this.flushing = false;
      });
  }

  private async using(work: (descriptor: number) => Promise<void>): Promise<void> {
    const { descriptor } = this;
    this.uses++;
    try {
      await work(descriptor);
    } finally {
      this.uses--;
      if (this.closed) this.rest();
    }
  }
}

function tooShort(path: string): WormholeError {
  return new WormholeError('io', `the staging file ${path} is shorter than what was written to it`);
}

/** Joins answers of parts into one. */
export function all(answers: Answer<void>[]): Answer<void> {
  const promises = answers.filter((answer) => answer instanceof Promise);
  return promises.length === 0 ? undefined : then(Promise.all(promises), () => {});
}
