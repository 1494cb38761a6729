import type { Database } from '../../store/index.js';
import type { Row, Seat } from '../resolver/tables.js';
import { compareOpIds, type InodeId, type Kind, type OpId, ROOT } from '../schema.js';
import {
  type DeletedEntry,
  decodeDeleted,
  decodeMass,
  decodePast,
  type MassDeletion,
  type PastVersion,
} from './records.js';
import { DELETED_TABLE, MASS_TABLE, PAST_TABLE, storedUptimeMs } from './tables.js';

/** A deleted inode, as it was at last. */
export interface DeletedNode {
  id: InodeId;
  kind: Kind;
  /** Bytes. */
  size: number;
  /** Nanoseconds since 1970. */
  mtime: bigint;
  content: string;
  mode: number;
  versions: readonly OpId[];
}

/** A content that the tree named and names no more in that place. */
export interface Remembered {
  /** Where it was; a folder around it that was moved since counts as where it is now. */
  path: string;
  content: string;
  /** Milliseconds since this pod saw it go, in time that the store was open. */
  ageMs: number;
}

/** Records that are read at a time. */
const PAGE = 256;

/**
 * What can be brought back: contents that were overwritten and entries that were deleted, as this pod saw it, for as
 * long as the network's history reaches. Reads what the index shows; operations that are not in it yet are not here.
 */
export class History {
  private readonly database: Database;
  private readonly row: (inode: InodeId) => Row | undefined;
  private readonly monotonicMs: () => number;
  private readonly openedMs: number;
  private readonly earlierMs: number;

  constructor(database: Database, row: (inode: InodeId) => Row | undefined, monotonicMs: () => number) {
    this.database = database;
    this.row = row;
    this.monotonicMs = monotonicMs;
    this.openedMs = monotonicMs();
    this.earlierMs = storedUptimeMs(database);
  }

  /** All contents that were overwritten or deleted and are remembered, in no order; a page is some milliseconds. */
  *remembered(): Generator<Remembered[]> {
    for (const page of this.pages(PAST_TABLE)) {
      yield page.flatMap(({ key, value }) => {
        const noted = decodePast(key, value);
        if (noted === undefined) return [];
        const { inode, content } = noted.value;
        return [{ path: this.pathOf(inode), content, ageMs: this.ageMs(noted.uptimeMs) }];
      });
    }
    for (const page of this.pages(DELETED_TABLE)) {
      yield page.flatMap(({ key, value }) => {
        const noted = decodeDeleted(key, value);
        if (noted === undefined) return [];
        const { inode, parent, name } = noted.value;
        const folder = this.pathOf(parent);
        const path = folder === '/' ? `/${name}` : `${folder}/${name}`;
        const ageMs = this.ageMs(noted.uptimeMs);
        const data = this.row(inode)?.registers.d ?? [];
        return data
          .filter((one) => one.value.kind === 'file' && one.value.content !== '')
          .map((one) => ({ path, content: one.value.content, ageMs }));
      });
    }
  }

  /** Earlier contents of an inode, the latest first. */
  versions(inode: InodeId): PastVersion[] {
    const found: PastVersion[] = [];
    const table = this.database.table(PAST_TABLE);
    for (const { key, value } of table.range({ start: `${inode}\0`, end: `${inode}\x01` })) {
      const noted = decodePast(key, value);
      if (noted !== undefined) found.push(noted.value);
    }
    return found.sort((a, b) => compareOpIds(b.version, a.version));
  }

  /** What was deleted under a name of a folder (under any name, without one), and is not back. */
  deletedIn(folder: InodeId, name?: string): DeletedEntry[] {
    const prefix = name === undefined ? `${folder}\0` : `${folder}\0${name}\0`;
    return this.deletedBetween(prefix, `${prefix.slice(0, -1)}\x01`, Number.POSITIVE_INFINITY).entries;
  }

