import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Log, WormholeError } from '../../base/index.js';
import type { RecordLog } from '../../store/index.js';
import type { Space } from '../cache/space.js';
import { isStaged, Ranges } from './ranges.js';
import {
  decodeStagingRecord,
  encodeStagingRecord,
  type Redo,
  StagedEntries,
  type StagedEntry,
  type StagedShape,
  type StagingRecord,
  wholeShape,
} from './staged-state.js';

/** The log is written anew, with what is still staged only, when it is larger than this and than twice that. */
const COMPACT_BYTES = 4 * 1024 * 1024;

/** Records of files being written, so that a restart finds them again. */
export class StagingLog {
  private readonly log: RecordLog;
  private readonly space: Space;
  private lastId: number;
  private compactedBytes = 0;
  /** This run of the kernel, while the log does not say so. */
  private unnoted: string | undefined;
  /** What an earlier process left, by id; `powerCut`: bytes that were not synced are gone. */
  readonly left: ReadonlyMap<number, StagedEntry>;
  readonly powerCut: boolean;

  constructor(log: RecordLog, space: Space) {
    this.log = log;
    this.space = space;
    const found = foldLog(log);
    this.left = found.entries;
    this.lastId = found.lastId;
    const boot = bootId();
    this.powerCut = found.boot !== boot;
    this.noteBoot(boot);
  }

  /** A disk that is full must not keep the store from opening: it is noted before anything else is, then. */
  private noteBoot(boot: string): void {
    this.unnoted = undefined;
    try {
      this.append({ type: 'boot', boot });
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'full') throw error;
      this.unnoted = boot;
    }
  }

  /** A number for a new staged file. */
  nextId(): number {
    return ++this.lastId;
  }

  /** Survives the death of the process from here on. @throws WormholeError `full` | `io` */
  append(record: StagingRecord): void {
    if (this.unnoted !== undefined) {
      this.space.insist(() =>
        this.log.append(encodeStagingRecord({ type: 'boot', boot: this.unnoted ?? '' })),
      );
      this.unnoted = undefined;
    }
    this.space.insist(() => this.log.append(encodeStagingRecord(record)));
  }

  /** Notes that a file is staged no more; on a full disk the next start finds that out again. */
  forget(id: number): void {
    try {
      this.append({ type: 'end', id });
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'full') throw error;
    }
  }

  /** Resolves when everything appended so far survives a power cut. */
  sync(): Promise<void> {
    return this.log.sync();
  }

  /** Lets go of records of files that are no longer staged. */
  async compact(log: Log): Promise<void> {
    if (this.log.bytes < Math.max(COMPACT_BYTES, 2 * this.compactedBytes)) return;
    const staged = await this.rewrite();
    log.debug('compacted the staging log', { staged, bytes: this.compactedBytes });
  }

  /** @returns how many files are staged */
  private async rewrite(): Promise<number> {
    const upTo = this.log.next;
    const { entries } = foldLog(this.log);
    this.append({ type: 'boot', boot: bootId() });
    for (const [id, entry] of entries) {
      for (const record of recordsOf(id, entry)) this.append(record);
      if (entry.named > 0) this.append({ type: 'named', id, operation: entry.named });
    }
    await this.log.dropBefore(upTo);
    this.compactedBytes = this.log.bytes;
    return entries.size;
  }

  /** What of a staged file is really there; undefined when that is nothing. After a power cut, or where files are
   *  shorter than what was written to them, only what was synced counts. */
  surviving(id: number, entry: StagedEntry, folder: string): StagedEntry | undefined {
    if (entry.small !== undefined) return entry;
    const { key, durable, redo } = entry;
    const whole = wholeShape(entry);
    if (!this.powerCut && isRedone(id, whole, notWrittenSince(entry), folder) && hasFiles(id, whole, folder))
      return entry;
    if (isUntouched(durable) || !isRedone(id, durable, redo, folder) || !hasFiles(id, durable, folder))
      return undefined;
    this.append({ type: 'begin', id, key, durable, after: [] });
    return { key, durable, after: [], marked: 0, redo: [], redoMarked: 0, named: 0 };
  }

  close(): Promise<void> {
    return this.log.close();
  }
}

/** Numbers of the staging files that an entry's bytes lie in. */
export function filesOf(entry: StagedEntry): Set<number> {
  return filesIn(wholeShape(entry));
}

function filesIn({ ranges }: StagedShape): Set<number> {
  return new Set(
    ranges
      .list()
      .filter(({ file }) => isStaged(file))
      .map(({ file }) => file),
  );
}

function isUntouched(shape: StagedShape): boolean {
  return shape.ranges.count === 0 && shape.size === shape.baseSize && shape.visible === shape.baseSize;
}

function hasFiles(id: number, shape: StagedShape, folder: string): boolean {
  const lengths = new Map<number, number>();
  for (const { end, file } of shape.ranges.list()) {
    if (!isStaged(file)) continue;
    if (!lengths.has(file)) lengths.set(file, lengthOf(join(folder, `${id}.${file}`)));
    if (end > lengths.get(file)!) return false;
  }
  return true;
}

/** What is to be written again, without what was written over since. */
function notWrittenSince({ redo, after }: StagedEntry): Redo[] {
  const later = new Ranges();
  for (const change of after) {
    const over = 'write' in change ? change.write : 'borrow' in change ? change.borrow : undefined;
    if (over !== undefined) later.set(over.start, over.end, 0);
  }
  const parts: Redo[] = [];
  for (const { file, start, bytes } of redo) {
    for (let at = start; at < start + bytes.length; ) {
      const { end, file: over } = later.at(at, start + bytes.length);
      if (over === undefined) parts.push({ file, start: at, bytes: bytes.subarray(at - start, end - start) });
      at = end;
    }
  }
  return parts;
}

/** Writes to the staging files of a shape what only the log was made to keep; nothing tells for certain whether the
 *  power was cut. @returns false when a file is missing */
function isRedone(id: number, shape: StagedShape, redo: readonly Redo[], folder: string): boolean {
  for (const file of filesIn(shape)) {
    const parts = redo.filter((part) => part.file === file);
    if (parts.length === 0) continue;
    const path = join(folder, `${id}.${file}`);
    if (!existsSync(path)) return false;
    const descriptor = openSync(path, 'r+');
    try {
      for (const { start, bytes } of parts) writeSync(descriptor, bytes, 0, bytes.length, start);
      fdatasyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
  return true;
}

function lengthOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? -1;
}

function foldLog(log: RecordLog): StagedEntries {
  const found = new StagedEntries();
  for (const { record } of log.read(log.first)) found.apply(decodeStagingRecord(record));
  return found;
}

function recordsOf(id: number, entry: StagedEntry): StagingRecord[] {
  const { key, small, durable, after, marked, redo, redoMarked } = entry;
  if (small !== undefined) return [{ type: 'small', id, key, base: small.base, content: small.content }];
  const [before, since] = [after.slice(0, marked), after.slice(marked)];
  const records: StagingRecord[] = [
    { type: 'begin', id, key, durable, after: redo.length === 0 ? before : [] },
  ];
  if (redo.length > 0)
    records.push({ type: 'redo', id, parts: redo }, { type: 'changes', id, changes: before });
  // A sync is under way: what it will say is meant of the same changes.
  if (marked + redoMarked > 0) records.push({ type: 'mark', id });
  if (since.length > 0) records.push({ type: 'changes', id, changes: since });
  return records;
}

/** Names this run of the kernel: while it lasts, what was written is in its page cache. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
