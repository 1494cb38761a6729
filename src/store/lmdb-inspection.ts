import { diskError } from '../base/index.js';
import {
  longValue,
  type Meta,
  metaOf,
  type Node,
  PAGE_BYTES,
  PageFile,
  pagesFor,
  soundNodes,
  type TreeRecord,
  treeRecord,
} from './lmdb-pages.js';
import { unframeValue } from './value-frame.js';

/** Deeper than any tree that fits on a disk. */
const DEPTH_MAX = 32;
/** As much address space as a process has. */
const MAP_BYTES_MAX = 2 ** 47;
/** Bytes of a number in the list of free pages. */
const NUMBER_BYTES = 8;

class Damage extends Error {}

/**
 * Walks all trees of a database's file, without LMDB, which ends the process, or loops, on pages that contradict each
 * other. Long values are not read (each carries a checksum that readers compare), so a gigabyte of them costs nothing.
 * @param rows the checksums of the others are compared as well: whoever asks for a row whose key rotted finds nothing
 * @returns what is wrong, for people; undefined when LMDB can be let at it
 * @throws WormholeError `io`
 */
export function inspectDatabaseFile(path: string, { rows = false } = {}): string | undefined {
  let file: PageFile | undefined;
  try {
    file = new PageFile(path);
    new Inspection(file, rows).run();
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw diskError(`the database ${path}`, error);
  } finally {
    file?.close();
  }
}

interface Walk {
  tree: TreeRecord;
  name: string;
  compare: (left: Buffer, right: Buffer) => number;
  visit: (node: Node) => void;
  found: { branches: number; leaves: number; overflows: number; entries: number };
}

class Inspection {
  private readonly file: PageFile;
  private readonly meta: Meta;
  /** One bit a page: some tree has it. */
  private readonly used: Uint8Array;
  private readonly rows: boolean;

  constructor(file: PageFile, rows: boolean) {
    this.file = file;
    this.rows = rows;
    this.meta = newestMeta(file);
    this.used = new Uint8Array(Math.ceil((this.meta.lastPage + 1) / 8));
    this.use(0);
    this.use(1);
  }

  run(): void {
    const tables: [string, TreeRecord][] = [];
    this.walk(this.meta.main, 'the list of tables', Buffer.compare, ({ key, value, isTree }) => {
      const tree = isTree && value !== undefined ? treeRecord(value) : undefined;
      if (tree === undefined) throw new Damage('something in the list of tables is no table');
      tables.push([key.toString('latin1'), tree]);
    });
    for (const [name, tree] of tables) {
      this.walk(tree, `the table ${name}`, Buffer.compare, ({ isTree, key, value }) => {
        if (isTree) throw new Damage(`a table lies in the table ${name}`);
        if (this.rows && value !== undefined && unframeValue(key.toString(), value) === undefined)
          throw new Damage(`a row of the table ${name} is damaged`);
      });
    }
    const free: number[] = [];
    this.walk(this.meta.free, 'the list of free pages', byNumber, (node) => {
      for (const page of this.freePages(node)) free.push(page);
    });
    // Last: whoever is given a page of somebody else writes over it.
    for (const page of free) this.use(page);
  }

  private walk(tree: TreeRecord, name: string, compare: Walk['compare'], visit: Walk['visit']): void {
    const found = { branches: 0, leaves: 0, overflows: 0, entries: 0 };
    const { root, depth, branches, leaves, overflows, entries } = tree;
    if (root === undefined) {
      if (entries !== 0) throw new Damage(`${name} has lost its pages`);
      return;
    }
    if (depth < 1 || depth > DEPTH_MAX) throw new Damage(`${name} cannot be so deep`);
    this.page(root, 1, { low: undefined, high: undefined }, { tree, name, compare, visit, found });
    const same =
      found.branches === branches &&
      found.leaves === leaves &&
      found.overflows === overflows &&
      found.entries === entries;
    if (!same) throw new Damage(`${name} does not have the pages and rows that it should have`);
  }

