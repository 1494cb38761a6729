import type { InodeId, OpId, RegisterWrite } from '../schema.js';
import { isProvisional, operationOf } from './patch.js';

/** The last operation of which these writes know the real ids: whatever they name provisionally came after. */
export function seenBy(writes: readonly RegisterWrite[], echoed: number): number {
  let seen = echoed;
  for (const { replaces, x } of writes) {
    for (const id of [...(replaces ?? []), ...(x?.saw ?? [])]) {
      if (isProvisional(id)) seen = Math.min(seen, operationOf(id) - 1);
    }
  }
  return seen;
}

/**
 * A write as the engine gets it. Provisional ids mean nothing there: it knows this pod's own values itself; what
 * they stand in place of was seen all the same.
 */
export function withRealIds(
  write: RegisterWrite,
  seenBefore: (inode: InodeId) => Iterable<OpId>,
): RegisterWrite {
  const { inode, replaces, x } = write;
  if (x === undefined && !replaces?.some(isProvisional)) return write;
  const real = { ...write };
  const named = replaces?.filter((id) => !isProvisional(id));
  if (named !== undefined) real.replaces = named;
  if (x !== undefined) {
    const saw = x.saw.filter((id) => !isProvisional(id));
    const before = [...seenBefore(inode)];
    real.x = { saw: [...new Set([...saw, ...before])] };
    // What was shown beside and became an inode of its own is seen, but is not what is removed here.
    if (before.length > 0) real.replaces = named ?? saw;
  }
  return real;
}
