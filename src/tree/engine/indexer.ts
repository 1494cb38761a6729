import type { Passed } from '../history/passed.js';
import type { LocalTimes } from '../resolver/tables.js';
import type { Heads, InodeId, OpId, Registers } from '../schema.js';
import type { Node } from '../tree.js';
import type { KnownRegisters } from './known-registers.js';

/** What the engine lets the indexer read of the document. */
export interface RegisterReader {
  /** All concurrent values of an inode's registers, or undefined when the document has no such inode. */
  read(inode: InodeId): Registers | undefined;
  /** The document has no more inodes than this. */
  inodesMax?(): number;
  /** Every inode of the document with its registers, for a rebuild. */
  all(): Iterable<{ inode: InodeId; registers: Registers | undefined }>;
}

/** What a batch of changes did to the visible tree. */
export interface IndexChange {
  inodes: InodeId[];
  /** `before`: what the name led to, null for nothing; left out where that is not known. */
  names: { parent: InodeId; name: string; before?: { inode: InodeId; kind: Node['kind'] } | null }[];
  /** Those of the inodes that are files and have another content. */
  contents?: InodeId[];
}

export function entriesOf({ inodes, names }: IndexChange): number {
  return inodes.length + names.length;
}

/** The same change in parts of at most so many entries. */
export function partsOf({ inodes, names, contents = [] }: IndexChange, entriesMax: number): IndexChange[] {
  const rewritten = new Set(contents);
  const parts: IndexChange[] = [];
  for (let at = 0; at < inodes.length; at += entriesMax) {
    const some = inodes.slice(at, at + entriesMax);
    parts.push({ inodes: some, names: [], contents: some.filter((inode) => rewritten.has(inode)) });
  }
  for (let at = 0; at < names.length; at += entriesMax)
    parts.push({ inodes: [], names: names.slice(at, at + entriesMax) });
  return parts;
}

/** Keeps the index equal to the resolver's result for the document. Lives in the engine's worker. */
export interface Indexer {
  /** The heads that the index shows and the last journaled operation that is in it. Empty heads: no index yet. */
  stamp(): { heads: Heads; seq: number };
  /** An inode's registers as the index shows them, undefined for one that it does not have.
   *  @throws WormholeError `corrupt` */
  registers(inode: InodeId): Registers | undefined;
  /** One atomic batch: re-resolves the touched inodes and stamps the new heads. `known` are the registers that
   *  need not be read from the document. `times` gives the wall clock of local operations by inode; everything
   *  else takes `time`. */
  update(change: {
    touched: Iterable<InodeId>;
    known: KnownRegisters;
    heads: Heads;
    seq: number;
    time: bigint;
    times?: ReadonlyMap<InodeId, LocalTimes>;
    /** Contents that came and went with these changes. */
    passed?: readonly Passed[];
  }): IndexChange;
  /** Throws the index away and builds it again from all registers, in batches. */
  rebuild(stamp: { heads: Heads; seq: number; time: bigint }): void;
  /** Where the losing value of a concurrent edit is shown, for making it real. */
  shownConflict(inode: InodeId, version: OpId): { parent: InodeId; name: string } | undefined;
  /** Nothing comes in for a while. */
  idle?(): void;
  /** Forgets the history that was noted more than `periodMs` of the store's uptime ago. */
  forgetHistory?(periodMs: number): Promise<void>;
}
