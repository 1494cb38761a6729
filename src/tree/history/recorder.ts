import { setImmediate } from 'node:timers/promises';
import type { Batch, Database } from '../../store/index.js';
import { contentKey } from '../resolver/registers.js';
import type { Row } from '../resolver/tables.js';
import type { Data, InodeId, OpId } from '../schema.js';
import type { HistoryLog, Put } from './history-log.js';
import { MassWatch } from './mass-watch.js';
import type { Passed } from './passed.js';
import {
  type DeletedEntry,
  deletedKey,
  encodeDeleted,
  encodePast,
  type PastVersion,
  pastKey,
  uptimeOf,
} from './records.js';
import { DELETED_TABLE, MASS_TABLE, PAST_TABLE, storedUptimeMs, uptimePut } from './tables.js';

/** What a resolution did to an inode; `before` is undefined for one that came deleted already. */
export interface Observed {
  inode: InodeId;
  before: Row | undefined;
  now: Row;
}

/** What a batch of changes leaves to history. */
export interface Notes {
  uptimeMs: number;
  puts: Put[];
  /** Entries that were visible here and are deleted. */
  lost: DeletedEntry[];
}

export interface RecorderParts {
  database: Database;
  /** What is noted, once more, for when the database is thrown away; undefined: it is then forgotten. */
  log: HistoryLog | undefined;
  monotonicMs: () => number;
  /** Entries of a folder that are there still, counted up to a limit. */
  left: (folder: InodeId, limit: number) => number;
}

/** Records that are looked at before others have their turn. */
const FORGET_PAGE = 500;
const AGING = [PAST_TABLE, DELETED_TABLE, MASS_TABLE];

/**
 * Notes what the index is about to forget: contents that were overwritten and entries that were deleted, in the very
 * batch that takes them away. Lives in the document's thread. Ages are counted in time that this store was open:
 * no clock that somebody can set makes history shorter.
 */
export class HistoryRecorder {
  private readonly parts: RecorderParts;
  private readonly openedMs: number;
  private readonly earlierMs: number;
  private readonly runs: MassWatch;

  constructor(parts: RecorderParts) {
    const { database, left } = parts;
    this.parts = parts;
    this.openedMs = parts.monotonicMs();
    if (storedUptimeMs(database) === 0) this.restore();
    this.earlierMs = storedUptimeMs(database);
    this.runs = new MassWatch((puts) => this.putNow(puts), left);
  }

  /** How long this store has been open in all, in milliseconds. */
  uptimeMs(): number {
    return Math.floor(this.earlierMs + this.parts.monotonicMs() - this.openedMs);
  }

  /** Decides what there is to note; changes nothing.
   *  @param wallMs this pod's wall clock for an inode */
  note(
    observed: readonly Observed[],
    passed: readonly Passed[],
    wallMs: (inode: InodeId) => number,
  ): Notes | undefined {
    const past = [
      ...observed.flatMap(overwritten),
      ...passed
        .filter(({ value }) => isKept(value))
        .map(({ inode, id, value }) => pastVersion(inode, id, value)),
    ];
    const saved = new Set([...observed.flatMap(arrived), ...past.map(({ content }) => content)]);
    const gone = observed.filter((change) => isDeletion(change) && !isMoved(change, saved));
    if (past.length === 0 && gone.length === 0) return undefined;
    const uptimeMs = this.uptimeMs();
    const notes: Notes = { uptimeMs, puts: [], lost: [] };
    for (const version of past) {
      const value = encodePast(uptimeMs, { ...version, at: wallMs(version.inode) });
      notes.puts.push({ table: PAST_TABLE, key: pastKey(version), value });
    }
    for (const change of gone) {
      const entry = this.deletion(change, uptimeMs, wallMs(change.inode));
      if (entry === undefined) continue;
      notes.puts.push({
        table: DELETED_TABLE,
        key: deletedKey(entry),
        value: encodeDeleted(uptimeMs, entry),
      });
      if (change.before !== undefined) notes.lost.push(entry);
    }
    notes.puts.push(uptimePut(uptimeMs));
    return notes;
  }

  /** Before the batch: what the index forgets in it is noted durably. @throws WormholeError `full` */
  keep({ uptimeMs, puts }: Notes): void {
    this.parts.log?.append(uptimeMs, puts);
  }

