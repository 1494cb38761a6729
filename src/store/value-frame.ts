import { crc32 } from 'node:zlib';
import { WormholeError } from '../base/index.js';

// The database has no checksums of its own. Each value carries one over its key and itself, so that a rotten
// row is an error and not a wrong answer (contract D8).
const checkBytes = 4;

export function frameValue(key: string, value: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(value.length + checkBytes);
  framed.set(value);
  framed.writeUInt32LE(crc32(value, crcOfKey(key)), value.length);
  return framed;
}

/** The CRC-32 of anything that is followed by its own CRC-32. */
const RESIDUE = 0x2144df1c;

export function rottenRow(): WormholeError {
  return new WormholeError(
    'corrupt',
    'a row of the database is damaged: stop and start this pod, which repairs it',
  );
}

/** What was put, or undefined where it is that no longer. */
export function unframeValue(key: string, framed: Uint8Array): Uint8Array | undefined {
  const isWhole = framed.length >= checkBytes && crc32(framed, crcOfKey(key)) === RESIDUE;
  return isWhole ? framed.subarray(0, framed.length - checkBytes) : undefined;
}

const POLYNOMIAL = 0xedb88320;
const CRC_OF_BYTE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** The CRC-32 of a key's UTF-8. Keys are short: a call into zlib takes longer than the key itself. */
function crcOfKey(key: string): number {
  let crc = -1;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code > 0x7f) return crc32(key);
    crc = (CRC_OF_BYTE[(crc ^ code) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Copies values out of the buffer that lmdb uses for the next one, too, into Node's pool of small buffers. */
export const valueEncoder = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (bytes: Uint8Array): Uint8Array => {
    const copy = Buffer.allocUnsafe(bytes.length); // lmdb sets `length`; the buffer itself is longer
    copy.set(bytes.subarray(0, copy.length));
    return copy;
  },
};
