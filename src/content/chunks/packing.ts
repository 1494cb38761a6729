import { promisify } from 'node:util';
import { brotliCompressSync, brotliDecompress, brotliDecompressSync, constants } from 'node:zlib';
import { LIMITS, WormholeError } from '../../base/index.js';

const decompressInBackground = promisify(brotliDecompress);

/** 'whz', version 1: what follows is the length of the chunk (4 bytes) and the chunk, compressed by brotli. */
const MARK = Buffer.from([0x77, 0x68, 0x7a, 0x01]);
const HEADER_BYTES = MARK.length + 4;
/** A chunk is compressed as a whole only if these of its bytes, from its middle, get so much smaller. */
const SAMPLE_BYTES = 16 * 1024;
const PAYS_BELOW = 0.85;
/** Higher ones cost more time than the bytes are worth to a disk or a network. */
const QUALITY = 1;
/** The least that zlib takes. */
const CHUNK_SIZE_MIN = 64;

/** True for what is, or looks like, the packed form of a chunk. */
export function isPacked(stored: Uint8Array): boolean {
  return stored.length >= HEADER_BYTES && MARK.equals(stored.subarray(0, MARK.length));
}

/** The form in which a chunk is stored: packed where that pays, else as it is. This thread waits for it. */
export function pack(bytes: Uint8Array): Uint8Array {
  // One that looks packed would be taken for it.
  if (isPacked(bytes)) return packed(bytes);
  const middle = Math.max(0, (bytes.length - SAMPLE_BYTES) >> 1);
  const sample = bytes.subarray(middle, middle + SAMPLE_BYTES);
  if (compress(sample).length > PAYS_BELOW * sample.length) return bytes;
  const small = packed(bytes);
  return small.length < PAYS_BELOW * bytes.length ? small : bytes;
}

/** The chunk's own bytes. @throws WormholeError `corrupt` */
export async function unpack(stored: Uint8Array): Promise<Uint8Array> {
  try {
    return whole(stored, await decompressInBackground(stored.subarray(HEADER_BYTES), inOneGo(stored)));
  } catch (cause) {
    throw damaged(cause);
  }
}

/** As {@link unpack}; this thread waits for it. */
export function unpackNow(stored: Uint8Array): Uint8Array {
  try {
    return whole(stored, brotliDecompressSync(stored.subarray(HEADER_BYTES), inOneGo(stored)));
  } catch (cause) {
    throw damaged(cause);
  }
}

function compress(bytes: Uint8Array): Buffer {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return brotliCompressSync(bytes, { params });
}

function packed(bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MARK.copy(header);
  header.writeUInt32BE(bytes.length, MARK.length);
  return Buffer.concat([header, compress(bytes)]);
}

function whole(stored: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== lengthOf(stored)) throw damaged(undefined);
  return bytes;
}

/** Into one buffer, instead of many small ones that are put together. */
function inOneGo(stored: Uint8Array): { maxOutputLength: number; chunkSize: number } {
  const length = lengthOf(stored);
  return { maxOutputLength: length, chunkSize: Math.max(CHUNK_SIZE_MIN, length) };
}

/** No more memory than the largest chunk takes is ever given to what a stranger sent. */
function lengthOf(stored: Uint8Array): number {
  const length = Buffer.from(stored.buffer, stored.byteOffset, stored.length).readUInt32BE(MARK.length);
  if (length < 1 || length > LIMITS.chunkBytesMax) throw damaged(undefined);
  return length;
}

function damaged(cause: unknown): WormholeError {
  if (cause instanceof WormholeError) return cause;
  return new WormholeError('corrupt', 'a packed chunk cannot be unpacked', { cause });
}
