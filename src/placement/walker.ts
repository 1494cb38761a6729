import { setImmediate } from 'node:timers/promises';
import { type Log, messageOf } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { Copier } from './copier.js';

const PAGE = 256;
/** So many contents are in the copier's hands at a time; the rest stays in the index. */
const OPEN_MAX = 2_000;

export interface WalkerOptions {
  tree: Pick<Tree, 'contents'>;
  content: Pick<ContentStore, 'presence'>;
  copier: Copier;
  log: Log;
}

/** Goes over all contents of the tree and gives the copier those that are not wholly here. */
export class Walker {
  private readonly options: WalkerOptions;
  private walking: Promise<void> = Promise.resolve();
  private active = false;
  private again = false;
  private closed = false;

  constructor(options: WalkerOptions) {
    this.options = options;
  }

  /** Resolves when every content that the tree had was looked at. */
  done(): Promise<void> {
    return this.walking;
  }

  /** Walks over everything, from the start. */
  walk(): void {
    this.again = true;
    if (this.active || this.closed) return;
    this.active = true;
    this.walking = this.walkUntilDone()
      .catch((error) => this.options.log.error('the tree could not be walked', { reason: messageOf(error) }))
      .finally(() => {
        this.active = false;
      });
  }

  close(): void {
    this.closed = true;
  }

  private async walkUntilDone(): Promise<void> {
    while (this.again && !this.closed) {
      this.again = false;
      await this.walkOnce();
    }
  }

  private async walkOnce(): Promise<void> {
    const { tree, content, copier } = this.options;
    let after: InodeId | undefined;
    while (!this.closed && !this.again) {
      const page = tree.contents(after, PAGE);
      for (const file of page) if (content.presence(file.content) !== 'here') copier.add(file);
      after = page.at(-1)?.inode;
      if (after === undefined) return;
      await copier.roomFor(OPEN_MAX);
      // The mount's requests come first.
      await setImmediate();
    }
  }
}
