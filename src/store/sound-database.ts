import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS, type Log, WormholeError } from '../base/index.js';
import type { Database } from './database.js';
import { openDatabase } from './lmdb-database.js';
import { DATA } from './lmdb-file.js';
import { inspectDatabaseFile } from './lmdb-inspection.js';
import type { SavedRow } from './lmdb-remains.js';
import { salvageDatabase } from './lmdb-salvage.js';
import type { DamagedRow } from './lmdb-table.js';

export interface SoundDatabaseOptions {
  /** All that the database ever has; see `DatabaseOptions`. */
  tables: readonly string[];
  /** The table of a row that was saved, where that is not known; undefined: the row is left out. */
  home: (row: SavedRow) => string | undefined;
  log: Log;
}

/** In place of bytes that are no text. */
const NO_TEXT = '\ufffd';

/** Beside a database while it is in use, or was met with damage, or was left by a process that died. */
interface Mark {
  /** Rows that are not what was put. */
  rows: DamagedRow[];
}

/**
 * Opens a database that only this thread uses, and before that repairs it if it is damaged: LMDB itself would end the
 * process. Who meets damage later, or dies in the midst of work, finds it looked at and repaired at the next start.
 * @throws WormholeError `full` or `io`
 */
export async function openSoundDatabase(folder: string, options: SoundDatabaseOptions): Promise<Database> {
  const { tables, log } = options;
  const path = `${folder}.in-use`;
  const left = readMark(path);
  const rotten = left?.rows ?? [];
  // A row whose key is damaged cannot be asked for.
  const isKeyless = rotten.some(({ key }) => key.includes(NO_TEXT));
  const damage = isKeyless
    ? 'the key of a row is no text'
    : damageOf(join(folder, DATA), tables, left !== undefined, (row) => rotten.push(row));
  if (damage !== undefined) await repair(folder, damage, options);
  const mark: Mark = { rows: [] };
  let isDamaged = false;
  const open = () =>
    openDatabase(folder, {
      tables,
      onDamage: ({ message }, row) => {
        if (!isDamaged) log.error('the database is damaged', { reason: message, ...row });
        isDamaged = true;
        if (row !== undefined) mark.rows.push(row);
        writeMark(path, mark);
      },
    });
  let database: Database;
  try {
    database = open();
  } catch (error) {
    if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
    await repair(folder, error.message, options);
    database = open();
  }
  for (const row of rotten) removeIfDamaged(database, row, log);
  mark.rows = [];
  isDamaged = false;
  writeMark(path, mark);
  const close = database.close.bind(database);
  database.close = async () => {
    await close();
    if (!isDamaged) rmSync(path, { force: true });
  };
  return database;
}

/** What is wrong with a file that is small enough to be looked at always, or was in use when its process ended. */
function damageOf(
  data: string,
  tables: readonly string[],
  wasInUse: boolean,
  rotten: (row: DamagedRow) => void,
): string | undefined {
  const bytes = statSync(data, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) return undefined;
  const long = bytes <= LIMITS.databaseInspectedBytes;
  return long || wasInUse ? inspectDatabaseFile(data, { tables, long, rotten }) : undefined;
}

async function repair(folder: string, reason: string, options: SoundDatabaseOptions): Promise<void> {
  const { damaged, rows } = await salvageDatabase(folder, (path) => openDatabase(path), options);
  options.log.error(
    'the database was damaged: its rows are in a new one, what was lost comes back from other pods',
    {
      reason,
      rows,
      damaged,
    },
  );
}

/** Readers of a whole table would stumble over it again and again. */
function removeIfDamaged(database: Database, { table, key }: DamagedRow, log: Log): void {
  try {
    database.table(table).get(key);
  } catch (error) {
    if (!(error instanceof WormholeError) || error.code !== 'corrupt') throw error;
    database.writeNow((batch) => batch.table(table).remove(key));
    log.error('a damaged row was taken out of the database', { table, key });
  }
}

function readMark(path: string): Mark | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const { rows } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Mark>;
    const isRow = ({ table, key }: Partial<DamagedRow>) =>
      typeof table === 'string' && typeof key === 'string';
    return { rows: (rows ?? []).filter(isRow) };
  } catch {
    // Cut off while it was written.
    return { rows: [] };
  }
}

/** Without room for it, the next start trusts what it finds. */
function writeMark(path: string, mark: Mark): void {
  try {
    writeFileSync(path, JSON.stringify(mark), { mode: 0o600 });
  } catch {
    // A disk that is full or read-only.
  }
}
