import { encodeCbor } from '../base/cbor.js';

/** Byte strings from this size on are copied once, straight into the frame. */
const LARGE_BYTES = 4096;

/** Bytes before a long value that are nobody's: for whoever has to put a header before it. */
export const ROOM_BYTES = 14;
/** Such values are so long at least. */
const LONG_BYTES = 64 * 1024;

/**
 * Encodes a plain value as CBOR into one buffer. A general encoder grows its buffer and copies a chunk of file data
 * several times; here only what surrounds large byte strings goes through it. A long value has a buffer of its own,
 * with {@link ROOM_BYTES} before it and nothing behind it.
 */
export function encodeOnce(value: unknown): Buffer {
  const parts: Uint8Array[] = [];
  collect(value, parts);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length < LONG_BYTES) return Buffer.concat(parts, length);
  const bytes = Buffer.allocUnsafeSlow(ROOM_BYTES + length).subarray(ROOM_BYTES);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function collect(value: unknown, parts: Uint8Array[]): void {
  if (value instanceof Uint8Array && value.length >= LARGE_BYTES) {
    parts.push(header(2, value.length), value);
  } else if (Array.isArray(value) && value.some(holdsLargeBytes)) {
    parts.push(header(4, value.length));
    for (const item of value) collect(item, parts);
  } else if (isPlainObject(value) && Object.values(value).some(holdsLargeBytes)) {
    const entries = Object.entries(value);
    parts.push(header(5, entries.length));
    for (const [key, item] of entries) {
      parts.push(encodeCbor(key));
      collect(item, parts);
    }
  } else {
    parts.push(encodeCbor(value));
  }
}

function holdsLargeBytes(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length >= LARGE_BYTES;
  if (Array.isArray(value)) return value.some(holdsLargeBytes);
  return isPlainObject(value) && Object.values(value).some(holdsLargeBytes);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The initial bytes of a CBOR byte string (2), array (4) or map (5) of this length. */
function header(major: 2 | 4 | 5, length: number): Uint8Array {
  if (length < 24) return Uint8Array.of((major << 5) | length);
  const bytes = Buffer.alloc(5);
  bytes[0] = (major << 5) | 26;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
