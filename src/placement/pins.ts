import { setImmediate } from 'node:timers/promises';
import type { ChunkId, ContentStore } from '../content/index.js';
import { Fingerprints } from '../content/index.js';
import { type InodeId, ROOT, type Tree } from '../tree/index.js';
import { type FileContent, fileOf } from './content-source.js';
import type { Notes } from './notes.js';

const PREFIX = 'pin ';
const PAGE = 256;
/** Folders from an inode up to the root; a path has at most 4,096 bytes. */
const DEPTH_MAX = 2_048;

/** Files and folders that are to be here wholly, whatever else belongs here. */
export class Pins {
  private readonly tree: Pick<Tree, 'node' | 'list'>;
  private readonly notes: Notes;
  private readonly inodes: Set<InodeId>;
  /** Rises with every change. */
  stamp = 0;

  constructor(tree: Pick<Tree, 'node' | 'list'>, notes: Notes) {
    this.tree = tree;
    this.notes = notes;
    this.inodes = new Set(notes.list(PREFIX).map(({ key }) => key.slice(PREFIX.length)));
  }

  get any(): boolean {
    return this.inodes.size > 0;
  }

  async add(inode: InodeId): Promise<void> {
    this.inodes.add(inode);
    this.stamp++;
    await this.notes.write([{ key: `${PREFIX}${inode}`, value: '' }]);
  }

  /** @returns false when this very inode was not pinned */
  async remove(inode: InodeId): Promise<boolean> {
    this.stamp++;
    if (!this.inodes.delete(inode)) return false;
    await this.notes.write([{ key: `${PREFIX}${inode}` }]);
    return true;
  }

  /** The inode itself, or the folder above it, that is pinned. */
  pinnedAt(inode: InodeId): InodeId | undefined {
    if (this.inodes.size === 0) return undefined;
    let at: InodeId = inode;
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      if (this.inodes.has(at)) return at;
      const node = this.tree.node(at);
      if (node === undefined || at === ROOT) return undefined;
      at = node.parent;
    }
    return undefined;
  }

  /** Every file at or below an inode. */
  async *filesBelow(inode: InodeId): AsyncIterable<FileContent> {
    const node = this.tree.node(inode);
    const file = fileOf(node);
    if (file !== undefined) yield file;
    if (node?.kind !== 'directory') return;
    for (let after: string | undefined; ; ) {
      const page = this.tree.list(node.id, after, PAGE);
      for (const entry of page) {
        if (entry.kind === 'directory' || entry.kind === 'file') yield* this.filesBelow(entry.inode);
      }
      after = page.at(-1)?.name;
      if (page.length < PAGE) return;
      await setImmediate();
    }
  }

  /** The chunks of everything that is pinned; what is not known here has no chunks here either, but its list. */
  async chunks(content: Pick<ContentStore, 'chunksOf' | 'presence'>): Promise<{ has(id: ChunkId): boolean }> {
    const chunks = new Fingerprints();
    for (const inode of this.inodes) {
      for await (const file of this.filesBelow(inode)) {
        chunks.add(file.content.slice(1));
        if (!file.content.startsWith('m')) continue;
        for (const { id } of await content.chunksOf(file.content, file.size)) chunks.add(id);
      }
    }
    return chunks;
  }
}
