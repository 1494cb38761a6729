import { rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { PodPaths } from './home.js';

/**
 * Gives back to a full disk what the stopped pod in a folder holds back for such a time: the contents' reserve, which only
 * what write() accepted needs, and that is nothing now; where that is gone already, the journal's, for deletions.
 * @returns false when there is nothing held back any more
 */
export function giveUpReserve(paths: PodPaths): boolean {
  const contents = join(paths.store, 'content', 'reserve');
  if ((statSync(contents, { throwIfNoEntry: false })?.size ?? 0) > 0) {
    truncateSync(contents, 0);
    return true;
  }
  const journal = join(paths.store, 'tree', 'journal.reserve');
  if (statSync(journal, { throwIfNoEntry: false }) === undefined) return false;
  rmSync(journal);
  return true;
}
