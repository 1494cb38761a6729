import type { StorageAdapterInterface } from '@automerge/automerge-repo';
import { type Clock, type Log, messageOf } from '../base/index.js';
import type { Database } from '../store/index.js';

const TABLE = 'membership-document';
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;

type StorageKey = string[];

/**
 * automerge-repo's storage over our database. What it says is saved is flushed. A save never fails, since the
 * repo drops what a failed one held and leaves the rejection unhandled: it waits until the disk takes it.
 */
export class DatabaseStorage implements StorageAdapterInterface {
  private readonly database: Database;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly closing = new AbortController();

  constructor(options: { database: Database; clock: Clock; log: Log }) {
    this.database = options.database;
    this.clock = options.clock;
    this.log = options.log;
  }

  async load(key: StorageKey): Promise<Uint8Array | undefined> {
    const value = this.database.table(TABLE).get(join(key));
    return value === undefined ? undefined : Uint8Array.from(value);
  }

  async loadRange(prefix: StorageKey): Promise<{ key: StorageKey; data: Uint8Array }[]> {
    const entries = this.database.table(TABLE).range(below(prefix));
    return [...entries].map(({ key, value }) => ({ key: key.split('/'), data: Uint8Array.from(value) }));
  }

  save(key: StorageKey, data: Uint8Array): Promise<void> {
    // The repo may go on using the buffer.
    const value = Uint8Array.from(data);
    return this.untilWritten([{ table: TABLE, key: join(key), value }]);
  }

  remove(key: StorageKey): Promise<void> {
    return this.untilWritten([{ table: TABLE, key: join(key) }]);
  }

  removeRange(prefix: StorageKey): Promise<void> {
    const keys = [...this.database.table(TABLE).keys(below(prefix))];
    return this.untilWritten(keys.map((key) => ({ table: TABLE, key })));
  }

  /** Lets go of what the disk would not take. */
  close(): void {
    this.closing.abort();
  }

  private async untilWritten(writes: { table: string; key: string; value?: Uint8Array }[]): Promise<void> {
    let delayMs = RETRY_MIN_MS;
    while (!this.closing.signal.aborted) {
      try {
        await this.database.write(writes);
        await this.database.flush();
        return;
      } catch (error) {
        this.log.warn('the members document is not saved yet', {
          reason: messageOf(error),
          retryMs: delayMs,
        });
        await this.clock.sleep(delayMs, this.closing.signal).catch(() => {});
        delayMs = Math.min(delayMs * 2, RETRY_MAX_MS);
      }
    }
  }
}

/** Where a new document's first snapshot lies, for the repo to find it. */
export function snapshotWrite(document: string, snapshot: Uint8Array, hash: string) {
  return { table: TABLE, key: join([document, 'snapshot', hash]), value: snapshot };
}

function join(key: StorageKey): string {
  return key.join('/');
}

function below(prefix: StorageKey): { start: string; end: string } {
  // '0' follows '/' in byte order.
  return { start: `${join(prefix)}/`, end: `${join(prefix)}0` };
}
