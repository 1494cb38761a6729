import type { ChunkId, ContentId } from '../content.js';
import { Fingerprints } from './fingerprints.js';

/**
 * What was asked for, stored or published here lately: since the round before the present one began. Nothing of
 * it is collected, whatever the tree says, for its name may be on its way. Kept in memory only: a crash ends the
 * round too, and nothing is ever removed in the round that first found it without a name.
 */
export class Claims {
  private now = { chunks: new Fingerprints(), contents: new Set<ContentId>() };
  private before = this.now;
  /** Rises with every content of many chunks. */
  stamp = 0;

  /** The chunk is here, and is counted on from now on. */
  chunk(id: ChunkId): void {
    this.now.chunks.add(id);
  }

  /** The content is about to be named. */
  content(content: ContentId): void {
    if (content.startsWith('m')) {
      this.now.contents.add(content);
      this.stamp++;
    } else if (content !== '') this.now.chunks.add(content.slice(1));
  }

  has(id: ChunkId): boolean {
    return this.now.chunks.has(id) || this.before.chunks.has(id);
  }

  /** Contents of many chunks among what was claimed. */
  contents(): Iterable<ContentId> {
    return new Set([...this.before.contents, ...this.now.contents]);
  }

  /** A round begins: what was claimed before the last one is no longer remembered. */
  turn(): void {
    this.before = this.now;
    this.now = { chunks: new Fingerprints(), contents: new Set() };
  }
}
