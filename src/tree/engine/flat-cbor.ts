/**
 * Reads the CBOR of our records: one array of integers, texts, byte strings, nulls and maps of text to bytes.
 * Members may be hostile: whatever the bytes say, no more is allocated than they hold, and nothing is thrown.
 */
export type FlatValue = number | bigint | string | Uint8Array | null | Map<string, Uint8Array>;

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The items of the array, or undefined when the bytes are anything else. */
export function decodeFlat(bytes: Uint8Array): FlatValue[] | undefined {
  const reader = new Reader(bytes);
  try {
    const items = reader.array();
    return reader.atEnd() ? items : undefined;
  } catch {
    return undefined;
  }
}

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    // Not a Buffer, whose slices would be views.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  atEnd(): boolean {
    return this.at === this.bytes.length;
  }

  array(): FlatValue[] {
    const [major, length] = this.head();
    if (major !== 4) throw new RangeError('not an array');
    const items: FlatValue[] = [];
    for (let i = this.small(length); i > 0; i--) items.push(this.item());
    return items;
  }

  private item(): FlatValue {
    if (this.bytes[this.at] === 0xf6) {
      this.at++;
      return null;
    }
    const [major, value] = this.head();
    if (major === 0) return value;
    if (major === 1) return typeof value === 'bigint' ? -1n - value : -1 - value;
    if (major === 2) return this.take(this.small(value)).slice();
    if (major === 3) return text.decode(this.take(this.small(value)));
    if (major === 5) return this.map(this.small(value));
    throw new RangeError('not one of ours');
  }

  private map(length: number): Map<string, Uint8Array> {
    const map = new Map<string, Uint8Array>();
    for (let i = 0; i < length; i++) {
      const [key, value] = [this.item(), this.item()];
      if (typeof key !== 'string' || !(value instanceof Uint8Array)) throw new RangeError('not one of ours');
      map.set(key, value);
    }
    return map;
  }

  /** Major type and argument. */
  private head(): [number, number | bigint] {
    const first = this.view.getUint8(this.at++);
    const [major, low] = [first >> 5, first & 31];
    if (low < 24) return [major, low];
    if (low > 27) throw new RangeError('indefinite length');
    const width = 1 << (low - 24);
    const at = this.at;
    this.at += width;
    if (width === 1) return [major, this.view.getUint8(at)];
    if (width === 2) return [major, this.view.getUint16(at)];
    if (width === 4) return [major, this.view.getUint32(at)];
    const wide = this.view.getBigUint64(at);
    return [major, wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide];
  }

  /** A length that the rest of the bytes can hold: each item takes at least one byte. */
  private small(length: number | bigint): number {
    if (typeof length === 'bigint' || length > this.bytes.length - this.at) throw new RangeError('too long');
    return length;
  }

  private take(length: number): Uint8Array {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
