import type { Row, Seat } from '../resolver/tables.js';
import type { InodeId } from '../schema.js';

/** A content of a file. */
export interface NamedContent {
  inode: InodeId;
  content: string;
  /** Bytes. */
  size: number;
  /** Where the file's own name is shown; undefined for one that lives on by a hard link. */
  seat: Seat | undefined;
  /** Of the file; nanoseconds since 1970. */
  mtime: bigint;
}

/**
 * The distinct contents of living files, losing values among them, until there are `limit`. All of one inode stay
 * together, since whoever goes on names the last inode.
 */
export function contentsOf(rows: Iterable<{ inode: InodeId; row: Row }>, limit: number): NamedContent[] {
  const found: NamedContent[] = [];
  for (const { inode, row } of rows) {
    // A file whose own name is gone lives on by its hard links.
    if (!row.alive && row.names === 0) continue;
    const seen = new Set<string>();
    for (const { value } of row.registers.d) {
      if (value.kind !== 'file' || value.content === '' || seen.has(value.content)) continue;
      seen.add(value.content);
      const mtime = row.registers.a.at(-1)?.value.mtime ?? value.mtime;
      found.push({ inode, content: value.content, size: value.size, seat: row.shown, mtime });
    }
    if (found.length >= limit) break;
  }
  return found;
}
