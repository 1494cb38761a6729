/** Larger pieces get a buffer of their own. */
const PIECE_BYTES_MAX = 16 * 1024;
const SLAB_BYTES = 256 * 1024;

/** Cuts small buffers from larger ones: a buffer of its own costs more to make than most small files to write. */
export class Slab {
  private rest = Buffer.alloc(0);

  /** Bytes of any content. */
  take(length: number): Buffer {
    if (length > PIECE_BYTES_MAX) return Buffer.allocUnsafeSlow(length);
    if (length > this.rest.length) this.rest = Buffer.allocUnsafeSlow(SLAB_BYTES);
    const piece = this.rest.subarray(0, length);
    this.rest = this.rest.subarray(length);
    return piece;
  }
}
