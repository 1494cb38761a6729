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
  /** Local ids that stood, or stand, for another tree inode than the one of that name: by themselves they mean
   *  nothing any more. */
  private readonly spent = new Set<InodeId>();
  private fresh = 0;

  /** The local id of a tree inode. */
  local(tree: InodeId): InodeId {
    const local = this.localByTree.get(tree);
    if (local !== undefined) return local;
    if (!this.spent.has(tree)) return tree;
    // An edit elsewhere brought an inode back whose id was given away: it is another file by now.
    const another = `${tree}~${this.fresh++}`;
    this.pair(another, tree);
    return another;
  }

  /** The tree inode of a local id; undefined when that id's inode is gone although its tree id lives on. */
  tree(local: InodeId): InodeId | undefined {
    return this.treeByLocal.get(local) ?? (this.spent.has(local) ? undefined : local);
  }

  /** After a rename of `source` (a local id) over tree inode `target`. */
  replaced(source: InodeId, target: InodeId): void {
    const formerTree = this.treeByLocal.get(source);
    if (formerTree !== undefined) this.localByTree.delete(formerTree);
    const formerLocal = this.localByTree.get(target);
    if (formerLocal !== undefined) this.treeByLocal.delete(formerLocal);
    for (const id of [source, target]) this.spent.add(id);
    this.pair(source, target);
  }

  /** A file that is open has lost its last name: while it is open its local id stands for it, and for nothing in the
   *  tree. */
  orphaned(local: InodeId): void {
    const tree = this.treeByLocal.get(local);
    if (tree !== undefined) this.localByTree.delete(tree);
    this.treeByLocal.delete(local);
    this.spent.add(local);
    if (tree !== undefined) this.spent.add(tree);
  }

  /** It is no longer open. */
  closed(local: InodeId): void {
    if (!this.localByTree.has(local)) this.spent.delete(local);
  }

  private pair(local: InodeId, tree: InodeId): void {
    this.localByTree.set(tree, local);
    this.treeByLocal.set(local, tree);
  }
}
