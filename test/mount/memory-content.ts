/** Bytes at offsets, in blocks that exist once something was written to them; the rest reads as zeros. */
export class MemoryContent {
  private readonly blocks = new Map<number, Buffer>();

  read(offset: number, length: number): Uint8Array {
    const first = Math.floor(offset / BLOCK_BYTES);
    const within = offset - first * BLOCK_BYTES;
    if (within + length <= BLOCK_BYTES) {
      const block = this.blocks.get(first);
      if (block !== undefined && block.length >= within + length)
        return block.subarray(within, within + length);
    }
    const bytes = Buffer.alloc(length);
    this.each(offset, length, (index, from, to, at) => {
      // A block may be shorter than what is asked of it.
      const block = this.blocks.get(index);
      if (block !== undefined && from < block.length) block.copy(bytes, at, from, to);
    });
    return bytes;
  }

  write(offset: number, data: Uint8Array): void {
    this.each(offset, data.length, (index, from, to, at) => {
      this.block(index, to).set(data.subarray(at, at + to - from), from);
    });
  }

  truncate(size: number): void {
    for (const [index, block] of this.blocks) {
      const keep = size - index * BLOCK_BYTES;
      if (keep <= 0) this.blocks.delete(index);
      else if (keep < block.length) block.fill(0, keep);
    }
  }

  private each(
    offset: number,
    length: number,
    visit: (index: number, from: number, to: number, at: number) => void,
  ): void {
    for (let done = 0; done < length; ) {
      const index = Math.floor((offset + done) / BLOCK_BYTES);
      const from = offset + done - index * BLOCK_BYTES;
      const to = Math.min(BLOCK_BYTES, from + length - done);
      visit(index, from, to, done);
      done += to - from;
    }
  }

  /** The block with room for at least `size` bytes; small files take small blocks. */
  private block(index: number, size: number): Buffer {
    const found = this.blocks.get(index);
    if (found !== undefined && found.length >= size) return found;
    const larger = Buffer.alloc(Math.min(BLOCK_BYTES, Math.max(size, (found?.length ?? 0) * 2)));
    found?.copy(larger);
    this.blocks.set(index, larger);
    return larger;
  }
}

const BLOCK_BYTES = 1024 * 1024;
