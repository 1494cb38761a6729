import { LIMITS, WormholeError } from '../base/index.js';

/**
 * Walks CBOR (RFC 8949) without building anything, and lets through only plain data: one value, of numbers,
 * texts, byte strings, arrays, maps, booleans, null and undefined, with definite lengths that the bytes can
 * hold, no tags, and limits on depth and count. What passes is decoded in time and memory in proportion to it.
 * @throws WormholeError `protocol` naming what is wrong
 */
export function checkCbor(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Values still to come at each level; a map counts its keys and its values. */
  const open: number[] = [];
  /** For each level, whether it is a map, whose keys must be texts or numbers. */
  const maps: boolean[] = [];
  let items = 0;
  let at = 0;
  let remaining = 1;
  let inMap = false;
  while (true) {
    while (remaining === 0) {
      if (open.length === 0) {
        if (at !== bytes.length) throw refused('there are bytes after the value');
        return;
      }
      remaining = open.pop() ?? 0;
      inMap = maps.pop() ?? false;
    }
    const isKey = inMap && remaining % 2 === 0;
    remaining--;
    if (++items > LIMITS.frameItemsMax) throw refused('it has too many values');
    if (at >= bytes.length) throw refused('it is cut short');
    const first = bytes[at++] ?? 0;
    const major = first >> 5;
    if (isKey && major > 1 && major !== 3) throw refused('a key is neither text nor number');
    if (major === 7) {
      at += simpleBytes(first & 31);
      if (at > bytes.length) throw refused('it is cut short');
      continue;
    }
    const width = widthOf(first & 31);
    if (at + width > bytes.length) throw refused('it is cut short');
    const value = width === 0 ? first & 31 : argumentAt(view, at, width);
    at += width;
    if (major <= 1) continue;
    if (major === 6) throw refused('tags are not part of the protocol');
    const left = bytes.length - at;
    if (major <= 3) {
      if (value > left) throw refused('a length is beyond its end');
      at += value;
      continue;
    }
    const children = major === 5 ? value * 2 : value;
    if (children > left) throw refused('a length is beyond its end');
    if (open.length >= LIMITS.frameDepthMax) throw refused('it is nested too deeply');
    open.push(remaining);
    maps.push(inMap);
    remaining = children;
    inMap = major === 5;
  }
}

/** Bytes that follow the initial byte of false, true, null, undefined and the floating-point numbers. */
function simpleBytes(info: number): number {
  if (info >= 20 && info <= 23) return 0;
  if (info >= 25 && info <= 27) return 1 << (info - 24);
  throw refused('it has a value of an unknown kind');
}

function widthOf(info: number): number {
  if (info < 24) return 0;
  if (info <= 27) return 1 << (info - 24);
  throw refused('a length is indefinite');
}

function argumentAt(view: DataView, at: number, width: number): number {
  if (width === 1) return view.getUint8(at);
  if (width === 2) return view.getUint16(at);
  if (width === 4) return view.getUint32(at);
  return Number(view.getBigUint64(at));
}

function refused(what: string): WormholeError {
  return new WormholeError('protocol', `a message is not plain CBOR: ${what}`);
}
