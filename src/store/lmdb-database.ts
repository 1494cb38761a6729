import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { WormholeError } from '../base/index.js';
import type { Batch, Database, Table, Write } from './database.js';
import { databaseError } from './database-error.js';
import { DatabaseRoom } from './database-room.js';
import { DATA, prepareDatabase } from './lmdb-file.js';
import { checkKey, FIRST_KEY, keyEncoder } from './lmdb-key.js';
import { LmdbTable, type Store, type TableGuard } from './lmdb-table.js';
import { frameValue, valueEncoder } from './value-frame.js';

export interface DatabaseOptions {
  /** Address space that is set aside for the file, in bytes: no disk, no memory, and no limit, but growing past
   *  it while other threads read is not something LMDB does safely. */
  mapBytes?: number;
  /** False leaves commits to the kernel's own pace, for data that can be built again: see `beginUnflushed`. All
   *  threads of a process must say the same. */
  flushed?: boolean;
  /** All that the database ever has, also those of earlier versions; undefined: whatever is asked for. A table by another
   *  name is a mistake, or a name that rotted (`inspectDatabaseFile`). */
  tables?: readonly string[];
  /** Called when something read from the file shows that it is damaged. */
  onDamage?: TableGuard['damaged'];
}

/** One TiB: far above any index, and a hundred databases of one process still fit into 47 bits of address space. */
const mapBytesDefault = 2 ** 40;
const tablesMax = 64;
const fileMode = 0o600;
/** As LMDB stores the names of tables. */
const NAME_END = /\0$/;
/** The same for every table. */
const tableOptions = { cache: false, encoder: valueEncoder, keyEncoder };

/**
 * Opens the database in a folder, or makes it. Every thread that works with it opens it for itself.
 * @throws WormholeError `corrupt`, `full` or `io`
 */
export function openDatabase(path: string, options: DatabaseOptions = {}): Database {
  try {
    // Closing is asynchronous only where something was written.
    prepareDatabase(path, (folder) => void openRoot(folder, options).close());
    return new LmdbDatabase(openRoot(path, options), path, options);
  } catch (error) {
    throw databaseError(error, path);
  }
}

type Root = RootDatabase<Uint8Array, string>;

function openRoot(path: string, options: DatabaseOptions): Root {
  const rootOptions = {
    path,
    noSubdir: false,
    mapSize: options.mapBytes ?? mapBytesDefault,
    maxDbs: tablesMax,
    // LMDB's own commit: pages, fdatasync, then the page that makes them count. Whatever a reader can see is
    // on the disk. (lmdb's default trades this for a recovery that trusts the page cache of the same boot.)
    overlappingSync: false,
    noSync: options.flushed === false,
    // Each call of `write` is a batch of its own making; lmdb's automatic ones drop a promise when they fail.
    eventTurnBatching: false,
    permissionsMode: fileMode, // known to lmdb, but not to its types
    ...tableOptions,
  };
  return open<Uint8Array, string>(rootOptions);
}

class LmdbDatabase implements Database {
  private readonly root: Root;
  private readonly path: string;
  private readonly tables = new Map<string, LmdbTable>();
  private readonly known: readonly string[] | undefined;
  private readonly pending = new Set<Promise<void>>();
  private readonly guard: TableGuard;
  private readonly room: DatabaseRoom;
  private batch: { opened: string[]; claimed: number } | undefined;
  refusal: WormholeError | undefined;
  private closed = false;

  constructor(root: Root, path: string, { tables, onDamage }: DatabaseOptions) {
    this.root = root;
    this.path = path;
    this.guard = {
      check: () => this.checkOpen(),
      checkWrite: (bytes?: number) => this.checkBatch(bytes),
      damaged: (error, row) => onDamage?.(error, row),
    };
    const usedBytes = () => {
      const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
      return (lastPageNumber + 1) * pageSize;
    };
    this.room = new DatabaseRoom({ file: join(path, DATA), usedBytes });
    // To open a table lmdb begins a batch, which would wait for whoever commits one: not later, within a request.
    for (const name of root.getKeys({ start: FIRST_KEY })) this.writable(name.replace(NAME_END, ''));
    this.known = tables;
  }

  table(name: string): Table {
    return this.writable(name);
  }

