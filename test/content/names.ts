import type { ContentId, Naming } from '../../src/content/content.js';

/** A tree that is a list of contents; in pages of one, so that the world can turn within a round. */
export class Names implements Naming {
  readonly contentOf = new Map<string, ContentId>();
  /** Called between two pages. */
  between: () => unknown = () => {};
  private listener: ((contents: readonly ContentId[] | undefined) => void) | undefined;

  set(inode: string, content: ContentId | undefined): void {
    if (content === undefined) this.contentOf.delete(inode);
    else this.contentOf.set(inode, content);
    this.listener?.(content === undefined ? [] : [content]);
  }

  rebuilt(): void {
    this.listener?.(undefined);
  }

  async settled(): Promise<void> {}

  contents(after: string | undefined): { inode: string; content: ContentId }[] {
    if (after !== undefined) this.between();
    const inodes = [...this.contentOf.keys()].sort();
    const next = inodes.find((inode) => after === undefined || inode > after);
    return next === undefined ? [] : [{ inode: next, content: this.contentOf.get(next) as ContentId }];
  }

  watch(listener: (contents: readonly ContentId[] | undefined) => void): () => void {
    this.listener = listener;
    return () => {
      this.listener = undefined;
    };
  }
}
