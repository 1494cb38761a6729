import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import type { Clock } from '../../base/index.js';
import type { Database } from '../../store/index.js';

const TABLE = 'content.state';
const KEY = 'uptime';
const SAVE_EVERY_MS = 10 * 60 * 1000;

/**
 * How long this store has been open in all, in milliseconds: what things are aged by. No clock that anybody can set
 * is in it, so that a wrong date collects nothing; a pod that is switched off does not age what it holds.
 */
export class Uptime {
  private readonly database: Database;
  private readonly clock: Clock;
  private readonly before: number;
  private readonly startedMs: number;
  private savedMs: number;

  constructor(database: Database, clock: Clock) {
    this.database = database;
    this.clock = clock;
    const row = database.table(TABLE).get(KEY);
    this.before = row === undefined ? 0 : (decodeCbor(row) as number);
    this.startedMs = clock.monotonicMs();
    this.savedMs = this.before;
  }

  now(): number {
    return Math.floor(this.before + this.clock.monotonicMs() - this.startedMs);
  }

  /** Writes it down; what passed since is lost in a crash, and things are kept for that much longer. */
  save(): Promise<void> {
    this.savedMs = this.now();
    return this.database.write([{ table: TABLE, key: KEY, value: encodeCbor(this.savedMs) }]);
  }

  /** As {@link save}, but seldom: a disk that has nothing to do should be left alone. */
  async saveNowAndThen(): Promise<void> {
    if (this.now() - this.savedMs >= SAVE_EVERY_MS) await this.save();
  }
}
