import { LIMITS } from '../../base/index.js';
import type { Operation } from '../schema.js';

/** How many of the operations from `start` on go into one change: an import is many changes of a bucket each, or
 *  the sync protocol would send whole documents where some changes do. */
export function groupLength(operations: readonly Operation[], start: number): number {
  const most = Math.min(LIMITS.groupOperationsMax, operations.length - start);
  let writes = 0;
  for (let count = 0; count < most; count++) {
    writes += operations[start + count]?.writes.length ?? 0;
    if (count > 0 && writes > LIMITS.groupWritesMax) return count;
  }
  return most;
}
