/**
 * The document's schema, version 1, as types. Every inode has four registers, each one small CBOR record that
 * is only ever written whole; the document keeps all concurrent values of each. See docs/formats.md.
 */

/** `<bucket>/<index>`; free of positions, never reused. */
export type InodeId = string;

/** `<counter>@<actor>`: names one write in the document. Ordered by {@link compareOpIds}; no clock. */
export type OpId = string;

/** Automerge heads, sorted. */
export type Heads = readonly string[];

/** True when both name the same version of the document. */
export function sameHeads(a: Heads, b: Heads): boolean {
  return a.length === b.length && a.every((head, i) => head === b[i]);
}

/** The root folder; its bucket is made by the document's first change, as are those of derived inodes. */
export const ROOT: InodeId = 'root/0';
/** A virtual folder in the root, shown only when not empty: what has no place else. */
export const LOST_FOUND: InodeId = 'lost+found';
export const LOST_FOUND_NAME = 'lost+found';

export const KINDS = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character',
  'block',
  'link',
] as const;
/** `link` is a further hard link: an inode with a location whose data names the linked inode. */
export type Kind = (typeof KINDS)[number];

/** Register `l`. */
export interface Location {
  parent: InodeId;
  name: string;
  /** Where it was before, if this value moved or renamed it: the base of the three-way merge. */
  previous?: { parent: InodeId; name: string };
}

/** Register `d`. */
export interface Data {
  kind: Kind;
  /** Bytes; 0 but for files and symlinks. */
  size: number;
  /** Nanoseconds since 1970. */
  mtime: bigint;
  /** File: content id ('' when empty). Symlink: target. Link: the inode it names. Device: `major:minor`. */
  content: string;
  /** Permission bits (07777) the inode was made with; register `a` overrides them. */
  mode: number;
}

/** Register `a`; what is absent is as the data register says. */
export interface Attributes {
  mode?: number;
  uid?: number;
  gid?: number;
  /** Set by utimens; a write of content clears it. */
  mtime?: bigint;
  xattrs?: { [name: string]: Uint8Array };
}

/** Register `x`: the inode is deleted if every value of `l` and `d` was seen by one of its tombstones. */
export interface Tombstone {
  saw: OpId[];
}

export interface Versioned<T> {
  id: OpId;
  value: T;
}

/** All concurrent values of each register, in ascending order of operation id: the last is the winner. */
export interface Registers {
  l: Versioned<Location>[];
  d: Versioned<Data>[];
  a: Versioned<Attributes>[];
  x: Versioned<Tombstone>[];
}

export const REGISTER_NAMES = ['l', 'd', 'a', 'x'] as const;
export type RegisterName = (typeof REGISTER_NAMES)[number];

/** Lamport order: by counter, then by actor. */
export function compareOpIds(a: OpId, b: OpId): number {
  if (a === b) return 0;
  const atA = a.indexOf('@');
  const atB = b.indexOf('@');
  const counter = Number(a.slice(0, atA)) - Number(b.slice(0, atB));
  if (counter !== 0) return counter;
  return a.slice(atA + 1) < b.slice(atB + 1) ? -1 : 1;
}

/**
 * What a local operation does to one inode's registers. The engine applies it so that nothing unseen is lost:
 * a value of `d` that is neither in `replaces` nor this pod's own, and whose content differs, is first made a
 * real inode (id derived from its operation id, name as the resolver shows it), in the same change.
 */
export interface RegisterWrite {
  inode: InodeId;
  l?: Location;
  d?: Data;
  a?: Attributes;
  /** Delete: `saw` holds every value of `l` and `d` known at the time, `replaces` only those of `d` shown at the
   *  removed name (absent: all). A value in `saw` alone (a losing value shown beside) is made a real inode; one
   *  in neither was not seen, and keeps the inode alive. The tombstone sees this pod's own values too. */
  x?: { saw: OpId[] };
  /** Values of `d` that this write means to replace or remove (those the user saw at this very name: the
   *  node's `versions`). Values of this pod that were not yet echoed have no known id and need not be named. */
  replaces?: OpId[];
}

/** One whole file-system operation: never split, never sent before it is durable here. */
export interface Operation {
  /** Number of its record in the journal. */
  seq: number;
  /** The last operation that had been echoed when this one was made: this pod's values above it were pending,
   *  so this operation saw them without knowing their ids. */
  seen: number;
  /** Wall clock, nanoseconds: becomes ctime and the folders' mtime here; decides nothing. */
  time: bigint;
  writes: RegisterWrite[];
}
