import type { ChunkId } from '../content.js';
import { MANIFEST } from '../manifest.js';

const SLOTS_MIN = 1024;

/**
 * A set of chunk ids in 8 bytes each: of the hash only the first 64 bits count. Of a million ids one in 10^13 is
 * taken for another, and then a chunk stays that could go: the error is on the safe side.
 */
export class Fingerprints {
  /** Two words a slot; both zero: free. */
  private words = new Uint32Array(2 * SLOTS_MIN);
  private used = 0;

  get size(): number {
    return this.used;
  }

  add(id: ChunkId): void {
    this.put(Number.parseInt(id.slice(0, 8), 16), Number.parseInt(id.slice(8, 16), 16));
  }

  /** All chunks of a packed list of entries; holes are none. */
  addEntries(packed: Uint8Array): void {
    const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
    for (let at = 0; at < packed.length; at += MANIFEST.entryBytes) {
      const [high, low] = [view.getUint32(at), view.getUint32(at + 4)];
      if (high !== 0 || low !== 0) this.put(high, low);
    }
  }

  has(id: ChunkId): boolean {
    const [high, low] = [Number.parseInt(id.slice(0, 8), 16), Number.parseInt(id.slice(8, 16), 16)];
    const at = this.slot(high, low);
    return this.words[at] === high && this.words[at + 1] === low;
  }

  private put(high: number, low: number): void {
    const at = this.slot(high, low);
    if (this.words[at] === high && this.words[at + 1] === low) return;
    this.words[at] = high;
    this.words[at + 1] = low;
    this.used++;
    if (4 * this.used > this.words.length) this.grow();
  }

  /** The slot of a fingerprint, or the free one where it belongs. */
  private slot(high: number, low: number): number {
    const { words } = this;
    const mask = words.length - 1;
    // Hashes are even already. An id whose first 64 bits are zero is in every set: it stays.
    for (let at = (low << 1) & mask; ; at = (at + 2) & mask) {
      const taken = words[at] !== 0 || words[at + 1] !== 0;
      if (!taken || (words[at] === high && words[at + 1] === low)) return at;
    }
  }

  private grow(): void {
    const old = this.words;
    this.words = new Uint32Array(2 * old.length);
    for (let at = 0; at < old.length; at += 2) {
      const [high, low] = [old[at]!, old[at + 1]!];
      if (high === 0 && low === 0) continue;
      const place = this.slot(high, low);
      this.words[place] = high;
      this.words[place + 1] = low;
    }
  }
}
