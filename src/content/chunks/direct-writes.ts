import { close, constants, ftruncate, open, rmSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { LIMITS, Semaphore } from '../../base/index.js';

const openFile = promisify(open);
const writePart = promisify(write);
const cutFile = promisify(ftruncate);
const closeFile = promisify(close);

/** What disks want of the length of such a write, and of its place in memory and in the file. */
const BLOCK_BYTES = 4096;
const WASM_PAGE_BYTES = 64 * 1024;
/** Writes at the same time, each with room for the largest chunk; memory is taken when it is first used. */
const SLOTS = 6;
const SLOT_BYTES = LIMITS.chunkBytesMax;
/** Smaller files gain too little. */
const BYTES_MIN = 128 * 1024;

/**
 * Writes files past the kernel's page cache. A chunk that was fetched to be read is in memory and in the pages of its
 * reader; a third copy would cost more processor time than all of the encryption, and push out pages that somebody
 * needs. Such a write takes only memory that begins with a page, which JavaScript gets from WebAssembly alone.
 */
export class DirectWrites {
  private readonly turns = new Semaphore(SLOTS);
  private slots: Buffer[] | undefined;
  private supported = constants.O_DIRECT !== undefined;

  /** Makes a new file with these bytes. @returns false, and there is no such file, where that cannot be done
   *  @throws the system's error; there may be a part of the file then */
  async write(path: string, bytes: Uint8Array, mode: number): Promise<boolean> {
    if (!this.supported || bytes.length < BYTES_MIN || bytes.length > SLOT_BYTES) return false;
    try {
      await this.turns.run(() => this.writeNow(path, bytes, mode));
      return true;
    } catch (error) {
      // EINVAL: this file system does not know such writes. RangeError: no such memory is to be had.
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL' && !(error instanceof RangeError)) throw error;
      this.supported = false;
      rmSync(path, { force: true });
      return false;
    }
  }

  private async writeNow(path: string, bytes: Uint8Array, mode: number): Promise<void> {
    const { O_CREAT, O_DIRECT, O_EXCL, O_WRONLY } = constants;
    this.slots ??= makeSlots();
    const { slots } = this;
    const descriptor = await openFile(path, O_CREAT | O_EXCL | O_WRONLY | O_DIRECT, mode);
    const slot = slots.pop() as Buffer;
    try {
      const length = Math.ceil(bytes.length / BLOCK_BYTES) * BLOCK_BYTES;
      slot.set(bytes);
      slot.fill(0, bytes.length, length);
      for (let at = 0; at < length; ) {
        at += (await writePart(descriptor, slot, at, length - at, at)).bytesWritten;
      }
      if (length > bytes.length) await cutFile(descriptor, bytes.length);
    } finally {
      slots.push(slot);
      await closeFile(descriptor);
    }
  }
}

/** Node has it; its types are among those of browsers, which are not loaded here. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

/** One for each turn. */
function makeSlots(): Buffer[] {
  const pages = (SLOTS * SLOT_BYTES) / WASM_PAGE_BYTES;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return Array.from({ length: SLOTS }, (_, i) => Buffer.from(buffer, i * SLOT_BYTES, SLOT_BYTES));
}
