import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * The pages of a database's file as LMDB lays them out (`MDB_page`, `MDB_node`, `MDB_db`, `MDB_meta` and `MDB_ovpage` in
 * mdb.c, data version 2, little-endian, 64 bits). LMDB believes what they say: whoever doubts them reads them here first.
 */
export const PAGE_BYTES = 4096;
const HEADER_BYTES = 24;
export const NODE_BYTES = 8;
/** What a node holds in place of a long value. */
const OVERFLOW_REFERENCE_BYTES = 24;
/** Bytes for nodes, and where they are counted from. */
export const BODY_BYTES = PAGE_BYTES - HEADER_BYTES;
const TREE_BYTES = 48;
const MAGIC = 0xbeefc0de;
const VERSION = 2;

/** By the flags; the others are of pages in memory, or of what we do not use. */
const KINDS = { 1: 'branch', 2: 'leaf', 4: 'overflow', 8: 'meta' } as const;

export interface PageHeader {
  number: number;
  kind: (typeof KINDS)[keyof typeof KINDS] | undefined;
  /** That wrote it. */
  transaction: number;
  /** End of the list of nodes, and start of the nodes, within the body. */
  lower: number;
  upper: number;
  /** Of an overflow page: how many pages follow each other. */
  pages: number;
}

export interface Node {
  key: Buffer;
  /** Within the body. */
  start: number;
  end: number;
  /** Of a branch: the page below. */
  child: number;
  /** Of a leaf: the value, in the page or elsewhere. */
  value: Buffer | undefined;
  long: { page: number; pages: number; bytes: number; transaction: number } | undefined;
  isTree: boolean;
}

/** One B-tree. */
export interface TreeRecord {
  /** Zero, as long as keys are not of a fixed length. */
  padding: number;
  flags: number;
  depth: number;
  branches: number;
  leaves: number;
  overflows: number;
  entries: number;
  /** Undefined: it is empty. */
  root: number | undefined;
}

export interface Meta {
  /** Begins as every such page of this version. */
  isWhole: boolean;
  mapBytes: number;
  free: TreeRecord;
  main: TreeRecord;
  lastPage: number;
  transaction: number;
}

/** A database's file, page by page. */
export class PageFile {
  private readonly fd: number;
  readonly pages: number;

  constructor(path: string) {
    this.fd = openSync(path, 'r');
    this.pages = Math.floor(fstatSync(this.fd).size / PAGE_BYTES);
  }

  /** A page of its own memory, or so many in a row; shorter where the file ends, whatever the number is. */
  read(page: number, count = 1): Buffer {
    if (page >= this.pages) return Buffer.alloc(0);
    const bytes = Buffer.allocUnsafe(count * PAGE_BYTES);
    return bytes.subarray(0, readSync(this.fd, bytes, 0, bytes.length, page * PAGE_BYTES));
  }

  /** Of a page that holds more than its header; undefined behind the end of the file. */
  header(page: number): PageHeader | undefined {
    const bytes = Buffer.allocUnsafe(HEADER_BYTES);
    if (page >= this.pages) return undefined;
    if (readSync(this.fd, bytes, 0, HEADER_BYTES, page * PAGE_BYTES) < HEADER_BYTES) return undefined;
    return headerOf(bytes);
  }

  close(): void {
    closeSync(this.fd);
  }
}

export function headerOf(page: Buffer): PageHeader {
  const flags = page.readUInt16LE(18);
  return {
    number: Number(page.readBigUInt64LE(0)),
    transaction: Number(page.readBigUInt64LE(8)),
    kind: page.readUInt16LE(16) === 0 && flags in KINDS ? KINDS[flags as keyof typeof KINDS] : undefined,
    lower: page.readUInt16LE(20),
    upper: page.readUInt16LE(22),
    pages: page.readUInt32LE(20),
  };
}

/** Where the nodes of a page begin, as its list says. */
export function nodeStarts(page: Buffer, { lower }: PageHeader): number[] {
  return Array.from({ length: lower >> 1 }, (_, index) => page.readUInt16LE(HEADER_BYTES + 2 * index));
}

