import type { Stat } from '../fs/index.js';
import type { Cookies } from './directory-streams.js';
import { ROOT_NODE } from './protocol/constants.js';
import type { RemovedFolder } from './removed-folder.js';

export type InodeId = Stat['inode'];

/** An inode that the kernel knows, by the number it uses for it. */
export interface Node {
  readonly number: number;
  readonly inode: InodeId;
  /** The folder it was last found in: what `..` of a folder shows. */
  parent: number;
  /** References that the kernel holds and gives back by FORGET. */
  lookups: number;
  /** Open handles. */
  opens: number;
  /** When the kernel was last given its attributes by a name, or a folder's entries, in monotonic milliseconds. */
  foundMs: number;
  /** Of a folder: by what number its names were handed out. */
  cookies: Cookies | undefined;
  /** Changes of a folder's entries whose answer is not there yet: the kernel holds its lock. */
  pendingChanges: number;
  /** Reads whose answer is not there yet: the kernel holds locks on their pages. */
  pendingReads: number;
  /** A folder that was removed while somebody may be in it. */
  removed: RemovedFolder | undefined;
  /** Its pages may be older than what the file system has: the next open must drop them. */
  stale: boolean;
}

/**
 * The kernel's nodes and the file system's inodes. A number is never used twice within a mount, so the generation
 * that the protocol knows is always the same.
 */
export class NodeTable {
  private readonly byNumber = new Map<number, Node>();
  private readonly byInode = new Map<InodeId, Node>();
  private next = ROOT_NODE + 1;

  constructor(root: InodeId) {
    this.add(ROOT_NODE, root, ROOT_NODE);
  }

  get size(): number {
    return this.byNumber.size;
  }

  get(number: number): Node | undefined {
    return this.byNumber.get(number);
  }

  all(): Iterable<Node> {
    return this.byNumber.values();
  }

  find(inode: InodeId): Node | undefined {
    return this.byInode.get(inode);
  }

  /** The node of an inode that was found under `parent`, with one reference more, which the kernel is told of. */
  remember(stat: Stat, parent: number): Node {
    const node = this.byInode.get(stat.inode) ?? this.add(this.next++, stat.inode, parent);
    node.lookups++;
    node.foundMs = performance.now();
    // A removed folder may come back, when somebody else put something into it meanwhile.
    node.removed = undefined;
    node.parent = parent;
    return node;
  }

  /** The kernel gave references back; the root stays for ever. */
  forget(number: number, lookups: number): void {
    const node = this.byNumber.get(number);
    if (node === undefined || number === ROOT_NODE) return;
    node.lookups -= lookups;
    if (node.lookups > 0) return;
    this.byNumber.delete(number);
    this.byInode.delete(node.inode);
  }

  private add(number: number, inode: InodeId, parent: number): Node {
    const node: Node = {
      number,
      inode,
      parent,
      lookups: 0,
      opens: 0,
      foundMs: 0,
      cookies: undefined,
      pendingChanges: 0,
      pendingReads: 0,
      removed: undefined,
      stale: false,
    };
    this.byNumber.set(number, node);
    this.byInode.set(inode, node);
    return node;
  }
}
