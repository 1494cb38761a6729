import { LIMITS, sha256, WormholeError } from '../../base/index.js';
import type { FileChunks } from '../chunks/file-chunks.js';
import { pack } from '../chunks/packing.js';
import type { ChunkId, ChunkRef, ContentId } from '../content.js';
import { Layout } from '../layout.js';
import { encodeManifest, MANIFEST, packEntries } from '../manifest.js';
import { unpackShape } from '../staging/staged-state.js';
import { DraftFiles } from './draft-files.js';
import type { PublishRequest, PublishResult } from './messages.js';
import { type DraftLayouts, type Piece, recut } from './recut.js';

/** Bytes being written to chunk files while the next chunks are cut. */
const STORING_BYTES_MAX = 8 * 1024 * 1024;
/** Chunk files written and synced at once. */
const STORING_MAX = 4;

export type Ask = (kind: 'chunk' | 'pin', id: ChunkId) => Promise<Uint8Array | undefined>;

/** One publication: re-cuts, hashes, stores, and lists what came out. */
export class Job {
  private readonly request: PublishRequest;
  private readonly chunks: FileChunks;
  private readonly ask: Ask;
  private readonly layouts: DraftLayouts;
  private readonly parts: Uint8Array[] = [];
  private pendingHole = 0;
  private readonly small = new Map<ChunkId, Uint8Array>();
  /** Large chunks that are stored or being stored. */
  private readonly begun = new Set<ChunkId>();
  private readonly storing = new Set<Promise<void>>();
  private storingBytes = 0;
  private failure: unknown;
  private cancelled = false;
  private newChunks = 0;
  private newBytes = 0;

  constructor(request: PublishRequest, chunks: FileChunks, ask: Ask) {
    this.request = request;
    this.chunks = chunks;
    this.ask = ask;
    const borrowed = request.borrowed.map(([file, packed]): [number, Layout] => [file, new Layout(packed)]);
    this.layouts = { base: new Layout(request.base), borrowed: new Map(borrowed) };
  }

  cancel(): void {
    this.cancelled = true;
  }

  /** @throws WormholeError `full` | `io` | `unreachable` | `corrupt` | `interrupted` */
  async run(): Promise<PublishResult> {
    const shape = unpackShape(this.request.shape);
    const files = new DraftFiles(shape, this.layouts, this.request.files, (id) => this.fetch(id));
    try {
      for await (const piece of recut(shape, this.layouts, files)) {
        this.check();
        await this.take(piece);
      }
      this.endHole();
      const content = await this.name(Buffer.concat(this.parts));
      await this.stored(0);
      await this.chunks.flush();
      const small = [...this.small].map(([id, bytes]) => ({ id, bytes }));
      return { content, size: shape.size, small, newChunks: this.newChunks, newBytes: this.newBytes };
    } finally {
      await Promise.allSettled(this.storing);
      files.close();
    }
  }

  private async take(piece: Piece): Promise<void> {
    if ('hole' in piece) {
      this.pendingHole += piece.hole;
      return;
    }
    this.endHole();
    if ('reuse' in piece) {
      const { layout, from, to } = piece.reuse;
      this.parts.push(layout.packed.subarray(from * MANIFEST.entryBytes, to * MANIFEST.entryBytes));
    } else this.parts.push(packEntries([await this.add(piece.chunk)]));
  }

  private endHole(): void {
    if (this.pendingHole > 0) this.parts.push(packEntries([{ id: '', length: this.pendingHole }]));
    this.pendingHole = 0;
  }

  /** Names the content, and stores its manifests where it has more than one chunk. */
  private async name(packed: Buffer): Promise<ContentId> {
    if (packed.length === 0) return '';
    const layout = new Layout(packed);
    const first = layout.entry(0);
    if (layout.count === 1 && first.id !== '') return `c${first.id}`;
    const partBytes = MANIFEST.entriesMax * MANIFEST.entryBytes;
    const lists: ChunkRef[] = [];
    for (let at = 0; at < packed.length; at += partBytes) {
      const entries = packed.subarray(at, at + partBytes);
      const { id } = await this.add(encodeManifest({ level: 0, entries }));
      lists.push({ id, length: new Layout(entries).size });
    }
    if (lists.length === 1) return `m${lists[0]?.id}`;
    const top = await this.add(encodeManifest({ level: 1, entries: packEntries(lists) }));
    return `m${top.id}`;
  }

  /** Hashes a chunk and begins to store it. */
  private async add(bytes: Uint8Array): Promise<ChunkRef> {
    const id = sha256(bytes);
    if (bytes.length <= LIMITS.smallFileBytesMax) {
      // As a view it would take the whole window along to the other thread.
      this.small.set(id, Uint8Array.from(bytes));
    } else if (!this.begun.has(id)) {
      this.begun.add(id);
      await this.stored(STORING_BYTES_MAX - bytes.length);
      const stored: Promise<void> = this.store(id, bytes)
        .catch((error) => {
          this.failure ??= error;
        })
        .finally(() => {
          this.storing.delete(stored);
          this.storingBytes -= bytes.length;
        });
      this.storing.add(stored);
      this.storingBytes += bytes.length;
    }
    return { id, length: bytes.length };
  }

  /** What lies there under this id may be evictable, not yet durable, or rotten. */
  private async store(id: ChunkId, bytes: Uint8Array): Promise<void> {
    await this.ask('pin', id);
    if (this.chunks.has(id)) {
      const present = await this.chunks.get(id);
      if (present !== undefined && Buffer.compare(present, bytes) === 0) return this.chunks.harden(id);
    }
    const stored = pack(bytes);
    await this.chunks.put(id, bytes, { durable: true, stored });
    this.newChunks++;
    this.newBytes += stored.length;
  }

  /** Resolves when no more than so many bytes are being stored. */
  private async stored(bytesMax: number): Promise<void> {
    while (this.storing.size > 0 && (this.storingBytes > bytesMax || this.storing.size >= STORING_MAX)) {
      await Promise.race(this.storing);
    }
    this.check();
  }

  /** From the disk where it is right there: the main thread remembers what it reads, for its readers. What is wrong or
   *  missing is for that one to mend. */
  private async fetch(id: ChunkId): Promise<Uint8Array> {
    const here = await this.chunks.get(id).catch(() => undefined);
    if (here !== undefined && sha256(here) === id) return here;
    return (await this.ask('chunk', id)) ?? new Uint8Array(0);
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.cancelled) throw new WormholeError('interrupted', 'the publication was given up');
  }
}
