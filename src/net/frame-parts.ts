import { LIMITS, WormholeError } from '../base/index.js';

/** Puts a frame together that came in parts, within the limits of one that came whole. */
export class FrameParts {
  private parts: Uint8Array[] = [];
  private bytes = 0;

  /** @returns the whole frame with its last part. @throws WormholeError `protocol` */
  add(part: { last: boolean; bytes: Uint8Array }): Uint8Array | undefined {
    this.parts.push(part.bytes);
    this.bytes += part.bytes.length;
    if (this.bytes > LIMITS.frameBytesMax || this.parts.length > LIMITS.framePartsMax + 1)
      throw new WormholeError('protocol', 'the parts of a frame are too many');
    if (!part.last) return undefined;
    const whole = Buffer.concat(this.parts, this.bytes);
    this.parts = [];
    this.bytes = 0;
    return whole;
  }
}