  /** Writes notes in the batch that makes them true. */
  write(batch: Batch, { puts }: Notes): void {
    for (const { table, key, value } of puts) batch.table(table).put(key, value);
  }

  /** The batch was written: looks whether too much goes at once. */
  written({ uptimeMs, lost }: Notes): void {
    this.runs.add(lost, uptimeMs);
  }

  /** Nothing happens for a while. */
  idle(): void {
    this.runs.settle();
    this.parts.log?.sync();
  }

  /** Forgets what was noted more than `periodMs` of uptime ago, a little at a time. */
  async forget(periodMs: number): Promise<void> {
    const now = this.uptimeMs();
    for (const table of AGING) {
      for (let after: string | undefined; ; ) {
        const page = [
          ...this.parts.database
            .table(table)
            .range({ limit: FORGET_PAGE, ...(after && { start: `${after}\0` }) }),
        ];
        const old = page.filter(({ value }) => now - uptimeOf(value) >= periodMs);
        after = page.at(-1)?.key;
        if (after === undefined) break;
        this.remove(table, old);
        await setImmediate();
      }
    }
    this.writeNow([uptimePut(now)]);
    await this.parts.log?.forget(now - periodMs);
  }

  private remove(name: string, entries: readonly { key: string }[]): void {
    if (entries.length === 0) return;
    this.parts.database.writeNow((batch) => {
      for (const { key } of entries) batch.table(name).remove(key);
    });
  }

  private putNow(puts: readonly Put[]): void {
    this.parts.log?.append(this.uptimeMs(), puts);
    this.writeNow(puts);
  }

  private writeNow(puts: readonly Put[]): void {
    this.parts.database.writeNow((batch) => {
      for (const { table, key, value } of puts) batch.table(table).put(key, value);
    });
  }

  /** The database is new: a power cut may have taken the one before. */
  private restore(): void {
    for (const { puts } of this.parts.log?.read() ?? []) this.writeNow(puts);
  }

  private deletion({ inode, before, now }: Observed, uptimeMs: number, at: number): DeletedEntry | undefined {
    const seat = before?.shown ?? before?.seat ?? now.seat;
    const kind = now.registers.d.at(-1)?.value.kind;
    if (seat === undefined || kind === undefined) return undefined;
    const by = now.registers.x.at(-1)?.id;
    return { inode, ...seat, kind, by, at, run: this.runs.runOf(by, uptimeMs) };
  }
}

/** Contents that the inode had and has no more; files only, and not the nothing that every file begins with. */
function overwritten({ inode, before, now }: Observed): PastVersion[] {
  if (before === undefined) return [];
  const [old, next] = [before.registers.d, now.registers.d];
  if (old.length === 1 && old[0]?.id === next.at(-1)?.id) return [];
  return old
    .filter(({ id, value }) => isKept(value) && !next.some((other) => isSame(other, id, value)))
    .map(({ id, value }) => pastVersion(inode, id, value));
}

function isKept(value: Data): boolean {
  return value.kind === 'file' && value.content !== '';
}

function isSame(other: { id: OpId; value: Data }, id: OpId, value: Data): boolean {
  return other.id === id || contentKey(other.value) === contentKey(value);
}

function pastVersion(inode: InodeId, version: OpId, { size, mtime, content }: Data): PastVersion {
  return { inode, version, size, mtime, content, at: 0 };
}

function isDeletion({ before, now }: Observed): boolean {
  if (before?.alive === false || now.alive || now.names > 0) return false;
  // A further name of a file that is there: nothing is lost with it.
  return now.registers.d.at(-1)?.value.kind !== 'link';
}

/** Contents that an inode has since this batch. */
function arrived({ before, now }: Observed): string[] {
  if (!now.alive || before === undefined) return [];
  return now.registers.d
    .filter(({ id, value }) => isKept(value) && !before.registers.d.some((old) => old.id === id))
    .map(({ value }) => value.content);
}

/** A file that was renamed over another ends, and its content goes on in the other: nothing is lost with it. */
function isMoved({ now }: Observed, saved: ReadonlySet<string>): boolean {
  return now.registers.d.some(({ value }) => isKept(value) && saved.has(value.content));
}
