import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import type { Database } from '../../store/index.js';

/** Tables of the index's database that a rebuild of the index leaves as they are. */
export const PAST_TABLE = 'history-past';
export const DELETED_TABLE = 'history-deleted';
export const MASS_TABLE = 'history-mass';
export const STATE_TABLE = 'history-state';
export const HISTORY_TABLES: readonly string[] = [PAST_TABLE, DELETED_TABLE, MASS_TABLE, STATE_TABLE];

const UPTIME_KEY = 'uptime';

/** How long the store was open when that was noted last, in milliseconds. */
export function storedUptimeMs(database: Database): number {
  const row = database.table(STATE_TABLE).get(UPTIME_KEY);
  return row === undefined ? 0 : (decodeCbor(row) as number);
}

export function uptimePut(uptimeMs: number): { table: string; key: string; value: Uint8Array } {
  return { table: STATE_TABLE, key: UPTIME_KEY, value: encodeCbor(uptimeMs) };
}
