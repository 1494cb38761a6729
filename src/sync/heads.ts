import type { Heads } from '../tree/index.js';

/** True when both name the same version. Heads are sorted. */
export function sameHeads(a: Heads, b: Heads): boolean {
  return a.length === b.length && a.every((head, i) => head === b[i]);
}
