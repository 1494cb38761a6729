import { diskError } from '../base/index.js';
import {
  longValue,
  type Meta,
  metaOf,
  type Node,
  PAGE_BYTES,
  PageFile,
  soundNodes,
  type TreeRecord,
  treeRecord,
} from './lmdb-pages.js';
import type { DamagedRow } from './lmdb-table.js';
import { Damage, PageWalk } from './lmdb-walk.js';
import { unframeValue } from './value-frame.js';

/** As much address space as a process has. */
const MAP_BYTES_MAX = 2 ** 47;
/** The last pages may have been given up before they were ever written. */
const PAGES_MISSING_MAX = (64 * 1024 * 1024) / PAGE_BYTES;
/** Keys are numbers: the list of free pages alone. */
const NUMBER_KEYS = 8;
/** In place of bytes that are no text. */
const NO_TEXT = '\ufffd';

export interface InspectionOptions {
  /** All that the database may hold: a name has no checksum. */
  tables: readonly string[];
  /** Long values are read as well: whoever asks for a row whose key rotted finds nothing, and nothing is said. */
  long: boolean;
  /** Hears of rows that are rotten in pages that are sound; without it they are damage as any. */
  rotten?: (row: DamagedRow) => void;
}

/**
 * Looks at all that LMDB believes of a file, without LMDB, which ends the process, or loops, on pages that contradict each
 * other. Each page has one place: in a tree, or among the free; none is later than what leads to it.
 * @returns what is wrong, for people; undefined when LMDB can be let at it
 * @throws WormholeError `io`
 */
export function inspectDatabaseFile(path: string, options: InspectionOptions): string | undefined {
  let file: PageFile | undefined;
  try {
    file = new PageFile(path);
    inspect(file, options);
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw diskError(`the database ${path}`, error);
  } finally {
    file?.close();
  }
}

function inspect(file: PageFile, options: InspectionOptions): void {
  const meta = newestMeta(file);
  const walk = new PageWalk(file, meta.lastPage);
  const found = tablesOf(walk, meta);
  checkNames(new Set(found.map(({ name }) => name)), options.tables);
  for (const { name, tree, transaction } of found) {
    const visit = (node: Node) => checkRow(file, name, node, options);
    walk.tree({ tree, name: `the table ${name}`, transaction, compare: Buffer.compare, visit });
  }
  walk.freeList(meta.free, meta.transaction);
  // An earlier state of a page, or a later one of a batch that was never committed, would be without its successor.
  if (walk.places !== meta.lastPage + 1) throw new Damage('some pages have no place');
}

function tablesOf(
  walk: PageWalk,
  { main, transaction }: Meta,
): { name: string; tree: TreeRecord; transaction: number }[] {
  const tables: { name: string; tree: TreeRecord; transaction: number }[] = [];
  walk.tree({
    tree: main,
    name: 'the list of tables',
    transaction,
    compare: Buffer.compare,
    visit: (node, { transaction }) => {
      const tree = tableOf(node);
      if (tree === undefined) throw new Damage('something in the list of tables is no table');
      tables.push({ name: tableName(node), tree, transaction });
    },
  });
  return tables;
}

/** The table that a node of the list of tables is. */
export function tableOf({ isTree, value }: Node): TreeRecord | undefined {
  const tree = isTree && value !== undefined ? treeRecord(value) : undefined;
  return tree?.flags === 0 && tree.padding === 0 ? tree : undefined;
}

/** LMDB's binding ends names by a zero. */
export function tableName({ key }: Node): string {
  return key.toString('latin1').replace(/\0$/, '');
}

/** A table that nobody knows is one of those that are missing. Where none is missing, somebody newer made it. */
function checkNames(found: ReadonlySet<string>, known: readonly string[]): void {
  const isMissing = known.some((name) => !found.has(name));
  const unknown = [...found].find((name) => !known.includes(name));
  if (isMissing && unknown !== undefined) throw new Damage(`there is no table ${unknown}`);
}

function checkRow(
  file: PageFile,
  table: string,
  { isTree, key, value, long }: Node,
  options: InspectionOptions,
): void {
  if (isTree) throw new Damage(`a table lies in the table ${table}`);
  if (long !== undefined && !options.long) return;
  const framed = long === undefined ? value : longValue(file, long);
  const text = key.toString();
  if (framed !== undefined && unframeValue(text, framed) !== undefined) return;
  // A key that is no text cannot be asked for.
  if (options.rotten === undefined || text.includes(NO_TEXT))
    throw new Damage(`a row of the table ${table} is damaged`);
  options.rotten({ table, key: text });
}

/** Of the two that are written in turns, what the later one says. */
function newestMeta(file: PageFile): Meta {
  const [even, odd] = [soundMeta(file, 0), soundMeta(file, 1)];
  if (even === undefined || odd === undefined) throw new Damage('its first pages are damaged');
  const newest = even.transaction > odd.transaction ? even : odd;
  const isTurn = even.transaction % 2 === 0 && (odd.transaction % 2 === 1 || odd.transaction === 0);
  const follows = Math.abs(even.transaction - odd.transaction) <= 1;
  if (!isTurn || !follows) throw new Damage('its first pages do not follow each other');
  return newest;
}

function soundMeta(file: PageFile, page: number): Meta | undefined {
  const bytes = file.read(page);
  const meta = metaOf(bytes);
  if (meta === undefined || !meta.isWhole) return undefined;
  const { mapBytes, lastPage, free, main } = meta;
  const isSound =
    // The record of free pages holds the size of pages where others hold nothing.
    free.padding === PAGE_BYTES &&
    free.flags === NUMBER_KEYS &&
    main.padding === 0 &&
    main.flags === 0 &&
    mapBytes <= MAP_BYTES_MAX &&
    (lastPage + 1) * PAGE_BYTES <= mapBytes &&
    lastPage < file.pages + PAGES_MISSING_MAX &&
    isOfItsTransaction(file, meta);
  return isSound ? meta : undefined;
}

/** Every batch writes the first page of the list of tables anew: the number of the batch is found there as well. */
function isOfItsTransaction(file: PageFile, { main: { root, depth }, transaction }: Meta): boolean {
  if (root === undefined) return true;
  const page = file.read(root);
  return soundNodes(page, root, depth === 1 ? 'leaf' : 'branch')?.transaction === transaction;
}
