import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isFull, WormholeError } from '../base/index.js';
import { makeFolder, syncPath } from './folder.js';

/** The file in a database's folder that holds it. */
export const DATA = 'data.mdb';
const READERS = 'lock.mdb';
const fileMode = 0o600;
/** Room for 250 read transactions at once, 64 bytes each; a thread has one. */
const readersFileBytes = 16 * 1024;
/** What making an empty database takes, and some more. */
const probeBytes = 1024 * 1024;
/** More than this is not at the end of a file because pages were given up, but because it was cut. */
const missingBytesMax = 64 * 1024 * 1024;

/**
 * Makes a folder ready for LMDB, which ends the process (SIGSEGV, SIGBUS) where others throw: on a file that it
 * cannot make, that is no database, or that is shorter than its last page.
 * @param create makes an empty database in a folder, and closes it
 * @throws WormholeError `corrupt`, `full`, or the system's error
 */
export function prepareDatabase(folder: string, create: (folder: string) => void): void {
  makeFolder(folder);
  removeRemains(folder);
  if (existsSync(join(folder, DATA))) checkDatabaseFile(join(folder, DATA));
  else createDatabase(folder, create);
  createReadersFile(folder);
}

/** Whether the disk takes no more, found out by trying, which knows of quotas as well. */
export function isDiskFull(folder: string): boolean {
  const probe = temporaryPath(folder);
  try {
    writeFileSync(probe, Buffer.alloc(probeBytes));
    return false;
  } catch (error) {
    return isFull(error);
  } finally {
    rmSync(probe, { force: true });
  }
}

/** Whole or not at all: the file gets its name when it is ready and durable. */
function createDatabase(folder: string, create: (folder: string) => void): void {
  if (isDiskFull(folder)) {
    throw new WormholeError('full', `the disk of the database ${folder} is full: free some space`);
  }
  const temporary = temporaryPath(folder);
  mkdirSync(temporary, { mode: 0o700 });
  try {
    create(temporary);
    syncPath(join(temporary, DATA));
    linkUnlessThere(join(temporary, DATA), join(folder, DATA));
    syncPath(folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** LMDB maps its table of readers and writes to it: a hole in that file is a SIGBUS on a full disk. So it gets
 *  all its bytes before LMDB sees it. */
function createReadersFile(folder: string): void {
  const path = join(folder, READERS);
  if (existsSync(path)) return;
  const temporary = temporaryPath(folder);
  try {
    writeFileSync(temporary, Buffer.alloc(readersFileBytes), { mode: fileMode });
    linkUnlessThere(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Other threads may be at the same: the first one wins, and all use what it made. */
function linkUnlessThere(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
  }
}

function temporaryPath(folder: string): string {
  return join(folder, `new-${process.pid}-${randomBytes(6).toString('hex')}`);
}

/** What a killed process left half made; other threads of this one may still be making theirs. */
function removeRemains(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^new-(\d+)-[0-9a-f]{12}$/.exec(name)?.[1];
    if (pid === undefined || Number(pid) === process.pid) continue;
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** Where things are in the two pages that begin the file (`MDB_page`, `MDB_meta` in LMDB's mdb.c, version 2). */
const meta = {
  bytes: 168,
  pageFlags: 18,
  magic: 24,
  version: 28,
  pageBytes: 48,
  lastPage: 144,
  transaction: 152,
} as const;
const META_PAGE = 0x08;
const MAGIC = 0xbeefc0de;
const VERSION = 2;

/** Refuses what LMDB would stumble over, and gives a file its full length: in the normal run of things, a few of
 *  its last pages may have been given up before they were ever written. */
function checkDatabaseFile(path: string): void {
  const fd = openSync(path, 'a+');
  try {
    const first = readMeta(fd, 0);
    const second = first === undefined ? undefined : readMeta(fd, first.pageBytes);
    if (first === undefined || second === undefined) throw damaged(path);
    const newest = first.transaction > second.transaction ? first : second;
    const missing = (newest.lastPage + 1) * newest.pageBytes - fstatSync(fd).size;
    if (missing > missingBytesMax) throw damaged(path);
    // Appended, not truncated to size: another thread may be making the file longer just now.
    if (missing > 0) writeSync(fd, Buffer.alloc(missing));
  } catch (error) {
    // On a full disk the file keeps its length; pages that were given up are not read.
    if (!isFull(error)) throw error;
  } finally {
    closeSync(fd);
  }
}

function damaged(path: string): WormholeError {
  const message = `${path} is damaged: stop and start this pod, which repairs it`;
  return new WormholeError('corrupt', message);
}

function readMeta(fd: number, at: number) {
  const bytes = Buffer.alloc(meta.bytes);
  if (readSync(fd, bytes, 0, bytes.length, at) < bytes.length) return undefined;
  const page = {
    pageBytes: bytes.readUInt32LE(meta.pageBytes),
    lastPage: Number(bytes.readBigUInt64LE(meta.lastPage)),
    transaction: bytes.readBigUInt64LE(meta.transaction),
  };
  const whole =
    (bytes.readUInt16LE(meta.pageFlags) & META_PAGE) !== 0 &&
    bytes.readUInt32LE(meta.magic) === MAGIC &&
    bytes.readUInt32LE(meta.version) === VERSION &&
    page.pageBytes >= 512 &&
    page.pageBytes <= 65_536 &&
    page.lastPage < 2 ** 40;
  return whole ? page : undefined;
}
