import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../base/index.js';
import type { RecordLog } from '../../store/index.js';
import type { Space } from '../cache/space.js';
import { isHole } from './ranges.js';
import {
  decodeStagingRecord,
  encodeStagingRecord,
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
    this.append({ type: 'boot', boot });
  }

  /** A number for a new staged file. */
  nextId(): number {
    return ++this.lastId;
  }

  /** Survives the death of the process from here on. @throws WormholeError `full` | `io` */
  append(record: StagingRecord): void {
    this.space.insist(() => this.log.append(encodeStagingRecord(record)));
  }

  /** Resolves when everything appended so far survives a power cut. */
  sync(): Promise<void> {
    return this.log.sync();
  }

  /** Lets go of records of files that are no longer staged. */
  async compact(log: Log): Promise<void> {
    if (this.log.bytes < Math.max(COMPACT_BYTES, 2 * this.compactedBytes)) return;
    const upTo = this.log.next;
    const { entries } = foldLog(this.log);
    this.append({ type: 'boot', boot: bootId() });
    for (const [id, entry] of entries) {
      this.append(recordOf(id, entry));
      if (entry.named > 0) this.append({ type: 'named', id, operation: entry.named });
    }
    await this.log.dropBefore(upTo);
    this.compactedBytes = this.log.bytes;
    log.debug('compacted the staging log', { staged: entries.size, bytes: this.compactedBytes });
  }

  /** What of a staged file is really there; undefined when that is nothing. After a power cut, or where files are
   *  shorter than what was written to them, only what was synced counts. */
  surviving(id: number, entry: StagedEntry, folder: string): StagedEntry | undefined {
    if (entry.small !== undefined) return entry;
    const whole = wholeShape(entry);
    if (!this.powerCut && hasFiles(id, whole, folder)) return entry;
    const { key, durable } = entry;
    if (isUntouched(durable) || !hasFiles(id, durable, folder)) return undefined;
    this.append({ type: 'begin', id, key, durable, after: [] });
    return { key, durable, after: [], marked: 0, named: 0 };
  }

  close(): Promise<void> {
    return this.log.close();
  }
}

/** Numbers of the staging files that an entry's bytes lie in. */
export function filesOf(entry: StagedEntry): Set<number> {
  const extents = wholeShape(entry).ranges.list();
  return new Set(extents.filter(({ file }) => !isHole(file)).map(({ file }) => file));
}

function isUntouched(shape: StagedShape): boolean {
  return shape.ranges.count === 0 && shape.size === shape.baseSize && shape.visible === shape.baseSize;
}

function hasFiles(id: number, shape: StagedShape, folder: string): boolean {
  const lengths = new Map<number, number>();
  for (const { end, file } of shape.ranges.list()) {
    if (isHole(file)) continue;
    if (!lengths.has(file)) lengths.set(file, lengthOf(join(folder, `${id}.${file}`)));
    if (end > lengths.get(file)!) return false;
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

function recordOf(id: number, entry: StagedEntry): StagingRecord {
  const { key, small, durable, after } = entry;
  return small === undefined
    ? { type: 'begin', id, key, durable, after }
    : { type: 'small', id, key, base: small.base, content: small.content };
}

/** Names this run of the kernel: while it lasts, what was written is in its page cache. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