  writeNow(work: (batch: Batch) => void): void {
    this.checkWritable();
    if (this.batch !== undefined) throw new WormholeError('internal', 'a batch was begun inside a batch');
    const batch: { opened: string[]; claimed: number } = { opened: [], claimed: 0 };
    this.batch = batch;
    try {
      this.root.transactionSync(() => {
        const result: unknown = work({ table: (name) => this.writable(name) });
        if (result instanceof Promise) {
          result.catch(() => {});
          throw new WormholeError('internal', 'the work of a batch must be synchronous');
        }
      });
    } catch (error) {
      // A table that was first used in here went with the transaction; its handle is dead.
      for (const name of batch.opened) this.tables.delete(name);
      throw isLmdbError(error) ? this.failed(error) : error;
    } finally {
      this.batch = undefined;
      this.room.release(batch.claimed);
    }
  }

  async write(puts: readonly Write[]): Promise<void> {
    this.checkWritable();
    for (const { key } of puts) checkKey(key);
    if (puts.length === 0) return;
    const targets = puts.map(({ table }) => this.writable(table).store);
    const claimed = this.claim(puts);
    const committed = this.root.batch(() => {
      for (const [index, { key, value }] of puts.entries()) {
        const store = targets[index] as Store;
        void (value === undefined ? store.remove(key) : store.put(key, frameValue(key, value)));
      }
    });
    const settled = committed.then(
      () => {},
      async (error) => {
        throw this.failed(await commitErrorOf(error));
      },
    );
    this.pending.add(settled);
    try {
      await settled;
    } finally {
      this.pending.delete(settled);
      this.room.release(claimed);
    }
  }

  async flush(): Promise<void> {
    // What is committed is flushed already; what failed was told to whoever wrote it.
    await Promise.allSettled([...this.pending]);
  }

  refresh(): void {
    this.checkOpen();
    this.root.resetReadTxn();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.flush();
    await this.root.close();
  }

  private writable(name: string): LmdbTable {
    this.checkOpen();
    const known = this.tables.get(name);
    if (known !== undefined) return known;
    if (this.known?.includes(name) === false)
      throw new WormholeError('internal', `the database has no table ${name}`);
    if (this.batch === undefined) this.probe();
    try {
      const store = this.root.openDB<Uint8Array, string>(name, tableOptions);
      const table = new LmdbTable(store, name, this.path, this.guard);
      this.tables.set(name, table);
      this.batch?.opened.push(name);
      return table;
    } catch (error) {
      throw databaseError(error, this.path);
    }
  }

  private checkOpen(): void {
    if (this.closed) throw new WormholeError('closed', `the database ${this.path} is closed`);
  }

  /** The project's error for a batch that lmdb could not carry out. */
  private failed(cause: unknown): WormholeError {
    const error = databaseError(cause, this.path);
    if (error.code === 'corrupt') this.guard.damaged(error);
    // The disk is failing: nothing is tried again.
    if (error.code === 'io') this.refusal ??= error;
    return error;
  }

  private checkWritable(): void {
    this.checkOpen();
    if (this.refusal !== undefined) throw this.refusal;
    this.probe();
  }

  /** When not even the page that ends a commit could be written, on whatever thread, LMDB takes no further batch,
   *  and lmdb would crash or wait without end. It is honest to readers, so one is begun first (2 µs). */
  private probe(): void {
    try {
      this.root.resetReadTxn();
      this.root.useReadTransaction().done();
    } catch (error) {
      throw this.failed(error);
    }
  }

  private checkBatch(bytes: number | undefined): void {
    this.checkOpen();
    if (this.batch === undefined) throw new WormholeError('internal', 'a table was written outside a batch');
    this.batch.claimed += this.room.claim(bytes);
  }

  /** Room for all of it or for nothing. */
  private claim(puts: readonly Write[]): number {
    let claimed = 0;
    try {
      for (const { value } of puts) claimed += this.room.claim(value?.length);
      return claimed;
    } catch (error) {
      this.room.release(claimed);
      throw error;
    }
  }
}

function isLmdbError(error: unknown): boolean {
  return !(error instanceof WormholeError) && typeof (error as { code?: unknown } | null)?.code === 'number';
}

/** A failed asynchronous commit rejects with an error that only promises the reason. */
async function commitErrorOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: unknown } | null)?.commitError;
  if (!(reason instanceof Promise)) return error;
  return reason.then(
    () => error,
    (cause) => cause,
  );
}
