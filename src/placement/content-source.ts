import type { ContentId } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import { parseConflictInode } from '../tree/index.js';

/** A file's content, as the tree names it: the winner, or the losing value of a concurrent edit. */
export interface FileContent {
  inode: InodeId;
  content: ContentId;
  /** Bytes. */
  size: number;
}

/** Every content of one inode that is visible now, losers of concurrent edits too. */
export function contentsOf(tree: Pick<Tree, 'contents'>, inode: InodeId): FileContent[] {
  const base = parseConflictInode(inode)?.inode ?? inode;
  return tree.contents(before(base), 1).filter((found) => found.inode === base);
}

/** True when a file still has this content. */
export function stillThere(tree: Pick<Tree, 'contents'>, file: FileContent): boolean {
  return contentsOf(tree, file.inode).some((found) => found.content === file.content);
}

/** A key that comes before this one and after every other inode's: its last character lowered, then the highest. */
function before(inode: InodeId): InodeId {
  const last = inode.charCodeAt(inode.length - 1);
  return `${inode.slice(0, -1)}${String.fromCharCode(last - 1)}\u{10ffff}`;
}
