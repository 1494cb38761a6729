import { join } from 'node:path';
import { type Answer, LIMITS, type Semaphore, then, WormholeError } from '../../base/index.js';
import type { Space } from '../cache/space.js';
import { CUTTING } from '../chunker.js';
import { Layout } from '../layout.js';
import { PublishedContent } from '../reading/published-content.js';
import { borrowedAs, type Extent, holeOver, isBorrowed, isHole, isStaged, numberOf } from './ranges.js';
import type { Action } from './settlement.js';
import { type Change, type Redo, StagedShape } from './staged-state.js';
import { all, StagingFile } from './staging-file.js';
import type { StagingLog } from './staging-log.js';

/** What large staging works with. */
export interface StagingGround {
  /** Folder of the staging files. */
  folder: string;
  log: StagingLog;
  space: Space;
  /** What was recorded and is not yet safe from a power cut, with the number of rounds it has waited. */
  unhardened: Map<LargeStaging, number>;
  /** Staging files being deleted. */
  removals: Set<Promise<void>>;
  /** To wait for the disk. */
  turns: Semaphore;
}

/** What is published: a consistent snapshot, in files that nothing is written to meanwhile. */
export interface Draft {
  shape: StagedShape;
  files: { number: number; path: string }[];
  /** Contents that bytes are borrowed from, by their numbers in the ranges. */
  borrowed: Map<number, PublishedContent>;
}

/** Where a stretch of bytes lies; those of a published content further on in it by `shift`. */
interface Part {
  end: number;
  from: StagingFile | PublishedContent | 'zeros';
  shift: number;
}

/** Neighbouring writes are recorded as one; a list of changes this long is recorded early. */
const CHANGES_MAX = 1024;

/** An fsync after no more than so many bytes in small writes puts them into the log, which it has to flush anyway,
 *  until so many of a file are in there. */
const REDO_BYTES_MAX = 1024 * 1024;
const REDO_TOTAL_BYTES_MAX = 8 * 1024 * 1024;
/** A read of a staging file up to this size is answered at once. */
const REDO_WRITE_BYTES_MAX = 128 * 1024;

/**
 * A file being written whose bytes do not fit in memory: sparse staging files over the content it had. While a
 * publication reads the files, writes go to a fresh one over them.
 */
export class LargeStaging {
  readonly id: number;
  readonly shape: StagedShape;
  base: PublishedContent;
  private key: string;
  private readonly ground: StagingGround;
  private readonly files = new Map<number, StagingFile>();
  private readonly frozen = new Set<number>();
  /** Taken in by a publication, and kept until its name is durable. */
  private readonly retired = new Map<number, StagingFile>();
  /** The same of what is borrowed: contents by their numbers in the ranges, and numbers. */
  private readonly borrowed = new Map<number, PublishedContent>();
  private readonly frozenBorrowed = new Set<number>();
  private readonly retiredBorrowed = new Set<number>();
  private rebases = 0;
  private syncs: Promise<void> = Promise.resolve();
  private nextFile = 0;
  /** Changes that the log does not have yet. */
  private changes: Change[] = [];
  /** What was written since the last sync; undefined: more than that, or something else. */
  private fresh: Extent[] | undefined;
  private freshBytes = 0;
  /** Bytes that are durable in the log only. */
  private redoBytes = 0;
  private recorded = false;
  private changed = false;
  private closed = false;
  /** Of the content being published, how much was not cut away meanwhile. */
  private visibleOfDraft = 0;
  private claimedBytes = 0;
  private writing = 0;
  /** Writes and cuts that wait for the barrier. */
  private waiting = 0;
  private readonly idle: (() => void)[] = [];
  /** Set while a cut or the start of a publication waits for, or keeps out, writes. */
  private barrier: Promise<void> | undefined;

  constructor(
    ground: StagingGround,
    key: string,
    base: PublishedContent,
    found?: { id: number; shape: StagedShape },
  ) {
    this.ground = ground;
    this.key = key;
    this.base = base;
    this.id = found?.id ?? ground.log.nextId();
    this.shape = found?.shape ?? new StagedShape(base.content, base.size);
    if (found !== undefined) this.takeUp();
  }

