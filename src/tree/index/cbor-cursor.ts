/**
 * Goes over the CBOR that `encodeCbor` wrote, taking what is asked for and passing over the rest. One cursor serves
 * many records, so that reading a million of them makes no garbage but what is taken.
 */
export class CborCursor {
  private buffer: Buffer = Buffer.alloc(0);
  private at = 0;

  /** Begins with another record. */
  open(bytes: Uint8Array): void {
    this.buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  /** Where the next item begins, to come back to with {@link goTo}. */
  get place(): number {
    return this.at;
  }

  goTo(place: number): void {
    this.at = place;
  }

  /** Items of the array that begins here; undefined: it is no array, and nothing was passed. */
  array(): number | undefined {
    return this.lengthOf(ARRAY);
  }

  /** The number here; one beyond 53 bits comes as the nearest. NaN: it is no number. */
  number(): number {
    const first = this.buffer[this.at++] as number;
    if (first < 24) return first;
    const major = first >> 5;
    if (major === UNSIGNED) return this.argument(first & 31);
    if (major === NEGATIVE) return -1 - this.argument(first & 31);
    if (first === FLOAT64) {
      this.at += 8;
      return this.buffer.readDoubleBE(this.at - 8);
    }
    this.at--;
    this.skip();
    return Number.NaN;
  }

  /** The text here; undefined: it is none, and nothing was passed. */
  text(): string | undefined {
    const length = this.lengthOf(TEXT);
    if (length === undefined) return undefined;
    this.at += length;
    return this.buffer.toString('utf8', this.at - length, this.at);
  }

  /** The byte string here, as a view; undefined: it is none, and nothing was passed. */
  bytes(): Buffer | undefined {
    const length = this.lengthOf(BYTES);
    if (length === undefined) return undefined;
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  skip(items = 1): void {
    for (let left = items; left > 0; left--) {
      const first = this.buffer[this.at++] as number;
      const major = first >> 5;
      const argument = this.argument(first & 31);
      if (major === BYTES || major === TEXT) this.at += argument;
      else if (major === ARRAY) left += argument;
      else if (major === MAP) left += 2 * argument;
      else if (major === TAG) left++;
    }
  }

  /** Passes the head of an item of this major type, and tells its length; undefined: it is of another one. */
  private lengthOf(major: number): number | undefined {
    const first = this.buffer[this.at] as number;
    if (first >> 5 !== major) return undefined;
    this.at++;
    return this.argument(first & 31);
  }

  /** Of an item whose first byte was passed; of a number it is the number. */
  private argument(low: number): number {
    if (low < 24) return low;
    // By hand: Buffer's own readers check more than this takes.
    const { buffer } = this;
    let value = 0;
    for (let bytes = 1 << (low - 24); bytes > 0; bytes--) value = value * 256 + (buffer[this.at++] as number);
    return value;
  }
}

/** Major types (RFC 8949, section 3.1). */
const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;
const FLOAT64 = 0xfb;
