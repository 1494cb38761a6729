import { diskError, messageOf, WormholeError } from '../base/index.js';
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
  const what = `the database ${path}`;
  const code = (cause as { code?: unknown } | null)?.code;
  // LMDB calls it EIO, too, when the disk took only a part of what it wrote.
  const full = code === ENOSPC || code === EDQUOT || (code === EIO && isDiskFull(path));
  if (full) return diskError(what, Object.assign(new Error(messageOf(cause)), { code: 'ENOSPC', cause }));
  if (typeof code === 'number' && DAMAGED.has(code)) {
    const message = `${what} is damaged: stop and start this pod, which repairs it`;
    return new WormholeError('corrupt', message, { cause });
  }
  return diskError(what, cause);
}
