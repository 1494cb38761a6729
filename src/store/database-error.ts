import { WormholeError } from '../base/index.js';
import { isFull } from './disk-full.js';
import { isDiskFull } from './lmdb-file.js';

/** LMDB's own codes that say that the file is not, or no longer, a sound database. */
const DAMAGED = new Set([
  -30797 /* page not found */, -30796 /* corrupted */, -30794 /* version mismatch */, -30793 /* invalid */,
]);
const EIO = 5;
const ENOSPC = 28;
const EDQUOT = 122;

/** The project's error for whatever lmdb threw; its errors carry LMDB's or the system's number as `code`. */
export function databaseError(cause: unknown, path: string): WormholeError {
  if (cause instanceof WormholeError) return cause;
  const code = (cause as { code?: unknown } | null)?.code;
  // LMDB calls it EIO, too, when the disk took only a part of what it wrote.
  if (code === ENOSPC || code === EDQUOT || isFull(cause) || (code === EIO && isDiskFull(path))) {
    return new WormholeError('full', `the disk of the database ${path} is full: free some space`, { cause });
  }
  if (typeof code === 'number' && DAMAGED.has(code)) {
    const message = `the database ${path} is damaged: move it away and start again, peers still hold the data`;
    return new WormholeError('corrupt', message, { cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new WormholeError('io', `the database ${path} could not be used (${reason}): check the disk`, {
    cause,
  });
}
