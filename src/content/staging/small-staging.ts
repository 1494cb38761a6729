import type { Space } from '../cache/space.js';
import type { Slab } from '../slab.js';

const CAPACITY_MIN = 4096;

/** A small file being written: all its bytes in memory. */
export class SmallStaging {
  private readonly space: Space;
  private readonly slab: Slab;
  private buffer: Buffer;
  private length: number;
  private claimed = 0;
  /** Rises with every change. */
  version = 0;
  /** The bytes were handed out for good and must be copied before the next change. */
  private shared: boolean;

  /** @param bytes what the file holds; it is not changed */
  constructor(bytes: Uint8Array, space: Space, slab: Slab) {
    this.space = space;
    this.slab = slab;
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.length = bytes.length;
    this.shared = true;
  }

  get size(): number {
    return this.length;
  }

  /** A view that is never changed afterwards. */
  bytes(): Buffer {
    this.shared = true;
    return this.buffer.subarray(0, this.length);
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.length);
    if (offset >= end) return new Uint8Array(0);
    // A view may be read after the next write, but not for long.
    return this.buffer.subarray(offset, end);
  }

  /** @throws WormholeError `full` */
  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    this.own(Math.max(end, this.length));
    this.version++;
    if (offset > this.length) this.buffer.fill(0, this.length, offset);
    this.buffer.set(data, offset);
    this.length = Math.max(this.length, end);
  }

  /** @throws WormholeError `full` */
  truncate(size: number): void {
    this.own(size);
    this.version++;
    if (size > this.length) this.buffer.fill(0, this.length, size);
    this.length = size;
  }

  /** Gives its claim on memory back. */
  release(): void {
    this.space.releaseMemory(this.claimed);
    this.claimed = 0;
  }

  /** Makes the buffer changeable and large enough. */
  private own(size: number): void {
    if (size > this.claimed) {
      this.space.claimMemory(size - this.claimed);
      this.claimed = size;
    }
    if (!this.shared && size <= this.buffer.length) return;
    const capacity = this.shared ? size : Math.max(size, 2 * this.buffer.length, CAPACITY_MIN);
    const buffer = this.slab.take(capacity);
    this.buffer.copy(buffer, 0, 0, Math.min(this.length, size));
    this.buffer = buffer;
    this.shared = false;
  }
}
