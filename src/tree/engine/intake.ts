import type { Heads } from '../schema.js';
import { automerge } from './automerge.js';
import type { CheckedChange } from './change-check.js';
import type { TreeDocument } from './document.js';

/** With more than so many it is cheaper to ask the document. */
const COMPARE_MAX = 50;

/**
 * Finds out which changes went into the document: not all that were given (some were there already, some wait
 * for others), and perhaps some that had waited. The document can tell, but takes milliseconds for it where many
 * local changes are concurrent; usually, what was given is what went in, and counting proves it.
 */
export class Intake {
  private readonly document: TreeDocument;
  private readonly fresh: readonly CheckedChange[];
  private readonly before: Heads;
  private readonly countBefore: number;

  /** @param given what is about to go in */
  constructor(document: TreeDocument, given: readonly CheckedChange[]) {
    const fresh = new Map<string, CheckedChange>();
    for (const change of given) {
      const { hash } = change.decoded;
      if (!document.contains([hash])) fresh.set(hash, change);
    }
    this.document = document;
    this.fresh = [...fresh.values()];
    this.before = document.heads();
    this.countBefore = document.changeCount();
  }

  added(): readonly CheckedChange[] {
    const grown = this.document.changeCount() - this.countBefore;
    if (grown === 0) return [];
    if (grown === this.fresh.length && this.areIn()) return this.fresh;
    return this.document
      .changesSince(this.before)
      .map((bytes) => ({ bytes, decoded: automerge.decodeChange(bytes) }));
  }

  /** Asked of a single one too: what grew the document may be a whole document beside it, while it waits. */
  private areIn(): boolean {
    if (this.fresh.length > COMPARE_MAX) return false;
    return this.document.contains(this.fresh.map(({ decoded }) => decoded.hash));
  }
}
