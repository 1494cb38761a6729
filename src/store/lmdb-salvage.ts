import { linkSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Database } from './database.js';
import { syncFolder } from './folder.js';
import { DATA } from './lmdb-file.js';
import {
  BODY_BYTES,
  headerOf,
  longValue,
  metaOf,
  type Node,
  nodeAt,
  nodeStarts,
  PAGE_BYTES,
  PageFile,
  soundNodes,
  treeRecord,
} from './lmdb-pages.js';
import { unframeValue } from './value-frame.js';

/** A row whose checksum is right. Where no way leads to its page any more, its table is not known. */
export interface SavedRow {
  table: string | undefined;
  key: string;
  value: Uint8Array;
}

const BATCH_ROWS = 1_000;

/**
 * Makes a new database of all rows that a damaged one still has, and puts it in its place; the damaged file stays beside
 * it. No thread may have it open.
 * @param home of a row of which the table is not known, or undefined: it is left out
 * @returns where the damaged file is, and how many rows were saved
 * @throws WormholeError `full` | `io`; nothing has changed then
 */
export async function salvageDatabase(
  folder: string,
  open: (folder: string) => Database,
  home: (row: SavedRow) => string | undefined,
): Promise<{ damaged: string; rows: number }> {
  const data = join(folder, DATA);
  const fresh = `${folder}.salvaged`;
  rmSync(fresh, { recursive: true, force: true });
  const database = open(fresh);
  let rows = 0;
  try {
    let batch: Required<SavedRow>[] = [];
    const write = () => {
      database.writeNow((target) => {
        for (const { table, key, value } of batch) target.table(table ?? '').put(key, value);
      });
      batch = [];
    };
    for (const row of rowsIn(data)) {
      const table = row.table ?? home(row);
      if (table === undefined || row.key === '') continue;
      batch.push({ ...row, table });
      rows++;
      if (batch.length >= BATCH_ROWS) write();
    }
    write();
  } finally {
    await database.close();
  }
  const damaged = freeName(`${data}.damaged`);
  linkSync(data, damaged);
  renameSync(join(fresh, DATA), data);
  syncFolder(folder);
  rmSync(fresh, { recursive: true, force: true });
  return { damaged, rows };
}

function freeName(path: string): string {
  const taken = new Set(readdirSync(dirname(path)).map((name) => join(dirname(path), name)));
  for (let number = 1; ; number++) if (!taken.has(`${path}-${number}`)) return `${path}-${number}`;
}

/** Rows without a table first: where a table still has the key, its row is the later one. */
function* rowsIn(path: string): Generator<SavedRow> {
  const file = new PageFile(path);
  try {
    const salvage = new Salvage(file);
    const named = salvage.tables();
    yield* salvage.lost(named);
    for (const [table, pages] of named) for (const page of pages) yield* salvage.rows(page, table);
  } finally {
    file.close();
  }
}

class Salvage {
  private readonly file: PageFile;

  constructor(file: PageFile) {
    this.file = file;
  }

  /** The leaf pages of each table, as far as a way leads to them. */
  tables(): Map<string, Set<number>> {
    const found = new Map<string, Set<number>>();
    const metas = [0, 1]
      .map((page) => metaOf(this.file.read(page)))
      .filter((meta) => meta !== undefined)
      .sort((left, right) => right.transaction - left.transaction);
    const [newest] = metas;
    if (newest?.main.root === undefined) return found;
    for (const page of this.leaves(newest.main.root)) {
      for (const { key, isTree, value } of this.nodes(page)) {
        const tree = isTree && value !== undefined ? treeRecord(value) : undefined;
        if (tree?.root !== undefined) found.set(key.toString(), new Set(this.leaves(tree.root)));
      }
    }
    return found;
  }

  /** Rows of leaf pages that no table leads to: cut off by the damage, or of earlier days. */
  *lost(named: ReadonlyMap<string, ReadonlySet<number>>): Generator<SavedRow> {
    const reached = new Set([...named.values()].flatMap((pages) => [...pages]));
    for (let page = 2; page < this.file.pages; page++) {
      if (reached.has(page)) continue;
      const { kind, number } = headerOf(this.file.read(page));
      if (kind === 'leaf' && number === page) yield* this.rows(page, undefined);
    }
  }

  *rows(page: number, table: string | undefined): Generator<SavedRow> {
    for (const node of this.nodes(page)) {
      if (node.isTree) continue;
      const framed = node.long === undefined ? node.value : longValue(this.file, node.long);
      const key = node.key.toString();
      const value = framed === undefined ? undefined : unframeValue(key, framed);
      if (value !== undefined) yield { table, key, value };
    }
  }

  /** Pages below `root` that are no branches, damaged ones too. */
  private leaves(root: number): number[] {
    const found: number[] = [];
    const seen = new Set<number>();
    const open = [root];
    for (let number = open.pop(); number !== undefined; number = open.pop()) {
      if (number < 2 || number >= this.file.pages || seen.has(number)) continue;
      seen.add(number);
      const page = this.file.read(number);
      const header = headerOf(page);
      if (header.kind !== 'branch') found.push(number);
      else if (header.lower <= BODY_BYTES) {
        for (const start of nodeStarts(page, header)) {
          const node = nodeAt(page, start, 'branch');
          if (node !== undefined) open.push(node.child);
        }
      }
    }
    return found;
  }

  /** Of a page that is damaged, all that could be a node anywhere in it. */
  private *nodes(number: number): Generator<Node> {
    const page = this.file.read(number);
    if (page.length < PAGE_BYTES) return;
    const nodes = soundNodes(page, number, 'leaf');
    if (nodes !== undefined) return yield* nodes;
    for (let start = 0; start < BODY_BYTES; start += 2) {
      const node = nodeAt(page, start, 'leaf');
      if (node !== undefined && node.key.length > 0) yield node;
    }
  }
}
