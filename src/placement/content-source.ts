import type { ContentId } from '../content/index.js';
import { type InodeId, type Node, parseConflictInode, type Tree } from '../tree/index.js';

/** A file's content, as the tree names it: the winner, or the losing value of a concurrent edit. */
export interface FileContent {
  inode: InodeId;
  content: ContentId;
  /** Bytes. */
  size: number;
}

/** The file that an id shows: the winner's content for an inode, a loser's for a virtual one. */
export function fileOf(node: Node | undefined): FileContent | undefined {
  if (node?.kind !== 'file' || node.content === '') return undefined;
  return { inode: node.id, content: node.content, size: node.size };
}

/** True when a file still has this content, be it as the loser of a concurrent edit. */
export function stillThere(tree: Pick<Tree, 'node' | 'contentsAt'>, file: FileContent): boolean {
  if (tree.node(file.inode)?.content === file.content) return true;
  const base = parseConflictInode(file.inode)?.inode ?? file.inode;
  return tree.contentsAt(base).includes(file.content);
}
