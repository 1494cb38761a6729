import { base32, LIMITS, sha256Bytes } from '../../base/index.js';

/** Names up to this many UTF-16 units cannot exceed {@link LIMITS.nameBytesMax}: each takes three bytes at most. */
const SURELY_SHORT = Math.floor(LIMITS.nameBytesMax / 3);
/** Characters of base32 that stand for what was cut away: 128 bits, so that nobody finds two names with one. */
const FINGERPRINT_LENGTH = 26;
/** What {@link cutWithFingerprint} adds. */
export const FINGERPRINT_BYTES = FINGERPRINT_LENGTH + 1;

/** The name under which a name of the document is shown: itself, unless no file system could show it. */
export function safeName(name: string): string {
  if (name.length > 2 && name.length <= SURELY_SHORT && isPlain(name)) return name;
  return repair(name);
}

function repair(name: string): string {
  if (name === '') return '%';
  if (name === '.' || name === '..') return name.replaceAll('.', '%2E');
  const whole = name.toWellFormed().replaceAll('/', '%2F').replaceAll('\0', '%00');
  if (Buffer.byteLength(whole) <= LIMITS.nameBytesMax) return whole;
  return cutWithFingerprint(whole, LIMITS.nameBytesMax);
}

/** Neither a slash, nor NUL, nor half a surrogate pair (a whole pair is taken for one: that only costs time). */
function isPlain(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit === 0 || unit === 0x2f || (unit >= 0xd800 && unit < 0xe000)) return false;
  }
  return true;
}

/** The beginning of a text, cut between characters, and a fingerprint of the `whole`: at most `bytesMax` bytes. */
export function cutWithFingerprint(text: string, bytesMax: number, whole: string = text): string {
  const fingerprint = base32(sha256Bytes(Buffer.from(whole))).slice(0, FINGERPRINT_LENGTH);
  return `${cut(text, bytesMax - FINGERPRINT_BYTES)}~${fingerprint}`;
}

/** As many whole characters as fit into `bytesMax` bytes of UTF-8. */
function cut(text: string, bytesMax: number): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    end += character.length;
  }
  return text.slice(0, end);
}
