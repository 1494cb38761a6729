import { longValue, type Node, type PageFile, pagesFor, soundNodes, type TreeRecord } from './lmdb-pages.js';

/** Deeper than any tree that fits on a disk. */
const DEPTH_MAX = 32;
/** Bytes of a number in the list of free pages. */
const NUMBER_BYTES = 8;

/** Something that LMDB would stumble over; the message is for people. */
export class Damage extends Error {}

export interface Walk {
  tree: TreeRecord;
  /** For people. */
  name: string;
  /** Of the page that names the root: a batch that writes a page also writes all above it, so that none is older. */
  transaction: number;
  compare: (left: Buffer, right: Buffer) => number;
  visit: (node: Node, page: { number: number; transaction: number }) => void;
}

/** Goes over trees of a database's file without believing what their pages say. Each page has one place in all of them. */
export class PageWalk {
  private readonly file: PageFile;
  private readonly lastPage: number;
  /** One bit a page: it has a place. */
  private readonly used: Uint8Array;
  /** Pages that have a place. */
  places = 0;

  constructor(file: PageFile, lastPage: number) {
    this.file = file;
    this.lastPage = lastPage;
    this.used = new Uint8Array(Math.ceil((lastPage + 1) / 8));
    this.use(0);
    this.use(1);
  }

  has(page: number): boolean {
    return ((this.used[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;
  }

  /** Whether both have a page, but for those that begin the file. */
  meets(other: PageWalk): boolean {
    return this.used.some((byte, at) => (byte & (other.used[at] ?? 0) & (at === 0 ? ~3 : ~0)) !== 0);
  }

  /** @throws Damage */
  tree(walk: Walk): void {
    const found = { branches: 0, leaves: 0, overflows: 0, entries: 0 };
    const { root, depth, branches, leaves, overflows, entries } = walk.tree;
    const isEmpty = root === undefined;
    if (isEmpty ? depth !== 0 : depth < 1 || depth > DEPTH_MAX)
      throw new Damage(`${walk.name} cannot be so deep`);
    const bounds = { low: undefined, high: undefined };
    if (!isEmpty) this.page({ number: root, depth: 1, transaction: walk.transaction }, bounds, walk, found);
    const isSame =
      found.branches === branches &&
      found.leaves === leaves &&
      found.overflows === overflows &&
      found.entries === entries;
    if (!isSame) throw new Damage(`${walk.name} does not have the pages and rows that it should have`);
  }

  /** The list of free pages, and the pages in it: last, since whoever is given a page of somebody else writes over it.
   *  @throws Damage */
  freeList(tree: TreeRecord, transaction: number): void {
    const free: number[] = [];
    const visit = (node: Node) => {
      if (node.isTree || node.key.length !== NUMBER_BYTES || node.key.readBigUInt64LE() > transaction)
        throw new Damage('the list of free pages is not one');
      for (const page of this.freePages(node)) free.push(page);
    };
    this.tree({ tree, name: 'the list of free pages', transaction, compare: byNumber, visit });
    for (const page of free) this.use(page);
  }

  private page(
    at: { number: number; depth: number; transaction: number },
    { low, high }: { low: Buffer | undefined; high: Buffer | undefined },
    walk: Walk,
    found: { branches: number; leaves: number; overflows: number; entries: number },
  ): void {
    const { number, depth } = at;
    this.use(number);
    const kind = depth === walk.tree.depth ? 'leaf' : 'branch';
    const page = soundNodes(this.file.read(number), number, kind);
    if (page === undefined) throw new Damage(`page ${number} is not what it should be`);
    const { nodes, transaction } = page;
    if (transaction > at.transaction) throw new Damage(`page ${number} is later than what leads to it`);
    for (const [index, node] of nodes.entries()) {
      // The first key of a branch is not looked at: it stands for all that is below the second.
      if (kind === 'branch' && index === 0) continue;
      const before = index === 0 || (kind === 'branch' && index === 1) ? low : nodes[index - 1]?.key;
      const isAfter = before === undefined || walk.compare(node.key, before) >= (index === 0 ? 0 : 1);
      if (!isAfter || (high !== undefined && walk.compare(node.key, high) >= 0)) {
        throw new Damage(`the rows of page ${number} are not in order`);
      }
    }
    if (kind === 'branch') {
      found.branches++;
      for (const [index, node] of nodes.entries()) {
        const bounds = { low: index === 0 ? low : node.key, high: nodes[index + 1]?.key ?? high };
        this.page({ number: node.child, depth: depth + 1, transaction }, bounds, walk, found);
      }
      return;
    }
    found.leaves++;
    found.entries += nodes.length;
    for (const node of nodes) {
      if (node.long !== undefined) found.overflows += this.useLong(node.long);
      walk.visit(node, { number, transaction });
    }
  }

  /** Only the first page has a header, which LMDB believes when the value is overwritten or removed. */
  private useLong({ page, pages, bytes, transaction }: NonNullable<Node['long']>): number {
    // A shorter value may have taken the place of a longer one.
    if (pages < pagesFor(bytes)) throw new Damage(`a value does not fit into its ${pages} pages`);
    for (let next = page; next < page + pages; next++) this.use(next);
    const header = this.file.header(page);
    const isSound =
      header?.number === page &&
      header.kind === 'overflow' &&
      header.pages === pages &&
      header.transaction === transaction;
    if (!isSound) throw new Damage(`page ${page} does not begin a long value`);
    return pages;
  }

  /** Each page belongs to one place only. */
  private use(page: number): void {
    if (page > this.lastPage || !Number.isSafeInteger(page)) throw new Damage(`there is no page ${page}`);
    if (this.has(page)) throw new Damage(`page ${page} is in two places`);
    this.used[page >> 3] = (this.used[page >> 3] ?? 0) | (1 << (page & 7));
    this.places++;
  }

  /** A count, then pages; a negative number says how many follow from the next one on, 0 is nothing. */
  private freePages({ value, long }: Node): number[] {
    const bytes = long === undefined ? value : longValue(this.file, long);
    if (bytes === undefined || bytes.length % NUMBER_BYTES !== 0)
      throw new Damage('the list of free pages is not one');
    const numbers = Array.from({ length: bytes.length / NUMBER_BYTES }, (_, index) =>
      Number(bytes.readBigInt64LE(index * NUMBER_BYTES)),
    );
    const count = numbers[0] ?? -1;
    if (count < 0 || count >= numbers.length) throw new Damage('the list of free pages is too short');
    const pages: number[] = [];
    for (let index = 1; index <= count; index++) {
      const number = numbers[index] ?? 0;
      const length = number < 0 ? -number : 1;
      const first = number < 0 ? (numbers[++index] ?? 0) : number;
      if (number === 0) continue;
      if (first < 2 || first + length - 1 > this.lastPage) throw new Damage(`page ${first} cannot be free`);
      for (let page = first; page < first + length; page++) pages.push(page);
    }
    return pages;
  }
}

/** Keys of the list of free pages are numbers. */
function byNumber(left: Buffer, right: Buffer): number {
  if (left.length !== NUMBER_BYTES || right.length !== NUMBER_BYTES) return -1;
  const [a, b] = [left.readBigUInt64LE(0), right.readBigUInt64LE(0)];
  return a < b ? -1 : a > b ? 1 : 0;
}
