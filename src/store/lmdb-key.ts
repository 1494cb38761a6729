import { LIMITS, WormholeError } from '../base/index.js';

const keyBytesMax = LIMITS.databaseKeyBytesMax;

// A lone surrogate would be stored as U+FFFD, and two different keys would become one.
const LONE_SURROGATE = /[\uD800-\uDFFF]/u;

/**
 * Keys are stored as plain UTF-8 and compared byte by byte, without any terminator or escape, so that every
 * character, U+0000 too, keeps its place.
 */
export const keyEncoder = {
  writeKey: (key: string, target: Buffer, start: number): number => start + target.write(key, start, 'utf8'),
  readKey: (source: Buffer, start: number, end: number): string => source.toString('utf8', start, end),
};

/** The key before which no key comes (LMDB has no empty key). */
export const FIRST_KEY = '\u0000';

/** @throws WormholeError `invalid` for a key that the database could not give back as it was */
export function checkKey(key: string): void {
  if (key.length === 0) throw new WormholeError('invalid', 'a key of the database must not be empty');
  if (key.length * 3 > keyBytesMax && Buffer.byteLength(key) > keyBytesMax) {
    throw new WormholeError('invalid', `a key of the database has more than ${keyBytesMax} bytes`);
  }
  if (LONE_SURROGATE.test(key)) {
    throw new WormholeError('invalid', 'a key of the database is not well-formed Unicode');
  }
}
