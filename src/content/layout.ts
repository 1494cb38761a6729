import { isSha256 } from '../base/index.js';
import type { ChunkRef, ContentId } from './content.js';
import { countEntries, entryAt, MANIFEST, packEntries } from './manifest.js';

/** Where the chunks of one content lie: its manifests' entries with random access by offset. Never changes. */
export class Layout {
  /** Bytes of the content. */
  readonly size: number;
  /** Entries. */
  readonly count: number;
  /** As in a manifest, of any number of entries. */
  readonly packed: Uint8Array;
  /** The manifests this was read from, the content's own first; none for a single chunk. */
  readonly manifests: readonly ChunkRef[];
  private readonly ends: Float64Array;

  constructor(packed: Uint8Array, manifests: readonly ChunkRef[] = []) {
    this.packed = packed;
    this.manifests = manifests;
    this.count = countEntries(packed);
    this.ends = new Float64Array(this.count);
    const view = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
    let end = 0;
    for (let i = 0; i < this.count; i++) {
      end += view.readUIntBE((i + 1) * MANIFEST.entryBytes - 6, 6);
      this.ends[i] = end;
    }
    this.size = end;
  }

  /** The layout that a content's name tells by itself, or undefined when a manifest must be read. */
  static ofName(content: ContentId, size: number): Layout | undefined {
    if (content === '') return EMPTY;
    if (!content.startsWith('c') || !isSha256(content.slice(1))) return undefined;
    return new Layout(packEntries([{ id: content.slice(1), length: size }]));
  }

  entry(index: number): ChunkRef {
    return entryAt(this.packed, index);
  }

  start(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1]!;
  }

  end(index: number): number {
    return this.ends[index]!;
  }

  /** The index of the entry that holds an offset below `size`. */
  find(offset: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ends[middle]! > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Bytes that this object holds in memory, roughly. */
  get memoryBytes(): number {
    return this.packed.length + this.ends.byteLength + 256;
  }
}

const EMPTY = new Layout(new Uint8Array(0));