/** The node at a place of the body, or undefined where it does not lie in it whole. */
export function nodeAt(page: Buffer, start: number, kind: 'branch' | 'leaf'): Node | undefined {
  const at = HEADER_BYTES + start;
  if (start % 2 !== 0 || at + NODE_BYTES > page.length) return undefined;
  const low = page.readUInt32LE(at);
  const flags = page.readUInt16LE(at + 4);
  const keyBytes = page.readUInt16LE(at + 6);
  const isLong = kind === 'leaf' && (flags & 1) !== 0;
  const valueBytes = kind === 'branch' ? 0 : isLong ? OVERFLOW_REFERENCE_BYTES : low;
  const valueAt = at + NODE_BYTES + keyBytes;
  if (valueAt + valueBytes > page.length) return undefined;
  if (kind === 'leaf' && (flags & ~3) !== 0) return undefined;
  return {
    key: page.subarray(at + NODE_BYTES, valueAt),
    start,
    end: valueAt + valueBytes - HEADER_BYTES,
    child: kind === 'branch' ? low + flags * 2 ** 32 : 0,
    value: kind === 'leaf' && !isLong ? page.subarray(valueAt, valueAt + valueBytes) : undefined,
    long: isLong
      ? {
          page: Number(page.readBigUInt64LE(valueAt)),
          transaction: Number(page.readBigUInt64LE(valueAt + 8)),
          pages: Number(page.readBigUInt64LE(valueAt + 16)),
          bytes: low,
        }
      : undefined,
    isTree: kind === 'leaf' && (flags & 2) !== 0,
  };
}

/** All that could be a node of a leaf from a place of the body on. */
export function* possibleNodes(page: Buffer, from: number): Generator<Node> {
  for (let start = from; start < BODY_BYTES; start += 2) {
    const node = nodeAt(page, start, 'leaf');
    if (node !== undefined && node.key.length > 0) yield node;
  }
}

/** The nodes of a page, if each lies in it whole, beside the others, and nothing else does; otherwise undefined. */
export function soundNodes(
  page: Buffer,
  number: number,
  kind: 'branch' | 'leaf',
): { nodes: Node[]; transaction: number } | undefined {
  if (page.length < PAGE_BYTES) return undefined;
  const header = headerOf(page);
  const { lower, upper, transaction } = header;
  if (header.number !== number || header.kind !== kind) return undefined;
  if (lower % 2 !== 0 || lower > upper || upper > BODY_BYTES || lower < (kind === 'leaf' ? 2 : 4))
    return undefined;
  const nodes: Node[] = [];
  let bytes = 0;
  for (const start of nodeStarts(page, header)) {
    const node = nodeAt(page, start, kind);
    if (node === undefined || start < upper || (kind === 'leaf' && node.key.length === 0)) return undefined;
    bytes += node.end + (node.end % 2) - start;
    nodes.push(node);
  }
  return bytes === BODY_BYTES - upper ? { nodes, transaction } : undefined;
}

/** A value that lies outside of the tree's pages; undefined where the file does not hold it. */
export function longValue(
  file: PageFile,
  { page, pages, bytes }: NonNullable<Node['long']>,
): Buffer | undefined {
  const used = pagesFor(bytes);
  if (pages < used || page + used > file.pages) return undefined;
  const all = file.read(page, used);
  return all.length < HEADER_BYTES + bytes ? undefined : all.subarray(HEADER_BYTES, HEADER_BYTES + bytes);
}

/** Pages that a value of so many bytes takes outside of the tree. */
export function pagesFor(bytes: number): number {
  return Math.ceil((HEADER_BYTES + bytes) / PAGE_BYTES);
}

export function treeRecord(bytes: Buffer): TreeRecord | undefined {
  if (bytes.length !== TREE_BYTES) return undefined;
  const root = bytes.readBigUInt64LE(40);
  return {
    padding: bytes.readUInt32LE(0),
    flags: bytes.readUInt16LE(4),
    depth: bytes.readUInt16LE(6),
    branches: Number(bytes.readBigUInt64LE(8)),
    leaves: Number(bytes.readBigUInt64LE(16)),
    overflows: Number(bytes.readBigUInt64LE(24)),
    entries: Number(bytes.readBigUInt64LE(32)),
    root: root === 2n ** 64n - 1n ? undefined : Number(root),
  };
}

/** What one of the two pages at the file's start says; undefined where the file ends before. */
export function metaOf(page: Buffer): Meta | undefined {
  if (page.length < PAGE_BYTES) return undefined;
  const [free, main] = [treeRecord(page.subarray(48, 96)), treeRecord(page.subarray(96, 144))];
  if (free === undefined || main === undefined) return undefined;
  return {
    isWhole:
      headerOf(page).kind === 'meta' && page.readUInt32LE(24) === MAGIC && page.readUInt32LE(28) === VERSION,
    mapBytes: Number(page.readBigUInt64LE(40)),
    free,
    main,
    lastPage: Number(page.readBigUInt64LE(144)),
    transaction: Number(page.readBigUInt64LE(152)),
  };
}
