import type { InodeId, Node, OpId } from '../tree/index.js';

/** What a staging record remembers of its owner over a restart. */
export interface StagingOwner {
  inode: InodeId;
  /** The versions that the writer had opened: only they are replaced when its bytes are published. */
  versions: readonly OpId[];
}

/** The key of a node's staging records: `<inode> <version> …`; neither has spaces in it. */
export function stagingKey(node: Pick<Node, 'id' | 'versions'>): string {
  return [node.id, ...node.versions].join(' ');
}

export function parseStagingKey(key: string): StagingOwner {
  const [inode = '', ...versions] = key.split(' ');
  return { inode, versions };
}
