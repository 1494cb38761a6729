import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, WormholeError, writeFileDurably } from '../base/index.js';
import { makeFolder } from './folder.js';
import { lockFile, type StoreLock } from './store-lock.js';

/** The version of all that lies in a store. A later version adds a step that turns this one into it. */
const FORMAT = 1;

const LOCK = 'lock';
const FORMAT_FILE = 'format.json';

/** A folder that belongs to this process alone until it is closed or the process dies. */
export interface Store {
  readonly folder: string;
  /** Random, made with the store: tells it from any other, also from one made later at the same place. */
  readonly id: string;
  /** Where the database goes; every thread opens it for itself. */
  readonly databasePath: string;
  /** Where a log, or anything else of the store, goes. */
  path(name: string): string;
  /** Lets others have the store. Close the database and the logs before. */
  close(): void;
}

/**
 * Locks a folder, and checks that it is a store of a version that we know; makes one where there is none.
 * @throws WormholeError `locked`, before anything is touched; `newer-format`; `corrupt`; `full`; `io`
 */
export async function openStore(folder: string): Promise<Store> {
  let lock: StoreLock | undefined;
  try {
    makeFolder(folder);
    const held = lockFile(join(folder, LOCK));
    lock = held;
    const id = (await readFormat(folder)) ?? (await createFormat(folder));
    return {
      folder,
      id,
      databasePath: join(folder, 'database'),
      path: (name) => join(folder, name),
      close: () => held.release(),
    };
  } catch (error) {
    lock?.release();
    throw diskError(`the store ${folder}`, error);
  }
}

/** The store's id, or undefined when the folder holds no store yet. */
async function readFormat(folder: string): Promise<string | undefined> {
  const path = join(folder, FORMAT_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
    const names = (await readdir(folder)).filter((name) => name !== LOCK);
    for (const name of names.filter((each) => each.startsWith(FORMAT_FILE))) await rm(join(folder, name));
    if (names.every((name) => name.startsWith(FORMAT_FILE))) return undefined;
    throw corrupt(path, 'it is missing, but the folder is not empty');
  }
  return checkFormat(path, text);
}

function checkFormat(path: string, text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw corrupt(path, 'it is not JSON');
  }
  const { format, id } = (value ?? {}) as { format?: unknown; id?: unknown };
  if (typeof format === 'number' && format > FORMAT) {
    const message = `${path} is of format ${format}, and this version reads up to ${FORMAT}: update with npm install -g wormhole-fs`;
    throw new WormholeError('newer-format', message);
  }
  if (format !== FORMAT) throw corrupt(path, 'it names no format');
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) throw corrupt(path, 'it has no id');
  return id;
}

async function createFormat(folder: string): Promise<string> {
  const id = randomBytes(16).toString('hex');
  await writeFileDurably(join(folder, FORMAT_FILE), `${JSON.stringify({ format: FORMAT, id })}\n`);
  return id;
}

function corrupt(path: string, reason: string): WormholeError {
  return new WormholeError('corrupt', `${path} is damaged (${reason}): put it back, or move the store away`);
}
