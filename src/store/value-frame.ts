import { crc32 } from 'node:zlib';
import { WormholeError } from '../base/index.js';

// The database has no checksums of its own. Each value carries one over its key and itself, so that a rotten
// row is an error and not a wrong answer (contract D8).
const checkBytes = 4;

export function frameValue(key: string, value: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(value.length + checkBytes);
  framed.set(value);
  framed.writeUInt32LE(crc32(value, crc32(key)), value.length);
  return framed;
}

/** @throws WormholeError `corrupt` */
export function unframeValue(key: string, framed: Uint8Array): Uint8Array {
  const length = framed.length - checkBytes;
  if (length >= 0) {
    const value = framed.subarray(0, length);
    const check = crc32(value, crc32(key));
    let stored = 0;
    for (let i = checkBytes - 1; i >= 0; i--) stored = stored * 256 + (framed[length + i] as number);
    if (stored === check) return value;
  }
  throw new WormholeError('corrupt', 'a row of the database is damaged: run wh fsck');
}
