import type { InodeId } from '../tree/index.js';

/**
 * The ids that the kernel knows inodes by. They are the tree's own ids but for one case: a rename of a file
 * over another keeps the *target's* id in the tree (a concurrent rename elsewhere then carries the new
 * content), while POSIX wants the *source's* inode at the new name, with its number and its open handles. So
 * from then on the source's id stands locally for the target's tree inode.
 */
export class LocalIds {
  private readonly localByTree = new Map<InodeId, InodeId>();
  private readonly treeByLocal = new Map<InodeId, InodeId>();

  /** The local id of a tree inode. */
  local(tree: InodeId): InodeId {
    return this.localByTree.get(tree) ?? tree;
  }

  /** The tree inode of a local id; undefined when that id's inode is gone although its tree id lives on. */
  tree(local: InodeId): InodeId | undefined {
    const tree = this.treeByLocal.get(local);
    if (tree !== undefined) return tree;
    return this.localByTree.has(local) ? undefined : local;
  }

  /** After a rename of `source` (a local id) over tree inode `target`. */
  replaced(source: InodeId, target: InodeId): void {
    const before = this.localByTree.get(target);
    if (before !== undefined) this.treeByLocal.delete(before);
    this.treeByLocal.delete(source);
    if (source === target) {
      this.localByTree.delete(target);
      return;
    }
    this.localByTree.set(target, source);
    this.treeByLocal.set(source, target);
  }
}
