import { linkSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Database } from './database.js';
import { syncPath } from './folder.js';
import { DATA } from './lmdb-file.js';
import { remainingRows, type SavedRow } from './lmdb-remains.js';

const BATCH_ROWS = 1_000;

/**
 * Makes a new database of all rows that a damaged one still has, and puts it in its place; the damaged file stays beside
 * it. No thread may have it open.
 * @param home of a row of which the table is not known, or whether it is the last of its key; undefined: it is left out
 * @returns where the damaged file is, and how many rows were saved
 * @throws WormholeError `full` | `io`; nothing has changed then
 */
export async function salvageDatabase(
  folder: string,
  open: (folder: string) => Database,
  { tables, home }: { tables: readonly string[]; home: (row: SavedRow) => string | undefined },
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
    for (const row of remainingRows(data, tables)) {
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
  syncPath(folder);
  rmSync(fresh, { recursive: true, force: true });
  return { damaged, rows };
}

function freeName(path: string): string {
  const taken = new Set(readdirSync(dirname(path)).map((name) => join(dirname(path), name)));
  for (let number = 1; ; number++) if (!taken.has(`${path}-${number}`)) return `${path}-${number}`;
}
