import type { Row } from '../resolver/tables.js';
import type { InodeId } from '../schema.js';

/**
 * The distinct contents of living files, losing values among them, until there are `limit`. All of one inode stay
 * together, since whoever goes on names the last inode.
 */
export function contentsOf(
  rows: Iterable<{ inode: InodeId; row: Row }>,
  limit: number,
): { inode: InodeId; content: string; size: number }[] {
  const found: { inode: InodeId; content: string; size: number }[] = [];
  for (const { inode, row } of rows) {
    // A file whose own name is gone lives on by its hard links.
    if (!row.alive && row.names === 0) continue;
    const seen = new Set<string>();
    for (const { value } of row.registers.d) {
      if (value.kind !== 'file' || value.content === '' || seen.has(value.content)) continue;
      seen.add(value.content);
      found.push({ inode, content: value.content, size: value.size });
    }
    if (found.length >= limit) break;
  }
  return found;
}
