import type { RegisterOperation } from '../engine/document.js';
import type { KnownRegisters } from '../engine/known-registers.js';
import { contentKey } from '../resolver/registers.js';
import type { Data, InodeId, OpId } from '../schema.js';

/** A content that came and went within one batch of changes: the index never showed it. */
export interface Passed {
  inode: InodeId;
  id: OpId;
  value: Data;
}

/** The contents among these writes that others of them took the place of.
 *  @param after the registers as they are after all of them */
export function passedContents(writes: readonly RegisterOperation[], after: KnownRegisters): Passed[] {
  const overwritten = new Set<OpId>();
  const contents: Passed[] = [];
  for (const { inode, register, id, value, overwrites } of writes) {
    if (register !== 'd') continue;
    for (const other of overwrites) overwritten.add(other);
    if (value !== undefined) contents.push({ inode, id, value: value as Data });
  }
  if (overwritten.size === 0) return [];
  return contents.filter(({ inode, id, value }) => {
    const now = after.get(inode)?.d ?? [];
    return overwritten.has(id) && !now.some((other) => contentKey(other.value) === contentKey(value));
  });
}
