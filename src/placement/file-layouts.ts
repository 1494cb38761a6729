import type { Clock } from '../base/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import { type FileContent, fileOf } from './content-source.js';
import { Heat, type Opens } from './heat.js';
import type { Outlook } from './outlook.js';
import type { Pins } from './pins.js';
import type { Layout } from './rendezvous.js';

export interface FileLayoutsOptions {
  tree: Pick<Tree, 'node' | 'pathOf'>;
  outlook: Pick<Outlook, 'layouts' | 'cachesAll' | 'policies'>;
  pins: Pick<Pins, 'pinnedAt'>;
  clock: Pick<Clock, 'wallNs' | 'monotonicMs'>;
}

/** Where each file of the tree belongs now: by its path and age, by what is pinned here, by what is asked for here. */
export class FileLayouts {
  private readonly options: FileLayoutsOptions;
  private readonly heat = new Heat();

  constructor(options: FileLayoutsOptions) {
    this.options = options;
  }

  /** A file without a name, '', belongs where files without any rule do. */
  of(inode: InodeId): Layout {
    const { tree, clock, outlook } = this.options;
    const { layouts } = outlook;
    const pinned = this.isPinned(inode);
    if ((layouts.uniform && !pinned) || inode === '') return layouts.common;
    const node = tree.node(inode);
    if (node === undefined) return layouts.common;
    const ageMs = Number((clock.wallNs() - node.mtime) / 1_000_000n);
    return layouts.of({ path: tree.pathOf(inode), ageMs, pinned, hot: this.isHot(inode) });
  }

  /** True for a file that is asked for often, here and on all pods together. */
  isHot(inode: InodeId): boolean {
    return this.heat.isHot(inode, this.options.clock.monotonicMs());
  }

  /** A file was opened here to be read. @returns the file when it is to gain a copy here by that, as its rule says */
  opened(inode: InodeId): FileContent | undefined {
    const { tree, clock, outlook } = this.options;
    if (outlook.policies.uniform || !this.heat.opened(inode, clock.monotonicMs())) return undefined;
    const file = fileOf(tree.node(inode));
    return file !== undefined && this.of(inode).here ? file : undefined;
  }

  /** What the other pods tell of their readers. @returns files that are to gain a copy here by that, as their rules say */
  heard(told: readonly Opens[]): FileContent[] {
    const { tree, clock } = this.options;
    if (!this.attractsHot) return [];
    const files = this.heat.heard(told, clock.monotonicMs()).map((inode) => fileOf(tree.node(inode)));
    return files.filter((file) => file !== undefined).filter(({ inode }) => this.of(inode).here);
  }

  /** What this pod tells of its own: nothing where no rule asks. */
  told(): Opens[] {
    return this.attractsHot ? this.heat.told(this.options.clock.monotonicMs()) : [];
  }

  private get attractsHot(): boolean {
    return this.options.outlook.policies.config.rules.some(({ affinity }) => affinity?.hot !== undefined);
  }

  /** False for a file of which nothing is to stay in this pod's cache. */
  caches(inode: InodeId): boolean {
    const { tree, outlook } = this.options;
    return outlook.cachesAll || outlook.policies.of(tree.pathOf(inode)).cache;
  }

  /** True when a file, or a folder above it, is pinned: all of it is to be here. */
  isPinned(inode: InodeId): boolean {
    return this.options.pins.pinnedAt(inode) !== undefined;
  }
}
