import { tableName, tableOf } from './lmdb-inspection.js';
import {
  BODY_BYTES,
  headerOf,
  longValue,
  type Meta,
  metaOf,
  type Node,
  nodeAt,
  nodeStarts,
  PAGE_BYTES,
  PageFile,
  possibleNodes,
  soundNodes,
  type TreeRecord,
} from './lmdb-pages.js';
import { Damage, PageWalk } from './lmdb-walk.js';
import { unframeValue } from './value-frame.js';

/** A row whose checksum is right. Its table is not known where no way leads to its page any more, nor where it may have been
 *  written over or removed since. */
export interface SavedRow {
  table: string | undefined;
  key: string;
  value: Uint8Array;
}

/** What is left in a damaged file. Rows without a table come first: where a table still has the key, its row is the later
 *  one. */
export function* remainingRows(path: string, tables: readonly string[]): Generator<SavedRow> {
  const file = new PageFile(path);
  try {
    const remains = new Remains(file);
    const pages = remains.pages();
    const isMissing = tables.some((table) => !pages.has(table));
    for (const isKnown of [false, true]) {
      for (const [table, numbers] of pages) {
        const home = isMissing && !tables.includes(table ?? '') ? undefined : table;
        if ((home !== undefined) !== isKnown) continue;
        for (const number of numbers) yield* remains.rows(number, home);
      }
    }
  } finally {
    file.close();
  }
}

interface Candidate {
  name: string;
  tree: TreeRecord;
}

/** A page, and between which keys its own should be. */
interface Reference {
  page: number;
  low: Buffer | undefined;
  high: Buffer | undefined;
}

interface SoundTable {
  walk: PageWalk;
  /** Its leaves. */
  pages: Set<number>;
}

class Remains {
  private readonly file: PageFile;
  private readonly lastPage: number;

  constructor(file: PageFile) {
    this.file = file;
    this.lastPage = file.pages - 1;
  }

  /** The leaf pages of each table; of none, where that cannot be told. */
  pages(): Map<string | undefined, Set<number>> {
    const found = new Map<string | undefined, Set<number>>([[undefined, new Set()]]);
    const meta = this.newestMeta();
    const free = meta === undefined ? undefined : this.freePages(meta);
    const lists = [...this.leaves(meta?.main.root, () => true).keys()];
    const sound = this.soundTables(lists, free);
    const walks = [...sound.values()].map(({ walk }) => walk);
    const taken = free === undefined ? walks : [free, ...walks];
    for (const [name, { pages }] of sound) {
      found.set(name, new Set());
      for (const page of pages) {
        const isOwn = taken.filter((walk) => walk.has(page)).length === 1;
        found.get(isOwn ? name : undefined)?.add(page);
      }
    }
    // Of a table that is damaged, all that is nobody else's.
    const isOpen = (page: number) => !lists.includes(page) && !taken.some((walk) => walk.has(page));
    const damaged = new Set<string>();
    for (const { name, tree } of this.candidates(lists)) {
      if (sound.has(name)) continue;
      damaged.add(name);
      if (!found.has(name)) found.set(name, new Set());
      for (const [page, isOwn] of this.leaves(tree.root, isOpen))
        found.get(isOwn ? name : undefined)?.add(page);
    }
    const reached = new Set([...found.values()].flatMap((pages) => [...pages]));
    const isListed = lists.every((page) => soundNodes(this.file.read(page), page, 'leaf') !== undefined);
    const isFreeKnown = free !== undefined && !walks.some((walk) => walk.meets(free));
    const [only] = isFreeKnown && isListed && damaged.size === 1 ? damaged : [];
    for (let page = 2; page <= this.lastPage; page++) {
      const isLost = !reached.has(page) && isOpen(page) && this.isLeaf(page, meta?.transaction);
      if (isLost) found.get(only)?.add(page);
    }
    return found;
  }

  *rows(number: number, table: string | undefined): Generator<SavedRow> {
    const { nodes, isSure } = this.nodes(number);
    for (const node of nodes) {
      if (node.isTree) continue;
      const framed = node.long === undefined ? node.value : longValue(this.file, node.long);
      const key = node.key.toString();
      const value = framed === undefined ? undefined : unframeValue(key, framed);
      if (value !== undefined) yield { table: isSure ? table : undefined, key, value };
    }
  }

  /** Tables without damage; of two by one name, the one that is not of earlier days. */
  private soundTables(lists: readonly number[], free: PageWalk | undefined): Map<string, SoundTable> {
    const found = new Map<string, SoundTable>();
    for (const { name, tree } of this.candidates(lists)) {
      const pages = new Set<number>();
      const walk = new PageWalk(this.file, this.lastPage);
      const visit = (_: Node, page: { number: number }) => pages.add(page.number);
      const isSound = isWhole(() =>
        walk.tree({ tree, name, transaction: Number.MAX_SAFE_INTEGER, compare: Buffer.compare, visit }),
      );
      const isEarlier = free !== undefined && walk.meets(free);
      if (isSound && !(isEarlier && found.has(name))) found.set(name, { walk, pages });
    }
    return found;
  }

