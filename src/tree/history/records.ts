import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import { loadContent, storeContent } from '../index/row-codec.js';
import type { InodeId, Kind, OpId } from '../schema.js';
import { KINDS } from '../schema.js';

/** A content that a file had and has no more. */
export interface PastVersion {
  inode: InodeId;
  /** The write that made it. */
  version: OpId;
  /** Bytes. */
  size: number;
  /** Of the file then; nanoseconds since 1970. */
  mtime: bigint;
  content: string;
  /** When this pod saw it overwritten: its own wall clock, milliseconds. For people; decides nothing. */
  at: number;
}

/** An entry that was deleted; its registers are in the document still. */
export interface DeletedEntry {
  inode: InodeId;
  /** Where it was shown. */
  parent: InodeId;
  name: string;
  kind: Kind;
  /** The tombstone that did it, where one did. */
  by: OpId | undefined;
  /** When this pod saw it deleted: its own wall clock, milliseconds. For people; decides nothing. */
  at: number;
  /** What one pod deletes without a pause is one run; numbers rise. */
  run: number;
}

/** A run of deletions that took more than half of a folder's entries. */
export interface MassDeletion {
  run: number;
  /** Starts every actor id of the pod that did it. */
  pod: string;
  /** The tombstone that was seen last; tells the pod's name. */
  by: OpId;
  /** This pod's wall clock when the run began and when it ended, milliseconds. */
  from: number;
  to: number;
  /** All entries of the run. */
  deleted: number;
  /** The folders that lost more than half, those that lost most first. */
  folders: { inode: InodeId; deleted: number; left: number }[];
}

/** A record together with when it was noted, in milliseconds of this store's uptime: what it ages by. */
export interface Noted<T> {
  uptimeMs: number;
  value: T;
}

const VERSION = 1;

/** When any of these was noted, in milliseconds of the store's uptime. */
export function uptimeOf(bytes: Uint8Array): number {
  return (decodeCbor(bytes) as [number, number])[1];
}

export function encodePast(uptimeMs: number, { size, mtime, content, at }: PastVersion): Buffer {
  return encodeCbor([VERSION, uptimeMs, at, size, mtime, storeContent(content)]);
}

export function decodePast(key: string, bytes: Uint8Array): Noted<PastVersion> | undefined {
  const [version, uptimeMs, at, size, mtime, content] = decodeCbor(bytes) as [
    number,
    number,
    number,
    number,
    number | bigint,
    string | Uint8Array,
  ];
  if (version !== VERSION) return undefined;
  const cut = key.indexOf('\0');
  const value = {
    inode: key.slice(0, cut),
    version: key.slice(cut + 1),
    size,
    mtime: BigInt(mtime),
    content: typeof content === 'string' ? content : loadContent(content),
    at,
  };
  return { uptimeMs, value };
}

export function pastKey({ inode, version }: { inode: InodeId; version: OpId }): string {
  return `${inode}\0${version}`;
}

export function encodeDeleted(uptimeMs: number, { kind, by, at, run }: DeletedEntry): Buffer {
  return encodeCbor([VERSION, uptimeMs, at, KINDS.indexOf(kind), by ?? '', run]);
}

export function decodeDeleted(key: string, bytes: Uint8Array): Noted<DeletedEntry> | undefined {
  const [version, uptimeMs, at, kind, by, run] = decodeCbor(bytes) as [
    number,
    number,
    number,
    number,
    string,
    number,
  ];
  if (version !== VERSION) return undefined;
  const [parent = '', name = '', inode = ''] = key.split('\0');
  const value = {
    inode,
    parent,
    name,
    kind: KINDS[kind] ?? 'file',
    by: by === '' ? undefined : by,
    at,
    run,
  };
  return { uptimeMs, value };
}

/** Ids and names hold no NUL: what was deleted in a folder is one range. */
export function deletedKey({
  parent,
  name,
  inode,
}: Omit<DeletedEntry, 'kind' | 'by' | 'at' | 'run'>): string {
  return `${parent}\0${name}\0${inode}`;
}

export function encodeMass(uptimeMs: number, { run: _, ...rest }: MassDeletion): Buffer {
  return encodeCbor([VERSION, uptimeMs, rest]);
}

export function decodeMass(key: string, bytes: Uint8Array): Noted<MassDeletion> | undefined {
  const [version, uptimeMs, rest] = decodeCbor(bytes) as [number, number, Omit<MassDeletion, 'run'>];
  return version === VERSION ? { uptimeMs, value: { run: Number(key), ...rest } } : undefined;
}

/** In the order of runs. */
export function massKey({ run }: { run: number }): string {
  return String(run).padStart(16, '0');
}
