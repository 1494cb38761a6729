import { decodeCbor, encodeCbor } from '../../base/cbor.js';
import { LIMITS, type Log, messageOf, WormholeError } from '../../base/index.js';
import { openRecordLog, type RecordLog } from '../../store/index.js';

/** One record of a table. */
export interface Put {
  table: string;
  key: string;
  value: Uint8Array;
}

const VERSION = 1;
const SEGMENT_BYTES = 1024 * 1024;

/**
 * What history notes, once more: the index is thrown away after a power cut and made anew from the document, which
 * does not tell what was overwritten. Kept as long as history reaches. Trouble with it is reported and stops nothing.
 */
export class HistoryLog {
  private readonly records: RecordLog;
  private readonly log: Log;
  private readonly monotonicMs: () => number;
  private syncedMs: number;
  private unsynced = false;

  constructor(records: RecordLog, log: Log, monotonicMs: () => number) {
    this.records = records;
    this.log = log;
    this.monotonicMs = monotonicMs;
    this.syncedMs = monotonicMs();
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.records.bytes;
  }

  /** Survives the death of the process, and a power cut some seconds later. @throws WormholeError `full` */
  append(uptimeMs: number, puts: readonly Put[]): void {
    const stored = puts.map(({ table, key, value }) => [table, key, value]);
    try {
      this.records.append(encodeCbor([VERSION, uptimeMs, stored]));
    } catch (error) {
      if (error instanceof WormholeError && error.code === 'full') throw error;
      this.log.warn('history is not noted durably', { reason: messageOf(error) });
      return;
    }
    this.unsynced = true;
    if (this.monotonicMs() - this.syncedMs >= LIMITS.closeDurableWithinMs) this.sync();
  }

  /** Begins to make it durable. */
  sync(): void {
    if (!this.unsynced) return;
    this.unsynced = false;
    this.syncedMs = this.monotonicMs();
    this.records
      .sync()
      .catch((error) => this.log.warn('history is not noted durably', { reason: messageOf(error) }));
  }

  /** Everything that is kept, the oldest first, as far as it can be read. */
  *read(): Generator<{ uptimeMs: number; puts: Put[] }> {
    for (const { record } of this.records.read(this.records.first)) {
      const [version, uptimeMs, stored] = decodeCbor(record) as [
        number,
        number,
        [string, string, Uint8Array][],
      ];
      if (version !== VERSION) continue;
      yield {
        uptimeMs,
        puts: stored.map(([table, key, value]) => ({ table, key, value: Uint8Array.from(value) })),
      };
    }
  }

  /** Lets go of what was noted before a time, a segment at a time. */
  async forget(beforeMs: number): Promise<void> {
    for (const { number, record } of this.records.read(this.records.first)) {
      const [, uptimeMs] = decodeCbor(record) as [number, number];
      if (uptimeMs >= beforeMs) return this.records.dropBefore(number);
    }
    await this.records.dropBefore(this.records.next);
  }

  async close(): Promise<void> {
    this.sync();
    await this.records.close();
  }
}

export async function openHistoryLog(
  folder: string,
  log: Log,
  monotonicMs: () => number,
): Promise<HistoryLog> {
  const { log: records, condition } = await openRecordLog(folder, { segmentBytes: SEGMENT_BYTES });
  if (condition.damagedAt !== undefined) log.error('the log of history is damaged', condition.damagedAt);
  else if (condition.tornBytes > 0)
    log.warn('the end of the log of history was torn and cut off', { ...condition });
  return new HistoryLog(records, log, monotonicMs);
}
