import { type Answer, LIMITS, then, WormholeError } from '../../base/index.js';
import type { Claims } from '../collection/claims.js';
import type { ContentId, OpenContent, Published } from '../content.js';
import { Layout } from '../layout.js';
import type { Publisher } from '../publishing/publisher.js';
import { PublishedContent, type Reading } from '../reading/published-content.js';
import { LargeStaging } from './large-staging.js';
import type { Settlement } from './settlement.js';
import { SmallStaging, type SmallTools } from './small-staging.js';
import { ownerOf, type StagedEntry, wholeShape } from './staged-state.js';

/** What open contents share. */
export interface Workshop extends SmallTools {
  reading: Reading;
  publisher: Publisher;
  settlement: Settlement;
  claims: Claims;
  /** Every content that is open. */
  opened: Set<StagedContent>;
}

const NOTHING = new Uint8Array(0);

/**
 * A content that is open: as it was published, until something is written; then staged, in memory while it is
 * small, in files when it is large.
 */
export class StagedContent implements OpenContent {
  private readonly workshop: Workshop;
  private key: string;
  private base: PublishedContent;
  private small: SmallStaging | undefined;
  private large: LargeStaging | undefined;
  /** Changes wait for this: the old bytes are being fetched. */
  private starting: Promise<void> | undefined;
  private publishing: Promise<Published> | undefined;
  private giveUp: AbortController | undefined;
  /** The staging record of which all is published, and which a crash would bring back. */
  private published: number | undefined;

  constructor(workshop: Workshop, key: string, content: ContentId, size: number) {
    this.workshop = workshop;
    this.key = key;
    this.base = new PublishedContent(content, size, workshop.reading);
    workshop.opened.add(this);
  }

  /** Contents that this one needs: what it was opened with, and what its staged bytes lie over or are. */
  contents(): ContentId[] {
    const large = this.large === undefined ? [] : [this.large.base.content, ...this.large.shape.contents()];
    return [this.base.content, ...large, this.small?.content ?? ''];
  }

  /** What an earlier process staged. @throws WormholeError `io` when its bytes cannot be read */
  static recover(workshop: Workshop, id: number, entry: StagedEntry): StagedContent {
    const { key, small } = entry;
    if (small === undefined) {
      const shape = wholeShape(entry);
      const content = new StagedContent(workshop, key, shape.base, shape.baseSize);
      content.large = new LargeStaging(workshop.ground, key, content.base, { id, shape });
      content.published = id;
      return content;
    }
    const bytes = small.content === '' ? NOTHING : workshop.chunks.getNow(small.content.slice(1));
    if (bytes === undefined) throw new WormholeError('io', 'the bytes of a staged file are gone');
    const content = new StagedContent(workshop, key, '', 0);
    content.small = new SmallStaging(workshop, small.base, bytes, { id, content: small.content });
    content.published = id;
    return content;
  }

  get size(): number {
    return (this.small ?? this.large ?? this.base).size;
  }

  get dirty(): boolean {
    return (
      this.small !== undefined ||
      this.starting !== undefined ||
      (this.large !== undefined && (this.large.dirty || this.publishing !== undefined))
    );
  }

  get publishBytes(): number {
    return this.small?.size ?? this.large?.publishBytes ?? 0;
  }

  get publishesAtOnce(): boolean {
    return this.small !== undefined && this.starting === undefined && this.publishing === undefined;
  }

  read(offset: number, length: number, signal?: AbortSignal): Answer<Uint8Array> {
    return (this.small ?? this.large ?? this.base).read(offset, length, signal);
  }

  readParts(offset: number, length: number, signal?: AbortSignal): Answer<readonly Uint8Array[]> {
    if (this.small === undefined) return (this.large ?? this.base).readParts(offset, length, signal);
    return [this.small.read(offset, length)];
  }

