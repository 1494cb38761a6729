// Decision 3, measured: our database on lmdb beside others, on the same rows and in one run.
// `WORMHOLE_ALTERNATIVES=<folder> node dist/bench/decisions/database.js`, where the folder has any of
// better-sqlite3 and classic-level installed; without it only lmdb is measured.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/index.js';

interface Row {
  key: string;
  value: Uint8Array;
}

/** What a store of ours has to do; every `put` is one batch and durable when it ends. */
interface Candidate {
  put(rows: Row[]): void | Promise<void>;
  get(key: string): unknown;
  /** @returns the number of rows from `start` to before `end` */
  list(start: string, end: string): number | Promise<number>;
  close(): void | Promise<void>;
}

const FOLDERS = 10;
const FILES = 10_000;
const GETS = 20_000;
const COMMITS = 100;
const BLOBS = 5_000;

const keyOf = (folder: number, file: number) => `folder-${folder}/name of a file ${file}.txt`;
const attributes = Buffer.alloc(120, 'attributes');

function lmdb(path: string): Candidate {
  const database = openDatabase(path);
  const table = database.table('rows');
  return {
    put: (rows) =>
      database.writeNow((batch) => {
        const writable = batch.table('rows');
        for (const { key, value } of rows) writable.put(key, value);
      }),
    get: (key) => table.get(key),
    list: (start, end) => {
      let count = 0;
      for (const _ of table.range({ start, end })) count++;
      return count;
    },
    close: () => database.close(),
  };
}

interface Sqlite {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): {
    run(...values: unknown[]): unknown;
    get(...values: unknown[]): { value: Uint8Array } | undefined;
    iterate(...values: unknown[]): Iterable<unknown>;
  };
  transaction<T>(work: (argument: T) => void): (argument: T) => void;
  close(): void;
}

function sqlite(open: new (path: string) => Sqlite, path: string): Candidate {
  const database = new open(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID');
  const put = database.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?)');
  const get = database.prepare('SELECT value FROM rows WHERE key = ?');
  const list = database.prepare('SELECT key, value FROM rows WHERE key >= ? AND key < ?');
  return {
    put: database.transaction((rows: Row[]) => {
      for (const { key, value } of rows) put.run(Buffer.from(key), value);
    }),
    get: (key) => get.get(Buffer.from(key))?.value,
    list: (start, end) => {
      let count = 0;
      for (const _ of list.iterate(Buffer.from(start), Buffer.from(end))) count++;
      return count;
    },
    close: () => database.close(),
  };
}

interface Level {
  open(): Promise<void>;
  batch(operations: unknown[], options: { sync: boolean }): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  iterator(range: { gte: string; lt: string }): AsyncIterable<unknown>;
  close(): Promise<void>;
}

async function level(open: new (path: string, options: object) => Level, path: string): Promise<Candidate> {
  const database = new open(path, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  await database.open();
  return {
    put: (rows) =>
      database.batch(
        rows.map((row) => ({ type: 'put', ...row })),
        { sync: true },
      ),
    get: (key) => database.get(key),
    list: async (start, end) => {
      let count = 0;
      for await (const _ of database.iterator({ gte: start, lt: end })) count++;
      return count;
    },
    close: () => database.close(),
  };
}

/** All candidates that are to be had, each in an empty folder. */
async function candidates(folder: string): Promise<Map<string, Candidate>> {
  const found = new Map<string, Candidate>([['lmdb', lmdb(join(folder, 'lmdb'))]]);
  const alternatives = process.env['WORMHOLE_ALTERNATIVES'];
  if (alternatives === undefined) return found;
  const require = createRequire(join(alternatives, 'package.json'));
  found.set('better-sqlite3', sqlite(require('better-sqlite3'), join(folder, 'sqlite')));
  found.set('classic-level', await level(require('classic-level').ClassicLevel, join(folder, 'level')));
  return found;
}

/** Milliseconds that some work took. */
async function time(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function fill(candidate: Candidate): Promise<void> {
  for (let folder = 0; folder < FOLDERS; folder++) {
    for (let from = 0; from < FILES; from += FILES / 2) {
      const rows = Array.from({ length: FILES / 2 }, (_, i) => ({
        key: keyOf(folder, from + i),
        value: attributes,
      }));
      await candidate.put(rows);
    }
  }
}

async function getAll(candidate: Candidate): Promise<void> {
  for (let i = 0; i < GETS; i++) {
    const value = candidate.get(keyOf((i * 7) % FOLDERS, (i * 7919) % FILES));
    if ((value instanceof Promise ? await value : value) === undefined) throw new Error('a row is missing');
  }
}

async function listOne(candidate: Candidate): Promise<void> {
  const count = await candidate.list('folder-3/', 'folder-30');
  if (count !== FILES) throw new Error(`${count} rows instead of ${FILES}`);
}

async function commitAll(candidate: Candidate): Promise<void> {
  for (let i = 0; i < COMMITS; i++) {
    // Always other bytes: SQLite writes nothing where nothing changed.
    const value = Buffer.alloc(120, `${Math.random()}`);
    await candidate.put([0, 1].map((n) => ({ key: keyOf(n, i), value })));
  }
}

async function putBlobs(candidate: Candidate): Promise<void> {
  for (let from = 0; from < BLOBS; from += 100) {
    const blob = (i: number) => ({ key: `blob-${(i * 7919) % BLOBS}`, value: Buffer.alloc(4096, i) });
    await candidate.put(Array.from({ length: 100 }, (_, i) => blob(from + i)));
  }
}

/** Figure → the work, how often it is measured, and what its milliseconds are multiplied by. */
const FIGURES: [
  name: string,
  work: (candidate: Candidate) => Promise<void>,
  rounds: number,
  factor: number,
][] = [
  ['put of a row in batches of 5,000, µs', fill, 1, 1000 / (FOLDERS * FILES)],
  ['get of a row, µs', getAll, 5, 1000 / GETS],
  ['listing of 10,000 rows, ms', listOne, 5, 1],
  ['durable batch of two rows, ms', commitAll, 5, 1 / COMMITS],
  ['5,000 blobs of 4 KiB, ms', putBlobs, 1, 1],
];

function bytesBelow(folder: string): number {
  const names = readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, String(name))));
  return names.filter((stats) => stats.isFile()).reduce((sum, stats) => sum + stats.size, 0);
}

const folder = mkdtempSync(join(tmpdir(), 'wormhole-bench-'));
try {
  const all = await candidates(folder);
  const rows: Record<string, Record<string, string>> = {};
  for (const [name, work, rounds, factor] of FIGURES) {
    const times = new Map([...all.keys()].map((key): [string, number[]] => [key, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [key, candidate] of all) times.get(key)?.push((await time(() => work(candidate))) * factor);
    }
    const medians = [...times].map(([key, list]): [string, number] => [
      key,
      list.sort((a, b) => a - b)[rounds >> 1] ?? 0,
    ]);
    const own = medians[0]?.[1] ?? 0;
    rows[name] = Object.fromEntries(
      medians.map(([key, ms]) => [key, `${ms.toFixed(2)} (${(ms / own).toFixed(1)}x)`]),
    );
  }
  for (const candidate of all.values()) await candidate.close();
  console.table(rows);
  console.log(`bytes on disk, all together: ${bytesBelow(folder)}`);
} finally {
  rmSync(folder, { recursive: true });
}
