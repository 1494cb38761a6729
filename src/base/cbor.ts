import { Encoder } from 'cbor-x';
import { WormholeError } from './errors.js';

// Plain CBOR (RFC 8949): no records, no shared structures, byte strings as Uint8Array without a tag, so that
// any other implementation reads what we write.
const codec = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  variableMapSize: true,
  structuredClone: false,
});

/** Encodes a plain value. The result is a copy of its own and may be kept. */
export function encodeCbor(value: unknown): Buffer {
  return codec.encode(value);
}

/** Decodes one value and refuses trailing bytes. Byte strings may be views into `bytes`.
 *  @throws WormholeError `protocol` when `bytes` is not one whole CBOR value */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new WormholeError('protocol', 'these bytes are not valid CBOR', { cause });
  }
}