  /** A page of everything (in one folder) that was deleted and is not back; go on after `last` until there is none. */
  deletedAfter(
    after: string | undefined,
    limit: number,
    folder?: InodeId,
  ): { entries: DeletedEntry[]; last?: string } {
    const first = folder === undefined ? '' : `${folder}\0`;
    const end = folder === undefined ? undefined : `${folder}\x01`;
    return this.deletedBetween(after === undefined ? first : `${after}\0`, end, limit);
  }

  /** The latest last. Whether they were undone already, their entries tell. */
  massDeletions(): MassDeletion[] {
    const found: MassDeletion[] = [];
    for (const { key, value } of this.database.table(MASS_TABLE).range({})) {
      const noted = decodeMass(key, value);
      if (noted !== undefined) found.push(noted.value);
    }
    return found;
  }

  /** A deleted inode as it was at last; undefined for one that is not deleted, or has no data. */
  deleted(inode: InodeId): DeletedNode | undefined {
    const row = this.row(inode);
    const version = row?.registers.d.at(-1);
    if (row === undefined || row.alive || version === undefined) return undefined;
    const { kind, size, mtime, content, mode } = version.value;
    const attributes = row.registers.a.at(-1)?.value;
    return {
      id: inode,
      kind,
      size,
      mtime: attributes?.mtime ?? mtime,
      content,
      mode: attributes?.mode ?? mode,
      versions: [version.id],
    };
  }

  /** Where an inode is or was, then the folder around it, and so on to the root. */
  around(inode: InodeId): Seat[] {
    const seats: Seat[] = [];
    const seen = new Set<InodeId>();
    for (let at = inode; at !== ROOT && !seen.has(at); ) {
      seen.add(at);
      const row = this.row(at);
      const seat = row?.shown ?? row?.seat;
      if (seat === undefined) break;
      seats.push(seat);
      at = seat.parent;
    }
    return seats;
  }

  /** The path of an inode, or what it was. */
  pathOf(inode: InodeId): string {
    const names = this.around(inode).map(({ name }) => name);
    return `/${names.reverse().join('/')}`;
  }

  /** Whether something that a run deleted in a folder is still gone, judged by so many entries; when they do not tell,
   *  it is. */
  isMissing(folder: InodeId, run: number, entries: number): boolean {
    let isBack = false;
    const table = this.database.table(DELETED_TABLE);
    const range = { start: `${folder}\0`, end: `${folder}\x01`, limit: entries };
    for (const { key, value } of table.range(range)) {
      const noted = decodeDeleted(key, value);
      if (noted?.value.run !== run) continue;
      if (this.row(noted.value.inode)?.alive === false) return true;
      isBack = true;
    }
    return !isBack;
  }

  /** Later than the document's thread counts it by no more than its start took. */
  private ageMs(uptimeMs: number): number {
    return this.earlierMs + this.monotonicMs() - this.openedMs - uptimeMs;
  }

  private *pages(name: string): Generator<{ key: string; value: Uint8Array }[]> {
    for (let after: string | undefined; ; ) {
      const start = after === undefined ? {} : { start: `${after}\0` };
      const page = [...this.database.table(name).range({ limit: PAGE, ...start })];
      after = page.at(-1)?.key;
      if (after === undefined) return;
      yield page;
    }
  }

  private deletedBetween(
    start: string,
    end: string | undefined,
    limit: number,
  ): { entries: DeletedEntry[]; last?: string } {
    const entries: DeletedEntry[] = [];
    let last: string | undefined;
    let left = limit;
    const table = this.database.table(DELETED_TABLE);
    for (const { key, value } of table.range({ start, ...(end !== undefined && { end }) })) {
      if (left-- <= 0) break;
      last = key;
      const noted = decodeDeleted(key, value);
      if (noted !== undefined && this.row(noted.value.inode)?.alive === false) entries.push(noted.value);
    }
    return last === undefined ? { entries } : { entries, last };
  }
}