  private page(
    number: number,
    depth: number,
    { low, high }: { low: Buffer | undefined; high: Buffer | undefined },
    walk: Walk,
  ): void {
    this.use(number);
    const page = this.file.read(number);
    const kind = depth === walk.tree.depth ? 'leaf' : 'branch';
    const nodes = checkedNodes(page, number, kind);
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
      walk.found.branches++;
      for (const [index, node] of nodes.entries()) {
        const bounds = { low: index === 0 ? low : node.key, high: nodes[index + 1]?.key ?? high };
        this.page(node.child, depth + 1, bounds, walk);
      }
      return;
    }
    walk.found.leaves++;
    walk.found.entries += nodes.length;
    for (const node of nodes) {
      if (node.long !== undefined) walk.found.overflows += this.useLong(node.long);
      walk.visit(node);
    }
  }

  private useLong({ page, pages, bytes }: NonNullable<Node['long']>): number {
    // A shorter value may have taken the place of a longer one.
    if (pages < pagesFor(bytes)) throw new Damage(`a value does not fit into its ${pages} pages`);
    for (let next = page; next < page + pages; next++) this.use(next);
    return pages;
  }

  /** Each page belongs to one place only. */
  private use(page: number): void {
    if (page > this.meta.lastPage || !Number.isSafeInteger(page))
      throw new Damage(`there is no page ${page}`);
    const [at, bit] = [page >> 3, 1 << (page & 7)];
    if (((this.used[at] ?? 0) & bit) !== 0) throw new Damage(`page ${page} is in two places`);
    this.used[at] = (this.used[at] ?? 0) | bit;
  }

  /** A count, then pages; a negative number says how many follow from the next one on, 0 is nothing. */
  private freePages({ key, value, long }: Node): number[] {
    const bytes = long === undefined ? value : longValue(this.file, long);
    if (key.length !== NUMBER_BYTES || bytes === undefined || bytes.length % NUMBER_BYTES !== 0)
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
      if (first < 2 || first + length - 1 > this.meta.lastPage)
        throw new Damage(`page ${first} cannot be free`);
      for (let page = first; page < first + length; page++) pages.push(page);
    }
    return pages;
  }
}

function checkedNodes(page: Buffer, number: number, kind: 'branch' | 'leaf'): Node[] {
  const nodes = soundNodes(page, number, kind);
  if (nodes === undefined) throw new Damage(`page ${number} is not what it should be`);
  return nodes;
}

/** Of the two that are written in turns, what the later one says. */
function newestMeta(file: PageFile): Meta {
  const [even, odd] = [metaOf(file.read(0)), metaOf(file.read(1))];
  if (even === undefined || odd === undefined) throw new Damage('its first pages are damaged');
  const newest = even.transaction > odd.transaction ? even : odd;
  const isTurn = even.transaction % 2 === 0 && (odd.transaction % 2 === 1 || odd.transaction === 0);
  const follows = Math.abs(even.transaction - odd.transaction) <= 1;
  if (!isTurn || !follows) throw new Damage('its first pages do not follow each other');
  for (const { mapBytes, lastPage } of [even, odd]) {
    if (
      mapBytes > MAP_BYTES_MAX ||
      (lastPage + 1) * PAGE_BYTES > mapBytes ||
      lastPage >= file.pages + PAGES_MISSING_MAX
    )
      throw new Damage('its first pages are damaged');
  }
  return newest;
}

/** The last pages may have been given up before they were ever written. */
const PAGES_MISSING_MAX = (64 * 1024 * 1024) / PAGE_BYTES;

/** Keys of the list of free pages are numbers. */
function byNumber(left: Buffer, right: Buffer): number {
  if (left.length !== NUMBER_BYTES || right.length !== NUMBER_BYTES) return -1;
  const [a, b] = [left.readBigUInt64LE(0), right.readBigUInt64LE(0)];
  return a < b ? -1 : a > b ? 1 : 0;
}
