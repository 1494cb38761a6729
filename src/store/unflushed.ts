import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { LIMITS } from '../base/index.js';
import { syncPath } from './folder.js';
import { DATA } from './lmdb-file.js';
import { inspectDatabaseFile } from './lmdb-inspection.js';

/** In place of whereabouts. */
const DAMAGED = 'damaged';
const CLOSED = 'closed';
/** More than a path and some numbers take. */
const MARK_BYTES = 6 * 1024;

/**
 * A time during which a database's commits are not flushed: after a power cut its pages may be of different
 * ages, and LMDB cannot tell. For data that can be built again from elsewhere, and only there.
 *
 * A mark beside the folder says in which system, file and mount the database was last used so. Where that is
 * still the same, nothing can have been lost but the process, and the page cache has all it wrote. The mark stays when the
 * use ends, and says so: a full disk must not keep the next use from beginning.
 */
export interface UnflushedSession {
  /** Call when every thread has closed the database: flushes it, and the mark says that it is closed. Where the disk fails
   *  at that, the next use begins with a new database; where it has become read-only, as after the death of the process. */
  end(): void;
}

/** Throws the database away if it may have been torn since it was last used, or is damaged (LMDB would end the process).
 *  Call before any thread opens it. */
export function beginUnflushed(
  folder: string,
  tables: readonly string[],
  removed: () => void,
): UnflushedSession {
  const mark = `${resolve(folder)}.session`;
  const data = join(folder, DATA);
  if (existsSync(data) && isDoubtful(data, mark, folder, tables)) {
    rmSync(folder, { recursive: true, force: true });
    removed();
  }
  return {
    end() {
      try {
        if (readMark(mark) === DAMAGED) return;
        syncPath(data);
        writeMark(mark, CLOSED);
      } catch {
        // All of it can be built again: whoever closes has nothing to do about it.
        spoilUnflushed(folder);
      }
    },
  };
}

/** What cannot be read is damaged as well. */
function isDoubtful(data: string, mark: string, folder: string, tables: readonly string[]): boolean {
  try {
    const text = readMark(mark);
    const isInUse = text !== CLOSED;
    if (isInUse && text !== whereabouts(folder)) return true;
    const long = statSync(data).size <= LIMITS.databaseInspectedBytes;
    return (isInUse || long) && inspectDatabaseFile(data, { tables, long }) !== undefined;
  } catch (error) {
    if (isUnreadable(error)) return true;
    throw error;
  }
}

/** The medium gives its bytes no more; not for want of a permission, or of descriptors. */
function isUnreadable(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return code === 'EIO' || (cause !== undefined && isUnreadable(cause));
}

/** To be called when something in the database is found to be damaged, on whatever thread: the next start has a new one. */
export function spoilUnflushed(folder: string): void {
  try {
    writeMark(`${resolve(folder)}.session`, DAMAGED);
  } catch {
    // The disk is full or read-only: the next start meets it anew.
  }
}

/** To be called once the database's file exists, before anything is written to it. */
export function markUnflushed(folder: string): void {
  writeMark(`${resolve(folder)}.session`, whereabouts(folder));
}

/** What the mark says; without one nothing is under way. */
function readMark(mark: string): string {
  return existsSync(mark) ? readFileSync(mark, 'utf8').trim() : CLOSED;
}

/** Over what was there, so that it needs no room on a full disk. Durable. */
function writeMark(mark: string, text: string): void {
  const isNew = !existsSync(mark);
  const descriptor = openSync(mark, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    writeSync(descriptor, text.padEnd(MARK_BYTES), 0);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (isNew) syncPath(dirname(mark));
}

/** Which start of which system, which file, which mount, at which path. */
function whereabouts(folder: string): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const { dev, ino } = statSync(join(folder, DATA));
  const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[2] === device)?.[0];
  return JSON.stringify({ boot, device, mount, file: ino, path: resolve(folder) });
}