  get size(): number {
    return this.shape.size;
  }

  get dirty(): boolean {
    return this.changed || this.writing > 0 || this.waiting > 0;
  }

  /** Around each written stretch a chunk or two are cut anew. */
  get publishBytes(): number {
    const { ranges, size } = this.shape;
    return Math.min(size, ranges.bytes + ranges.count * CUTTING.normalBytes);
  }

  readParts(offset: number, length: number, signal?: AbortSignal): Answer<readonly Uint8Array[]> {
    const end = Math.min(offset + length, this.size);
    const { end: stop, from, shift } = this.partAt(offset, end);
    if (offset < end && stop === end && from instanceof PublishedContent)
      return from.readParts(offset + shift, end - offset, signal);
    return then(this.read(offset, length, signal), (bytes) => [bytes]);
  }

  read(offset: number, length: number, signal?: AbortSignal): Answer<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (offset >= end) return new Uint8Array(0);
    const whole = this.partAt(offset, end);
    if (whole.end === end && whole.from instanceof PublishedContent)
      return whole.from.read(offset + whole.shift, end - offset, signal);
    const target = Buffer.alloc(end - offset);
    const parts: Answer<void>[] = [];
    for (let at = offset; at < end; ) {
      const part = this.partAt(at, end);
      const into = target.subarray(at - offset, part.end - offset);
      if (part.from instanceof PublishedContent) {
        const bytes = part.from.read(at + part.shift, into.length, signal);
        parts.push(then(bytes, (found) => void into.set(found)));
      } else if (part.from !== 'zeros') parts.push(part.from.read(at, into));
      at = part.end;
    }
    return then(all(parts), () => target);
  }

  write(offset: number, data: Uint8Array): Answer<void> {
    if (this.barrier !== undefined) {
      const copy = Buffer.from(data);
      this.waiting++;
      return this.barrier.finally(() => this.waiting--).then(() => this.write(offset, copy));
    }
    const end = offset + data.length;
    const { number, file } = this.current();
    const covered = this.shape.ranges.at(offset, end);
    if (covered.end < end || covered.file !== number) this.claim(data.length);
    const written = file.write(offset, data);
    if (!(written instanceof Promise)) return this.note({ write: { start: offset, end, file: number } });
    this.writing++;
    return written
      .then(() => this.note({ write: { start: offset, end, file: number } }))
      .finally(() => this.wrote());
  }

  truncate(size: number): Answer<void> {
    if (this.barrier === undefined && this.writing === 0) return this.cut(size);
    this.waiting++;
    return this.alone(async () => this.cut(size)).finally(() => this.waiting--);
  }

  /** Makes these bytes zeros, of which nothing is stored. */
  punch(start: number, end: number): Answer<void> {
    if (this.barrier !== undefined || this.writing > 0) {
      this.waiting++;
      return this.alone(async () => this.dig(start, end)).finally(() => this.waiting--);
    }
    return this.dig(start, end);
  }

  /** Puts bytes `start` to `end` of a published content at an offset, without moving any: they are named when this is
   *  published, but for those around them. */
  borrow(offset: number, source: PublishedContent, start: number, end: number): Answer<void> {
    if (this.barrier !== undefined || this.writing > 0) {
      this.waiting++;
      return this.alone(async () => this.lend(offset, source, start, end)).finally(() => this.waiting--);
    }
    return this.lend(offset, source, start, end);
  }

  /** Where from an offset on there is data, or a hole; undefined: nowhere before the end. The end is a hole. */
  seek(offset: number, what: 'data' | 'hole'): Answer<number | undefined> {
    const below = this.shape.visible > offset ? [this.base] : [];
    const layouts = [...below, ...this.borrowed.values()].map((content) => content.loadLayout());
    const loaded = all(layouts.map((layout) => then(layout, () => {})));
    return then(loaded, () => this.seekNow(offset, what));
  }

  /** Does without open files until the next use. */
  rest(): void {
    for (const file of this.files.values()) file.rest();
  }

  /** Records what was staged, so that it survives the death of the process. @throws WormholeError `full` | `io` */
  save(): void {
    const { log } = this.ground;
    if (this.changes.length === 0 || this.closed) return;
    if (!this.recorded) {
      const durable = new StagedShape(this.shape.base, this.shape.baseSize);
      log.append({ type: 'begin', id: this.id, key: this.key, durable, after: this.changes });
      this.recorded = true;
    } else log.append({ type: 'changes', id: this.id, changes: this.changes });
    this.changes = [];
    this.unhardened();
  }

  /** Makes what was staged survive a power cut. @throws WormholeError `full` | `io` */
  sync(): Promise<void> {
    this.syncs = this.syncs.catch(() => {}).then(() => this.syncOnce());
    return this.syncs;
  }

  rekey(key: string): void {
    this.key = key;
    if (this.recorded) this.ground.log.append({ type: 'key', id: this.id, key });
  }

  /** A snapshot for a publication; later writes go elsewhere, or wait where there are too many files already. */
  freeze(): Promise<Draft> {
    return this.alone(async () => {
      this.save();
      // Of what was said to be durable nothing is taken from a file that the disk could not store.
      if (this.redoBytes > 0) await Promise.all([...this.files.values()].map((file) => file.sync()));
      this.fresh = undefined;
      for (const number of this.files.keys()) this.frozen.add(number);
      for (const file of this.borrowed.keys()) this.frozenBorrowed.add(file);
      this.changed = false;
      this.visibleOfDraft = this.size;
      const files = [...this.files].map(([number, file]) => ({ number, path: file.path }));
      return { shape: this.shape.copy(), files, borrowed: new Map(this.borrowed) };
    });
  }

  /** True when writes have to wait until a publication is over. */
  get crowded(): boolean {
    return this.frozen.size >= LIMITS.stagingFilesMax;
  }

  /** Resolves when the barrier that `work` needs is down and its turn is over; writes wait meanwhile. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.barrier !== undefined) await this.barrier;
    let lower = () => {};
    this.barrier = new Promise((resolve) => {
      lower = resolve;
    });
    try {
      while (this.writing > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
      return await work();
    } finally {
      this.barrier = undefined;
      lower();
    }
  }

  /** The draft failed to be published: its files take writes again. */
  thaw(): void {
    this.frozen.clear();
    this.frozenBorrowed.clear();
    this.changed = true;
  }

  /** The draft is published as `base`. @returns what records it, to be called when that name is durable */
  rebase(base: PublishedContent): Action {
    const { content, size } = base;
    const files = [...this.frozen, ...[...this.frozenBorrowed].map(numberOf)];
    for (const number of this.frozen) {
      this.retired.set(number, this.files.get(number) as StagingFile);
      this.files.delete(number);
    }
    for (const file of this.frozenBorrowed) {
      this.retiredBorrowed.add(numberOf(file));
      this.borrowed.get(file)?.close();
      this.borrowed.delete(file);
    }
    this.frozen.clear();
    this.frozenBorrowed.clear();
    this.base.close();
    this.base = base;
    this.shape.apply({ rebase: { content, size, visible: this.visibleOfDraft, files } });
    const rebase = ++this.rebases;
    return () => (rebase === this.rebases ? this.recordRebase() : undefined);
  }

  /** Closes the staging files; what is in them stays for a restart. */
  close(): void {
    this.closed = true;
    this.ground.unhardened.delete(this);
    for (const file of [...this.files.values(), ...this.retired.values(), ...this.borrowed.values()])
      file.close();
  }

  /** Nothing can ever need what was staged. @returns what removes it */
  end(): () => void {
    this.close();
    if (this.recorded) this.ground.log.append({ type: 'end', id: this.id });
    this.ground.space.countDisk(-this.claimedBytes);
    this.claimedBytes = 0;
    const files = [...this.files.values(), ...this.retired.values()];
    return () => this.remove(files);
  }

  private takeUp(): void {
    for (const { file } of this.shape.ranges.list()) {
      this.nextFile = Math.max(this.nextFile, numberOf(file) + 1);
      if (isStaged(file) && !this.files.has(file))
        this.files.set(file, new StagingFile(this.path(file), 'existing', this.ground.turns));
    }
    for (const [file, { content, size }] of this.shape.borrowed) {
      this.nextFile = Math.max(this.nextFile, numberOf(file) + 1);
      this.borrowed.set(file, this.base.other(content, size));
    }
    this.recorded = true;
    this.changed = true;
    this.unhardened();
    this.claimedBytes = this.shape.ranges.bytes;
    this.ground.space.countDisk(this.claimedBytes);
  }

  private remove(files: StagingFile[]): void {
    const { removals } = this.ground;
    for (const file of files) {
      file.close();
      const removal: Promise<void> = file.remove().finally(() => removals.delete(removal));
      removals.add(removal);
    }
  }

  private async syncOnce(): Promise<void> {
    const { log } = this.ground;
    this.save();
    this.ground.unhardened.delete(this);
    if (!this.recorded || this.closed) return;
    const redo = this.takeRedo();
    try {
      if (redo === undefined || !this.appendRedo(redo)) await this.syncFiles();
      await log.sync();
    } catch (error) {
      this.fresh = undefined;
      this.unhardened();
      throw error;
    }
  }

  private async syncFiles(): Promise<void> {
    const { log } = this.ground;
    // What is recorded from here on is not part of what is made durable.
    log.append({ type: 'mark', id: this.id });
    const redoBytes = this.redoBytes;
    await Promise.all([...this.files.values(), ...this.retired.values()].map((file) => file.sync()));
    log.append({ type: 'durable', id: this.id });
    this.redoBytes -= redoBytes;
    this.rest();
  }

  /** @returns false when the disk has no room for it: there is room for the bytes where they belong */
  private appendRedo(parts: Redo[]): boolean {
    try {
      if (parts.length > 0) this.ground.log.append({ type: 'redo', id: this.id, parts });
    } catch (error) {
      if (error instanceof WormholeError && error.code === 'full') return false;
      throw error;
    }
    this.redoBytes += parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    return true;
  }

  /** The bytes written since the last sync, where they may go into the log; undefined: the files are to be flushed. */
  private takeRedo(): Redo[] | undefined {
    const { fresh, freshBytes } = this;
    this.fresh = [];
    this.freshBytes = 0;
    if (fresh === undefined || this.writing > 0 || this.redoBytes + freshBytes > REDO_TOTAL_BYTES_MAX)
      return undefined;
    const parts: Redo[] = [];
    for (const { start, end, file } of fresh) {
      const from = this.files.get(file);
      const bytes = Buffer.allocUnsafeSlow(end - start);
      if (from === undefined || !from.takesRedo || from.read(start, bytes) instanceof Promise)
        return undefined;
      parts.push({ file, start, bytes });
    }
    return parts;
  }

  private unhardened(): void {
    if (!this.closed) this.ground.unhardened.set(this, 0);
  }

  /** What the log says stays true until the name of the new content is durable; now it is. */
  private recordRebase(): (() => void) | undefined {
    if (this.closed) return undefined;
    const { base: content, baseSize: size, visible } = this.shape;
    this.save();
    const numbers = [...this.retired.keys(), ...this.retiredBorrowed];
    const files = [...this.retired.values()];
    const changes = [{ rebase: { content, size, visible, files: numbers } }];
    this.ground.log.append({ type: 'changes', id: this.id, changes });
    this.unhardened();
    this.retired.clear();
    this.retiredBorrowed.clear();
    if (this.frozen.size === 0) this.settleClaim();
    return () => this.remove(files);
  }

  private note(change: Change): void {
    this.shape.apply(change);
    this.changed = true;
    this.noteFresh(change);
    const last = this.changes.at(-1);
    if (last !== undefined && 'write' in last && 'write' in change && follows(last.write, change.write)) {
      last.write.end = change.write.end;
      return;
    }
    this.changes.push(change);
    if (this.changes.length >= CHANGES_MAX) this.save();
  }

  private noteFresh(change: Change): void {
    const write = 'write' in change && isStaged(change.write.file) ? { ...change.write } : undefined;
    const bytes = write === undefined ? 0 : write.end - write.start;
    this.freshBytes += bytes;
    if (write === undefined || bytes > REDO_WRITE_BYTES_MAX || this.freshBytes > REDO_BYTES_MAX)
      this.fresh = undefined;
    else this.fresh?.push(write);
  }

  private cut(size: number): void {
    if (size < this.size) {
      this.visibleOfDraft = Math.min(this.visibleOfDraft, size);
      // What the log names must stay where it is: a restart compares the two.
      if (!this.recorded) for (const file of this.files.values()) file.cut(size);
    }
    this.note({ cut: size });
    if (this.frozen.size === 0) this.settleClaim();
  }

  private dig(start: number, end: number): void {
    const { number } = this.current();
    this.note({ write: { start, end, file: holeOver(number) } });
    if (this.frozen.size === 0) this.settleClaim();
  }

  private lend(offset: number, source: PublishedContent, start: number, end: number): void {
    const { content, size } = source;
    const shift = start - offset;
    // A copy that comes in parts is one stretch: no chunk of it is cut where they meet.
    const known = [...this.shape.borrowed].find(
      ([file, from]) => from.content === content && from.shift === shift && !this.frozenBorrowed.has(file),
    );
    const file = known?.[0] ?? borrowedAs(this.nextFile++);
    if (!this.borrowed.has(file)) this.borrowed.set(file, source);
    this.note({ borrow: { start: offset, end: offset + end - start, file, content, size, shift } });
    if (this.frozen.size === 0) this.settleClaim();
  }

  private seekNow(offset: number, what: 'data' | 'hole'): number | undefined {
    for (let at = offset; at < this.size; ) {
      const { end, from, shift } = this.partAt(at, this.size);
      const layout = from instanceof PublishedContent ? from.loadLayout() : undefined;
      const known = layout instanceof Layout ? layout : undefined;
      const entry = known?.find(at + shift) ?? 0;
      const hole = from === 'zeros' || known?.entry(entry).id === '';
      if (hole === (what === 'hole')) return at;
      at = known === undefined ? end : Math.min(end, known.end(entry) - shift);
    }
    return what === 'hole' ? this.size : undefined;
  }

  private partAt(at: number, limit: number): Part {
    const { end, file } = this.shape.ranges.at(at, limit);
    if (file !== undefined && isBorrowed(file)) {
      const shift = this.shape.borrowed.get(file)?.shift ?? 0;
      return { end, from: this.borrowed.get(file) as PublishedContent, shift };
    }
    if (file !== undefined && isHole(file)) return { end, from: 'zeros', shift: 0 };
    if (file !== undefined) return { end, from: this.files.get(file) as StagingFile, shift: 0 };
    if (at >= this.shape.visible) return { end, from: 'zeros', shift: 0 };
    return { end: Math.min(end, this.shape.visible), from: this.base, shift: 0 };
  }

  private current(): { number: number; file: StagingFile } {
    for (const [number, file] of this.files) if (!this.frozen.has(number)) return { number, file };
    const number = this.nextFile++;
    const file = new StagingFile(this.path(number), 'create', this.ground.turns);
    this.files.set(number, file);
    return { number, file };
  }

  private path(file: number): string {
    return join(this.ground.folder, `${this.id}.${file}`);
  }

  private claim(bytes: number): void {
    this.ground.space.claimDisk(bytes);
    this.claimedBytes += bytes;
  }

  /** Brings the claim down to what is really staged: it counts what was written twice, or cut, too high. */
  private settleClaim(): void {
    const bytes = Math.min(this.claimedBytes, this.shape.ranges.bytes);
    this.ground.space.countDisk(bytes - this.claimedBytes);
    this.claimedBytes = bytes;
  }

  private wrote(): void {
    if (--this.writing > 0) return;
    for (const wake of this.idle.splice(0)) wake();
  }
}

function follows(before: { end: number; file: number }, after: { start: number; file: number }): boolean {
  return before.end === after.start && before.file === after.file;
}
