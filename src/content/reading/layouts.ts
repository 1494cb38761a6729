import { LRUCache } from 'lru-cache';
import { type Answer, isSha256, LIMITS, SingleFlight, then, WormholeError } from '../../base/index.js';
import type { Chunks } from '../chunks/chunks.js';
import type { ChunkRef, ContentId } from '../content.js';
import { Layout } from '../layout.js';
import { MalformedList } from '../malformed-list.js';
import { countEntries, decodeManifest, entryAt, MANIFEST, type Manifest } from '../manifest.js';
import type { ChunkReader } from './chunk-reader.js';
import { orAborted } from './interrupted.js';

/** Layouts of contents, read from their manifests and held in memory up to a limit. */
export class Layouts {
  private readonly reader: ChunkReader;
  private readonly chunks: Pick<Chunks, 'getNow'>;
  private readonly memory: LRUCache<ContentId, Layout>;
  private readonly loading = new SingleFlight<Layout>();

  constructor(reader: ChunkReader, chunks: Pick<Chunks, 'getNow'>) {
    this.reader = reader;
    this.chunks = chunks;
    this.memory = new LRUCache({
      maxSize: LIMITS.layoutMemoryBytesMax,
      maxEntrySize: Number.MAX_SAFE_INTEGER,
      sizeCalculation: (layout) => Math.min(layout.memoryBytes, LIMITS.layoutMemoryBytesMax),
    });
  }

  /** The layout of a content of a size that the caller knows.
   *  @throws WormholeError `corrupt` when the manifest is not one of a content of this size */
  get(content: ContentId, size: number, signal?: AbortSignal): Answer<Layout> {
    return then(this.load(content, size, signal), (layout) => {
      if (layout.size === size) return layout;
      throw new WormholeError('corrupt', `content ${content} has ${layout.size} bytes and not ${size}`);
    });
  }

  /** The layout of a manifest that is here with all below it; this thread may wait for the disk. */
  here(content: ContentId): Layout | undefined {
    const known = this.peek(content);
    if (known !== undefined || !isManifest(content)) return known;
    const bytes = this.chunks.getNow(content.slice(1));
    if (bytes === undefined) return undefined;
    const { level, entries } = decodeManifest(bytes);
    return level === 0 ? this.remember(content, layoutOf(content, bytes.length, entries, [])) : undefined;
  }

  /** The layout of a manifest if it can be had without waiting; nothing is fetched. */
  peek(content: ContentId): Layout | undefined {
    const known = this.memory.get(content);
    if (known !== undefined || !isManifest(content)) return known;
    const near = this.reader.peek(content.slice(1));
    if (near === undefined) return undefined;
    const { level, entries } = decodeManifest(near);
    return level === 0 ? this.remember(content, layoutOf(content, near.length, entries, [])) : undefined;
  }

  /** The layout of a content of any size (that of a single chunk is `size`). */
  load(content: ContentId, size: number, signal?: AbortSignal): Answer<Layout> {
    const known = Layout.ofName(content, size) ?? this.peek(content);
    if (known !== undefined) return known;
    if (!isManifest(content)) {
      throw new WormholeError('corrupt', `${JSON.stringify(content)} names no content`);
    }
    // Shared by all who ask, so that one who gives up does not take it from the others.
    const loading = this.loading.run(content, async () => {
      const bytes = await this.reader.read(content.slice(1), { urgent: true });
      return this.remember(content, await this.resolve(content, bytes.length, decodeManifest(bytes)));
    });
    return signal === undefined ? loading : orAborted(loading, signal);
  }

  private async resolve(content: ContentId, bytes: number, manifest: Manifest): Promise<Layout> {
    if (manifest.level === 0) return layoutOf(content, bytes, manifest.entries, []);
    const parts: Uint8Array[] = [];
    const below: ChunkRef[] = [];
    for (let i = 0; i < countEntries(manifest.entries); i++) {
      const entry = entryAt(manifest.entries, i);
      const part = await this.reader.read(entry.id, { urgent: true });
      const inner = decodeManifest(part);
      if (inner.level !== 0 || new Layout(inner.entries).size !== entry.length) throw corrupt(content);
      parts.push(inner.entries);
      below.push({ id: entry.id, length: part.length });
      if (parts.length * MANIFEST.entriesMax > LAYOUT_ENTRIES_MAX) throw corrupt(content);
    }
    return layoutOf(content, bytes, Buffer.concat(parts), below);
  }

  private remember(content: ContentId, layout: Layout): Layout {
    this.memory.set(content, layout);
    return layout;
  }
}

function isManifest(content: ContentId): boolean {
  return content.startsWith('m') && isSha256(content.slice(1));
}

/** A content of 16 TiB; a manifest that claims more is refused before it fills the memory. */
const LAYOUT_ENTRIES_MAX = 16 * 1024 * 1024;

/** The entries are copied: as views they would keep the manifest's chunk in memory. */
function layoutOf(content: ContentId, bytes: number, entries: Uint8Array, below: ChunkRef[]): Layout {
  return new Layout(Uint8Array.from(entries), [{ id: content.slice(1), length: bytes }, ...below]);
}

function corrupt(content: ContentId): WormholeError {
  return new MalformedList(`the lists of chunks of content ${content} contradict each other`);
}
