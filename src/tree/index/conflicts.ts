import { type Conflict, conflictAt, conflictOf } from '../resolver/conflicts.js';
import type { Row, Tables } from '../resolver/tables.js';
import type { InodeId } from '../schema.js';

/** What `Tree.conflicts` answers: looks at the rows, then asks the tables for all of each conflict. */
export function conflictsOf(
  tables: Tables,
  rows: Iterable<{ inode: InodeId; row: Row }>,
  limit: number,
): { found: Conflict[]; next: InodeId | undefined } {
  const found: Conflict[] = [];
  let seen = 0;
  for (const { inode, row } of rows) {
    const at = conflictOf(row);
    const conflict = at === undefined ? undefined : conflictAt(tables, at.parent, at.name);
    if (conflict !== undefined) found.push(conflict);
    if (++seen === limit) return { found, next: inode };
  }
  return { found, next: undefined };
}