  /** Undefined where the list of them is damaged. */
  private freePages({ free, transaction }: Meta): PageWalk | undefined {
    const walk = new PageWalk(this.file, this.lastPage);
    return isWhole(() => walk.freeList(free, transaction)) ? walk : undefined;
  }

  /** By the batch that wrote its list of tables, which each batch writes anew; by its own word only where the other of the
   *  two bears that out. */
  private newestMeta(): Meta | undefined {
    const metas = [0, 1].map((page) => metaOf(this.file.read(page))).filter((meta) => meta !== undefined);
    const dated = metas.map((meta) => {
      const { root } = meta.main;
      const age = root === undefined ? undefined : this.ageOfList(root);
      if (age !== undefined) return { ...meta, transaction: age };
      const moved = root === undefined ? undefined : this.listOf(meta.transaction);
      if (moved !== undefined) return { ...meta, main: { ...meta.main, root: moved } };
      const isBorneOut = metas.every((other) => Math.abs(other.transaction - meta.transaction) <= 1);
      return isBorneOut ? meta : undefined;
    });
    return dated
      .filter((meta) => meta !== undefined)
      .sort((left, right) => right.transaction - left.transaction)[0];
  }

  private listOf(transaction: number): number | undefined {
    for (let page = 2; page <= this.lastPage; page++) if (this.ageOfList(page) === transaction) return page;
    return undefined;
  }

  /** Of a page that is a whole list of tables: the batch that wrote it. */
  private ageOfList(page: number): number | undefined {
    if (page < 2 || page > this.lastPage) return undefined;
    const list = soundNodes(this.file.read(page), page, 'leaf');
    return list?.nodes.every((node) => tableOf(node) !== undefined) ? list.transaction : undefined;
  }

  private candidates(lists: readonly number[]): Candidate[] {
    return lists.flatMap((page) =>
      [...this.nodes(page).nodes].flatMap((node) => {
        const tree = tableOf(node);
        return tree === undefined ? [] : [{ name: tableName(node), tree }];
      }),
    );
  }

  /** Of a batch that was committed, not of one that was under way. */
  private isLeaf(page: number, newest = Number.MAX_SAFE_INTEGER): boolean {
    const { kind, number, transaction } = headerOf(this.file.read(page));
    return kind === 'leaf' && number === page && transaction <= newest;
  }

  /** Pages below `root` that are no branches, damaged ones too; and whether their keys are those that lead to them. */
  private leaves(root: number | undefined, isOpen: (page: number) => boolean): Map<number, boolean> {
    const found = new Map<number, boolean>();
    const seen = new Set<number>();
    const open: Reference[] = root === undefined ? [] : [{ page: root, low: undefined, high: undefined }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { page: number, low, high } = next;
      if (number < 2 || number > this.lastPage || seen.has(number) || !isOpen(number)) continue;
      seen.add(number);
      const page = this.file.read(number);
      const header = headerOf(page);
      const branches = soundNodes(page, number, 'branch')?.nodes;
      if (branches !== undefined) {
        for (const [index, { key, child }] of branches.entries()) {
          const bounds = { low: index === 0 ? low : key, high: branches[index + 1]?.key ?? high };
          open.push({ page: child, ...bounds });
        }
      } else if (header.kind !== 'branch') {
        const keys = soundNodes(page, number, 'leaf')?.nodes.map(({ key }) => key) ?? [];
        const isBelow = (key: Buffer) => low !== undefined && key.compare(low) < 0;
        const isAbove = (key: Buffer) => high !== undefined && key.compare(high) >= 0;
        found.set(number, !keys.some((key) => isBelow(key) || isAbove(key)));
      } else if (header.lower <= BODY_BYTES) {
        for (const start of nodeStarts(page, header)) {
          const node = nodeAt(page, start, 'branch');
          if (node !== undefined) open.push({ page: node.child, low, high });
        }
      }
    }
    return found;
  }

  /** Of a page that is damaged, all that could be a node in it. Below the nodes in use lie earlier ones, so that where these
   *  begin has to be said twice. */
  private nodes(number: number): { nodes: Iterable<Node>; isSure: boolean } {
    const page = this.file.read(number);
    if (page.length < PAGE_BYTES) return { nodes: [], isSure: false };
    const sound = soundNodes(page, number, 'leaf');
    if (sound !== undefined) return { nodes: sound.nodes, isSure: true };
    const header = headerOf(page);
    const { kind, lower, upper } = header;
    const isList = kind === 'leaf' && header.number === number && lower % 2 === 0 && lower <= upper;
    const isSure = isList && upper <= BODY_BYTES && Math.min(...nodeStarts(page, header)) === upper;
    return { nodes: possibleNodes(page, isSure ? upper : 0), isSure };
  }
}

function isWhole(walk: () => void): boolean {
  try {
    walk();
    return true;
  } catch (error) {
    if (error instanceof Damage) return false;
    throw error;
  }
}
