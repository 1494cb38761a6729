import { LIMITS, WormholeError } from '../../base/index.js';
import type { InodeId, OpId } from '../schema.js';
import type { Put } from './history-log.js';
import { type DeletedEntry, encodeMass, type MassDeletion, massKey } from './records.js';
import { MASS_TABLE } from './tables.js';

/** In an actor id: the five bytes that all starts of one pod have in common. */
const POD_DIGITS = 10;
/** Folders that are named for people. */
const NAMED_FOLDERS = 10;
/** Folders of one run that are held in memory; beyond, another run begins. */
const FOLDERS_MAX = 100_000;
/** The first count of a folder comes when it has lost twice as many. */
const CHECKED_FIRST = 5;

/** What one pod deletes without a pause. */
interface Run {
  number: number;
  pod: string;
  lastMs: number;
  by: OpId;
  from: number;
  to: number;
  deleted: number;
  /** What `deleted` was when it was written down last. */
  written: number;
  folders: Map<InodeId, Loss>;
  /** Folders that lost something in the last batch, and since all were looked at. */
  fresh: Set<InodeId>;
  changed: Set<InodeId>;
  isMass: boolean;
}

interface Loss {
  deleted: number;
  /** What `deleted` was when the folder's entries were counted last. */
  checked: number;
  /** Entries that were left when they were counted last; set once that was less than half. */
  left: number | undefined;
}

/**
 * Watches for deletions that take more than half of a folder at once. Counting what is left costs as much as what
 * was deleted since the last count, so a deletion of any size is counted in time that is proportional to it.
 */
export class MassWatch {
  private readonly put: (puts: readonly Put[]) => void;
  private readonly left: (folder: InodeId, limit: number) => number;
  private readonly runs = new Map<string, Run>();
  private last = 0;

  /** @param put writes at once
   *  @param left entries of a folder that are there still, counted up to a limit */
  constructor(put: (puts: readonly Put[]) => void, left: (folder: InodeId, limit: number) => number) {
    this.put = put;
    this.left = left;
  }

  /** The run that a deletion belongs to; numbers are times of the store's uptime, so that they never come again. */
  runOf(by: OpId | undefined, uptimeMs: number): number {
    const pod = podOf(by);
    const run = this.runs.get(pod);
    if (run !== undefined && isOpen(run, uptimeMs)) return run.number;
    if (run !== undefined) this.end(run);
    this.last = Math.max(this.last + 1, uptimeMs);
    this.runs.set(pod, newRun(this.last, pod, uptimeMs));
    return this.last;
  }

  add(deleted: readonly DeletedEntry[], uptimeMs: number): void {
    for (const entry of deleted) {
      const run = this.runs.get(podOf(entry.by));
      if (run?.number === entry.run) count(run, entry, uptimeMs);
    }
    for (const run of this.runs.values()) {
      for (const inode of run.fresh) this.lookAt(run, inode, false);
      run.fresh.clear();
      if (run.isMass && run.deleted >= 2 * run.written) this.write(run);
    }
  }

  /** Looks at what was not worth counting while it went on. */
  settle(): void {
    for (const run of this.runs.values()) this.settleRun(run);
  }

  private end(run: Run): void {
    this.settleRun(run);
    this.runs.delete(run.pod);
  }

  private settleRun(run: Run): void {
    for (const inode of run.changed) this.lookAt(run, inode, true);
    const isDue = run.isMass && run.changed.size > 0;
    if (!isDue || this.write(run)) run.changed.clear();
  }

  private lookAt(run: Run, inode: InodeId, thorough: boolean): void {
    const loss = run.folders.get(inode);
    if (loss === undefined || !(thorough || isWorthCounting(loss))) return;
    this.countLeft(inode, loss);
    run.isMass ||= loss.left !== undefined;
  }

  private countLeft(inode: InodeId, loss: Loss): void {
    loss.checked = loss.deleted;
    const left = this.left(inode, loss.deleted);
    const isMass = left < loss.deleted && left + loss.deleted >= LIMITS.massDeletionEntriesMin;
    if (isMass) loss.left = left;
  }

  /** @returns false when the disk is full: later perhaps */
  private write(run: Run): boolean {
    const folders = [...run.folders]
      .flatMap(([inode, { deleted, left }]) => (left === undefined ? [] : [{ inode, deleted, left }]))
      .sort((a, b) => b.deleted - a.deleted)
      .slice(0, NAMED_FOLDERS);
    const { number, pod, by, from, to, deleted } = run;
    const mass: MassDeletion = { run: number, pod, by, from, to, deleted, folders };
    try {
      this.put([{ table: MASS_TABLE, key: massKey(mass), value: encodeMass(run.lastMs, mass) }]);
    } catch (error) {
      if (error instanceof WormholeError && error.code === 'full') return false;
      throw error;
    }
    run.written = deleted;
    return true;
  }
}

function isWorthCounting({ left, deleted, checked }: Loss): boolean {
  return left === undefined && deleted >= 2 * checked;
}

function isOpen(run: Run, uptimeMs: number): boolean {
  return uptimeMs - run.lastMs <= LIMITS.massDeletionPauseMs && run.folders.size < FOLDERS_MAX;
}

function newRun(number: number, pod: string, uptimeMs: number): Run {
  return {
    number,
    pod,
    lastMs: uptimeMs,
    by: '',
    from: Number.POSITIVE_INFINITY,
    to: 0,
    deleted: 0,
    written: 0,
    folders: new Map(),
    fresh: new Set(),
    changed: new Set(),
    isMass: false,
  };
}

function count(run: Run, { parent, by, at }: DeletedEntry, uptimeMs: number): void {
  run.lastMs = uptimeMs;
  run.by = by ?? run.by;
  run.from = Math.min(run.from, at);
  run.to = Math.max(run.to, at);
  run.deleted++;
  const loss = run.folders.get(parent);
  if (loss === undefined) run.folders.set(parent, { deleted: 1, checked: CHECKED_FIRST, left: undefined });
  else loss.deleted++;
  run.fresh.add(parent);
  run.changed.add(parent);
}

/** What all actor ids of a pod begin with; empty for what no tombstone did. */
function podOf(by: OpId | undefined): string {
  return by === undefined ? '' : by.slice(by.indexOf('@') + 1).slice(0, POD_DIGITS);
}
