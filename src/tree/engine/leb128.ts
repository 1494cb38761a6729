/** Numbers of seven bits a byte, as Automerge's formats have them. @throws RangeError beyond the end */
export class Leb128Reader {
  at: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The next bytes, as a view. */
  take(length: number): Uint8Array {
    this.skip(length);
    return this.bytes.subarray(this.at - length, this.at);
  }

  skip(length: number): void {
    this.at += length;
    if (this.at > this.bytes.length) throw new RangeError('cut short');
  }

  unsigned(): number {
    return this.number(false);
  }

  signed(): number {
    return this.number(true);
  }

  private number(signed: boolean): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RangeError('cut short');
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return signed && (byte & 64) !== 0 ? value - scale : value;
    }
    throw new RangeError('number too long');
  }
}
