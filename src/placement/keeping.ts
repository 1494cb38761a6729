import { WormholeError } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { Collection } from './collection.js';
import type { Copier } from './copier.js';
import { type Freed, freeFiles } from './freeing.js';
import type { Pins } from './pins.js';
import type { Walker } from './walker.js';

export interface KeepingOptions {
  tree: Pick<Tree, 'pathOf'>;
  content: ContentStore;
  pins: Pins;
  copier: Copier;
  walker: Walker;
  collection: Collection;
}

/** What people ask to be here, and to be freed here. */
export class Keeping {
  private readonly options: KeepingOptions;

  constructor(options: KeepingOptions) {
    this.options = options;
  }

  /** Keeps a file, or all that is below a folder now or later, here. Resolves when what is there now is here.
   *  @throws WormholeError `interrupted`; it stays pinned */
  async pin(inode: InodeId, signal: AbortSignal): Promise<void> {
    const { pins, content, copier, walker } = this.options;
    await pins.add(inode);
    for await (const file of pins.filesBelow(inode)) {
      if (content.presence(file.content) === 'here') continue;
      if (!copier.add(file)) walker.walkLater();
    }
    await copier.allDone(signal);
    await content.flush();
  }

  /** What was here for that only may go from now on. @throws WormholeError `invalid` when it was not pinned itself */
  async unpin(inode: InodeId): Promise<void> {
    const { pins, tree } = this.options;
    if (await pins.remove(inode)) return;
    const above = pins.pinnedAt(inode);
    const sentence =
      above === undefined ? 'it is not pinned' : `${tree.pathOf(above)} above it is pinned: unpin that`;
    throw new WormholeError('invalid', `${tree.pathOf(inode)}: ${sentence}.`);
  }

  /** Frees the space that a file, or all below a folder, takes here and need not. */
  async evict(inode: InodeId): Promise<Freed> {
    const { content, pins, collection } = this.options;
    const pinned = await pins.chunks(content);
    return freeFiles(pins.filesBelow(inode), {
      content,
      isPinned: (file) => pins.pinnedAt(file.inode) !== undefined,
      letGo: (ids) => collection.letGo(ids, pinned),
    });
  }
}
