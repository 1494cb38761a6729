import { LIMITS, WormholeError } from '../../base/index.js';

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Refuses what no file system takes as the name of a new entry.
 *  @throws WormholeError `invalid` | `name-too-long` | `bad-name` */
export function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new WormholeError('invalid', `${JSON.stringify(name)} cannot be the name of an entry`);
  }
  // A character takes at most three bytes a UTF-16 unit: most names need no counting.
  if (name.length * 3 > LIMITS.nameBytesMax && Buffer.byteLength(name, 'utf8') > LIMITS.nameBytesMax) {
    throw new WormholeError('name-too-long', `a name is longer than ${LIMITS.nameBytesMax} bytes`);
  }
  if (LONE_SURROGATE.test(name)) {
    throw new WormholeError('bad-name', `${JSON.stringify(name)} is not well-formed Unicode`);
  }
}
