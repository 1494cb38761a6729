import { decodeCbor, encodeCbor } from '../base/cbor.js';
import { type Clock, type Log, messageOf } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { Placement } from '../placement/index.js';
import type { Database } from '../store/index.js';

const TABLE = 'scrub';
const KEY = 'round';
/** Every byte is read once in so long; a round is paced to take half of it. */
const ROUND_MS = 30 * 86_400_000;
const RATE_MIN_BYTES_PER_SECOND = 256 * 1024;
/** A start has better things to do. */
const START_DELAY_MS = 10 * 60_000;
const LOOK_MS = 60 * 60_000;

interface Round {
  /** Wall clock in milliseconds, only to know when the next one is due. */
  startedAt: number;
  /** Goes on behind this inode; null when the round is over. */
  after: string | null;
}

/** Verifies what is stored here, slowly and over restarts. @returns what ends it */
export function scrubInBackground(parts: {
  placement: Pick<Placement, 'scrub'>;
  content: Pick<ContentStore, 'usage'>;
  database: Database;
  clock: Clock;
  log: Log;
}): () => void {
  const { placement, content, database, clock, log } = parts;
  const stopping = new AbortController();
  const { signal } = stopping;
  const save = (round: Round) =>
    database.write([{ table: TABLE, key: KEY, value: encodeCbor({ ...round }) }]);
  const bytesPerSecond = () =>
    Math.max(RATE_MIN_BYTES_PER_SECOND, (2 * content.usage().bytes * 1000) / ROUND_MS);

  async function scrubOnce(): Promise<void> {
    const now = Number(clock.wallNs() / 1_000_000n);
    const last = readRound(database);
    const isDue = last === undefined || now - last.startedAt >= ROUND_MS || last.startedAt > now;
    if (last?.after === null && !isDue) return;
    const round: Round = last === undefined || last.after === null ? { startedAt: now, after: '' } : last;
    const so = await placement.scrub({
      after: round.after === '' || round.after === null ? undefined : round.after,
      bytesPerSecond,
      reached: (after) => {
        // Lost at the worst: a part is read twice.
        save({ ...round, after }).catch((error) =>
          log.warn('the scrub may begin anew', { reason: messageOf(error) }),
        );
      },
      signal,
    });
    await save({ ...round, after: null });
    log.info('every chunk was read', { ...so });
  }

  async function run(): Promise<void> {
    await clock.sleep(START_DELAY_MS, signal);
    for (;;) {
      await scrubOnce().catch((error) => {
        if (!signal.aborted) log.warn('the scrub goes on later', { reason: messageOf(error) });
      });
      await clock.sleep(LOOK_MS, signal);
    }
  }

  // It only ever ends by the signal.
  run().catch(() => {});
  return () => stopping.abort();
}

function readRound(database: Database): Round | undefined {
  const value = database.table(TABLE).get(KEY);
  if (value === undefined) return undefined;
  const { startedAt, after } = decodeCbor(value) as { startedAt?: unknown; after?: unknown };
  if (typeof startedAt !== 'number' || (typeof after !== 'string' && after !== null)) return undefined;
  return { startedAt, after };
}
