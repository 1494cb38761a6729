import { LIMITS } from '../base/index.js';

/**
 * Where contents are cut, version 1. All of it is part of the format of content: pods that cut otherwise would
 * give equal bytes different names.
 */
export const CUTTING = {
  version: 1,
  minBytes: 256 * 1024,
  /** Before this size a cut is made unlikely, after it likely, so that sizes gather around it. */
  normalBytes: 1024 * 1024,
  maxBytes: LIMITS.chunkBytesMax,
  /** One cut in 2^22 bytes below the normal size, in 2^18 above it. */
  strictMask: 0xfffffc00 | 0,
  looseMask: 0xffffc000 | 0,
  seed: 0x57_6f_72_6d,
} as const;

const GEAR = gearTable(CUTTING.seed);

/**
 * Content-defined cutting: FastCDC with normalised chunking (Xia et al., USENIX ATC 2016) on a 32-bit gear hash,
 * of which the upper bits decide, so that the last 32 bytes count. A chunk's end depends on the bytes from its
 * own start only. Feed a chunk's bytes in pieces of any size; `reset` begins the next chunk.
 */
export class Cutter {
  private hash = 0;
  private length = 0;

  reset(): void {
    this.hash = 0;
    this.length = 0;
  }

  /** Scans `bytes[from..to)`, the chunk's next bytes.
   *  @returns the index after the chunk's last byte, or -1 when the chunk goes on after `to` */
  scan(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    if (this.length < CUTTING.minBytes) {
      // No cut can fall here, so nothing is looked at.
      at = Math.min(to, from + CUTTING.minBytes - this.length);
      this.length += at - from;
      if (this.length < CUTTING.minBytes) return -1;
    }
    const strictEnd = Math.min(to, at + Math.max(0, CUTTING.normalBytes - this.length));
    const cut = this.scanWith(CUTTING.strictMask, bytes, at, strictEnd);
    if (cut >= 0) return cut;
    this.length += strictEnd - at;
    const looseEnd = Math.min(to, strictEnd + CUTTING.maxBytes - this.length);
    const later = this.scanWith(CUTTING.looseMask, bytes, strictEnd, looseEnd);
    if (later >= 0) return later;
    this.length += looseEnd - strictEnd;
    return this.length === CUTTING.maxBytes ? looseEnd : -1;
  }

  private scanWith(mask: number, bytes: Uint8Array, from: number, to: number): number {
    let hash = this.hash;
    for (let at = from; at < to; at++) {
      hash = ((hash << 1) + GEAR[bytes[at]!]!) | 0;
      if ((hash & mask) === 0) {
        this.hash = hash;
        return at + 1;
      }
    }
    this.hash = hash;
    return -1;
  }
}

/** True when every byte is zero: such a chunk is a hole. */
export function isZero(bytes: Uint8Array): boolean {
  if (bytes.length === 0 || bytes[0] !== 0 || bytes[bytes.length - 1] !== 0) return false;
  return Buffer.compare(bytes.subarray(1), bytes.subarray(0, bytes.length - 1)) === 0;
}

/** 256 numbers from a seed by the splitmix32 generator. */
function gearTable(seed: number): Int32Array {
  const table = new Int32Array(256);
  let state = seed | 0;
  for (let i = 0; i < 256; i++) {
    state = (state + 0x9e3779b9) | 0;
    let value = state ^ (state >>> 16);
    value = Math.imul(value, 0x21f0aaad);
    value ^= value >>> 15;
    value = Math.imul(value, 0x735a2d97);
    table[i] = value ^ (value >>> 15);
  }
  return table;
}
