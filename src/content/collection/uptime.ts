import { type Clock, decodeCbor, encodeCbor } from '../../base/index.js';
import type { Database } from '../../store/index.js';

const TABLE = 'content.state';
const KEY = 'uptime';

/**
 * How long this store has been open in all, in milliseconds: what things are aged by. No clock that anybody can set
 * is in it, so that a wrong date collects nothing; a pod that is switched off does not age what it holds.
 */
export class Uptime {
  private readonly database: Database;
  private readonly clock: Clock;
  private readonly before: number;
  private readonly startedMs: number;

  constructor(database: Database, clock: Clock) {
    this.database = database;
    this.clock = clock;
    const row = database.table(TABLE).get(KEY);
    this.before = row === undefined ? 0 : (decodeCbor(row) as number);
    this.startedMs = clock.monotonicMs();
  }

  now(): number {
    return Math.floor(this.before + this.clock.monotonicMs() - this.startedMs);
  }

  /** Writes it down; what passed since is lost in a crash, and things are kept for that much longer. */
  save(): Promise<void> {
    return this.database.write([{ table: TABLE, key: KEY, value: encodeCbor(this.now()) }]);
  }
}