  write(offset: number, data: Uint8Array): Answer<void> {
    if (data.length === 0) return;
    try {
      return this.writeNow(offset, data);
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== 'full') throw error;
      const copy = Buffer.from(data);
      return this.makeRoom(copy.length).then(() => this.writeNow(offset, copy));
    }
  }

  truncate(size: number): Answer<void> {
    if (this.starting !== undefined) return this.afterStart(NOTHING, () => this.truncate(size));
    if (this.large !== undefined) return this.large.truncate(size);
    if (!this.fits(size)) return this.enlarge().truncate(size);
    if (this.small !== undefined) return this.small.truncate(size);
    return this.begin(Math.min(size, this.base.size), NOTHING, (small) => small.truncate(size));
  }

  punch(start: number, end: number): Answer<void> {
    if (this.starting !== undefined) return this.afterStart(NOTHING, () => this.punch(start, end));
    const stop = Math.min(end, this.size);
    if (start >= stop) return;
    if (this.large === undefined && this.fits(this.size))
      return this.write(start, Buffer.alloc(stop - start));
    return (this.large ?? this.enlarge()).punch(start, stop);
  }

  borrow(offset: number, content: ContentId, size: number, start: number, end: number): Answer<void> {
    if (this.starting !== undefined)
      return this.afterStart(NOTHING, () => this.borrow(offset, content, size, start, end));
    const stop = Math.min(end, size);
    if (start >= stop) return;
    const source = new PublishedContent(content, size, this.workshop.reading);
    return (this.large ?? this.enlarge()).borrow(offset, source, start, stop);
  }

  seek(offset: number, what: 'data' | 'hole'): Answer<number | undefined> {
    if (this.starting !== undefined) return this.starting.then(() => this.seek(offset, what));
    if (offset >= this.size) return undefined;
    if (this.large !== undefined) return this.large.seek(offset, what);
    if (this.small !== undefined) return what === 'data' ? offset : this.size;
    return then(this.base.loadLayout(), (layout) => seekIn(layout, offset, what));
  }

  save(): Answer<void> {
    if (this.starting !== undefined) return this.starting.then(() => this.save());
    this.large?.save();
    this.large?.rest();
    return this.small?.save(this.key);
  }

  async sync(): Promise<void> {
    await this.starting;
    if (this.large !== undefined) return this.large.sync();
    await this.small?.save(this.key);
    const { chunks, ground } = this.workshop;
    await Promise.all([chunks.flush(), this.small !== undefined && ground.log.sync()]);
  }

  publish(): Answer<Published> {
    if (this.starting !== undefined) return this.starting.then(() => this.publish());
    if (this.publishing !== undefined) return this.publishing.catch(() => {}).then(() => this.publish());
    if (this.small !== undefined) return this.publishSmall(this.small);
    if (this.large?.dirty) {
      this.publishing = this.publishLarge(this.large).finally(() => {
        this.publishing = undefined;
      });
      return this.publishing;
    }
    return { content: this.base.content, size: this.base.size, newChunks: 0, newBytes: 0 };
  }

  rekey(key: string): void {
    const { settlement, ground } = this.workshop;
    const before = this.owner;
    this.key = key;
    this.large?.rekey(key);
    this.small?.rekey(key);
    if (this.owner === before) return;
    for (const id of settlement.rename(before, this.owner)) ground.log.append({ type: 'key', id, key });
  }

  recordedAs(operation: number): void {
    if (this.published !== undefined) {
      this.workshop.ground.log.append({ type: 'named', id: this.published, operation });
      this.published = undefined;
    }
    if (operation > 0) this.workshop.settlement.named(this.owner);
  }

  close(discard = false): Answer<void> {
    this.base.close();
    if (discard) this.giveUp?.abort();
    const pending = this.publishing ?? this.starting;
    if (pending === undefined) return this.letGo(discard);
    return pending.then(
      () => this.letGo(discard),
      () => this.letGo(discard),
    );
  }

  private get owner(): string {
    return ownerOf(this.key);
  }

  private writeNow(offset: number, data: Uint8Array): Answer<void> {
    if (this.starting !== undefined)
      return this.afterStart(Buffer.from(data), (copy) => this.write(offset, copy));
    if (this.large !== undefined) return this.large.write(offset, data);
    const end = Math.max(this.size, offset + data.length);
    if (!this.fits(end)) return this.enlarge().write(offset, data);
    if (this.small !== undefined) return this.small.write(offset, data);
    const kept = offset === 0 && data.length >= this.base.size ? 0 : this.base.size;
    return this.begin(kept, data, (small, bytes) => small.write(offset, bytes));
  }

  /** Lets go of what is held only for safety, or can be fetched again. */
  private async makeRoom(bytes: number): Promise<void> {
    const { settlement, evictable, ground } = this.workshop;
    await settlement.settle().catch(() => {});
    await Promise.all(ground.removals);
    await evictable.shrink(ground.space.missing(bytes));
  }

  private letGo(discard: boolean): Answer<void> {
    const { small, large } = this;
    return then(discard ? undefined : this.save(), () => {
      this.workshop.opened.delete(this);
      if (discard) this.workshop.settlement.named(this.owner);
      this.small = undefined;
      this.large = undefined;
      if (discard) small?.end();
      small?.release();
      if (!discard && large?.dirty) large.close();
      else large?.end()();
    });
  }

  private fits(size: number): boolean {
    return size <= LIMITS.smallFileBytesMax && this.workshop.ground.space.holds(size);
  }

  /** Begins staging in memory on the first bytes of the base, and makes the first change. */
  private begin(
    kept: number,
    data: Uint8Array,
    change: (small: SmallStaging, data: Uint8Array) => void,
  ): Answer<void> {
    const start = (bytes: Uint8Array, arrived: Uint8Array) => {
      const small = new SmallStaging(this.workshop, this.base.content, bytes);
      change(small, arrived);
      this.small = small;
    };
    const old = kept === 0 ? NOTHING : this.base.read(0, kept);
    if (!(old instanceof Promise)) return start(old, data);
    const copy = Buffer.from(data);
    this.starting = old
      .then((bytes) => start(bytes, copy))
      .finally(() => {
        this.starting = undefined;
      });
    return this.starting;
  }

  private async afterStart(copy: Uint8Array, change: (copy: Uint8Array) => Answer<void>): Promise<void> {
    await this.starting?.catch(() => {});
    await change(copy);
  }

  /** Goes on in staging files. */
  private enlarge(): LargeStaging {
    const { small } = this;
    const large = new LargeStaging(this.workshop.ground, this.key, this.base);
    if (small !== undefined) this.move(small, large);
    this.large = large;
    return large;
  }

  private move(small: SmallStaging, large: LargeStaging): void {
    try {
      // Small enough to be answered at once.
      large.truncate(0);
      large.write(0, small.bytes());
      if (small.record !== undefined) large.save();
    } catch (error) {
      large.end()();
      throw error;
    }
    this.small = undefined;
    small.end();
    small.release();
  }

  private publishSmall(small: SmallStaging): Answer<Published> {
    const { reading, settlement } = this.workshop;
    // What a crash would bring back must not be older than what its owner was told last.
    const saved = settlement.waits(this.owner) ? small.save(this.key) : undefined;
    const publishing = then(saved, () => small.publish());
    return then(publishing, ({ published, whole }) => {
      // What was written while the disk was slow is for the next publication.
      if (this.small !== small || !whole) return published;
      this.base.close();
      this.base = new PublishedContent(published.content, published.size, reading);
      this.small = undefined;
      small.release();
      const { record } = small;
      this.published = record;
      if (record !== undefined) settlement.add(this.owner, record, () => small.end());
      return published;
    });
  }

  private async publishLarge(large: LargeStaging): Promise<Published> {
    const { publisher, reading, settlement, claims } = this.workshop;
    this.giveUp = new AbortController();
    const { signal } = this.giveUp;
    const draft = await large.freeze();
    try {
      const work = async () => {
        const base = draft.shape.visible === 0 ? new Layout(NOTHING) : await large.base.loadLayout(signal);
        const borrowed = new Map<number, Layout>();
        for (const [file, source] of draft.borrowed) borrowed.set(file, await source.loadLayout(signal));
        return publisher.publish(draft, { base, borrowed }, signal);
      };
      const result = await (large.crowded ? large.alone(work) : work());
      claims.content(result.content);
      this.base = new PublishedContent(result.content, result.size, reading);
      const settle = large.rebase(this.base);
      this.published = large.dirty ? undefined : large.id;
      if (large.dirty) settlement.add(this.owner, large.id, settle);
      else {
        this.large = undefined;
        large.close();
        settlement.add(this.owner, large.id, () => large.end());
      }
      return result;
    } catch (error) {
      large.thaw();
      throw error;
    }
  }
}

function seekIn(layout: Layout, offset: number, what: 'data' | 'hole'): number | undefined {
  for (let i = layout.find(offset); i < layout.count; i++) {
    if ((layout.entry(i).id === '') === (what === 'hole')) return Math.max(offset, layout.start(i));
  }
  return what === 'hole' ? layout.size : undefined;
}
