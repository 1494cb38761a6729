import { LIMITS, WormholeError } from '../../base/index.js';
import { type Answer, then } from '../answer.js';
import type { Evictable } from '../cache/evictable.js';
import type { ChunkMemory } from '../cache/memory.js';
import type { VerifiedChunks } from '../chunks/verified-chunks.js';
import type { ContentId, OpenContent, Published } from '../content.js';
import { Layout } from '../layout.js';
import type { Publisher } from '../publishing/publisher.js';
import { PublishedContent, type Reading } from '../reading/published-content.js';
import type { Slab } from '../slab.js';
import { LargeStaging, type StagingGround } from './large-staging.js';
import type { Settlement } from './settlement.js';
import { SmallStaging } from './small-staging.js';
import type { StagedEntry } from './staged-state.js';

/** What open contents share. */
export interface Workshop {
  reading: Reading;
  memory: ChunkMemory;
  chunks: VerifiedChunks;
  evictable: Evictable;
  ground: StagingGround;
  publisher: Publisher;
  settlement: Settlement;
  slab: Slab;
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
  /** The small bytes as they were last stored, and the staging record that names them. */
  private saved: { version: number; content: ContentId; recorded: boolean } | undefined;
  /** Chunks and bytes that `store` added and no publication has reported. */
  private added = { newChunks: 0, newBytes: 0 };
  private record: number | undefined;
  private large: LargeStaging | undefined;
  /** Changes wait for this: the old bytes are being fetched. */
  private starting: Promise<void> | undefined;
  private publishing: Promise<Published> | undefined;
  private giveUp: AbortController | undefined;

  constructor(workshop: Workshop, key: string, content: ContentId, size: number) {
    this.workshop = workshop;
    this.key = key;
    this.base = new PublishedContent(content, size, workshop.reading);
  }

  /** What an earlier process staged. @throws WormholeError `io` when its staging files are gone */
  static recover(workshop: Workshop, id: number, entry: StagedEntry): StagedContent {
    const { base, baseSize } = entry.durable;
    const content = new StagedContent(workshop, entry.key, base, baseSize);
    if (entry.small === undefined) {
      content.large = new LargeStaging(workshop.ground, entry.key, content.base, { id, entry });
    } else {
      const bytes = entry.small.content === '' ? NOTHING : workshop.chunks.get(entry.small.content.slice(1));
      if (!(bytes instanceof Uint8Array))
        throw new WormholeError('io', 'the bytes of a staged file are gone');
      content.small = new SmallStaging(bytes, workshop.ground.space, workshop.slab);
      content.record = id;
      content.saved = { version: content.small.version, content: entry.small.content, recorded: true };
    }
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

  read(offset: number, length: number, signal?: AbortSignal): Answer<Uint8Array> {
    return (this.small ?? this.large ?? this.base).read(offset, length, signal);
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

  truncate(size: number): Answer<void> {
    if (this.starting !== undefined) return this.afterStart(NOTHING, () => this.truncate(size));
    if (this.large !== undefined) return this.large.truncate(size);
    if (!this.fits(size)) return this.enlarge().truncate(size);
    if (this.small !== undefined) return this.small.truncate(size);
    return this.begin(Math.min(size, this.base.size), NOTHING, (small) => small.truncate(size));
  }

  save(): Answer<void> {
    if (this.starting !== undefined) return this.starting.then(() => this.save());
    if (this.large !== undefined) {
      this.large.save();
      return this.large.rest();
    }
    if (this.small === undefined) return;
    const { small } = this;
    return then(this.store(small), () => this.recordSmall(small));
  }

  async sync(): Promise<void> {
    await this.starting;
    if (this.large !== undefined) return this.large.sync();
    await this.save();
    const { chunks, ground } = this.workshop;
    await Promise.all([chunks.flush(), this.record !== undefined && ground.log.sync()]);
  }

  publish(): Answer<Published> {
    if (this.starting !== undefined) return this.starting.then(() => this.publish());
    if (this.publishing !== undefined) return this.publishing.catch(() => {}).then(() => this.publish());
    if (this.small !== undefined) return this.publishSmall(this.small);
    if (this.large === undefined || !this.large.dirty) {
      return { content: this.base.content, size: this.base.size, newChunks: 0, newBytes: 0 };
    }
    this.publishing = this.publishLarge(this.large).finally(() => {
      this.publishing = undefined;
    });
    return this.publishing;
  }

  rekey(key: string): void {
    this.key = key;
    this.large?.rekey(key);
    if (this.record !== undefined) this.workshop.ground.log.append({ type: 'key', id: this.record, key });
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

  /** Lets go of what is held only for safety, or can be fetched again. */
  private async makeRoom(bytes: number): Promise<void> {
    const { settlement, evictable, ground } = this.workshop;
    await settlement.settle().catch(() => {});
    await Promise.all(ground.removals);
    await evictable.shrink(ground.space.missing(bytes));
  }

  private letGo(discard: boolean): Answer<void> {
    if (discard) {
      this.endRecord();
      this.large?.end();
    }
    return then(discard ? undefined : this.save(), () => {
      this.small?.release();
      this.small = undefined;
      if (!discard) this.closeLarge();
      this.large = undefined;
    });
  }

  private closeLarge(): void {
    if (this.large?.dirty) this.large.close();
    else this.large?.end();
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
      const small = new SmallStaging(bytes, this.workshop.ground.space, this.workshop.slab);
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
      if (this.record !== undefined) large.save();
    } catch (error) {
      large.end();
      throw error;
    }
    this.endRecord();
    small.release();
    this.small = undefined;
  }

  /** Stores the bytes as a chunk; it survives the death of the process from here on. */
  private store(small: SmallStaging): Answer<ContentId> {
    const { version, size } = small;
    if (this.saved?.version === version) return this.saved.content;
    if (size === 0) return this.remember(version, '');
    const { chunks, evictable, memory, ground } = this.workshop;
    const bytes = small.bytes();
    // write() took the bytes while there was room: what was held back for them is theirs now.
    const { id, isNew, stored } = ground.space.insist(() => chunks.add(bytes));
    evictable.release(id);
    memory.set(id, bytes);
    if (isNew) this.added = { newChunks: this.added.newChunks + 1, newBytes: this.added.newBytes + size };
    return then(stored, () => this.remember(version, `c${id}`));
  }

  private remember(version: number, content: ContentId): ContentId {
    this.saved = { version, content, recorded: false };
    return content;
  }

  private recordSmall(small: SmallStaging): void {
    const { saved } = this;
    if (saved === undefined || saved.recorded || saved.version !== small.version) return;
    const { log } = this.workshop.ground;
    const id = this.record ?? log.nextId();
    log.append({ type: 'small', id, key: this.key, content: saved.content, size: small.size });
    this.record = id;
    saved.recorded = true;
  }

  private endRecord(): void {
    if (this.record !== undefined) this.workshop.ground.log.append({ type: 'end', id: this.record });
    this.record = undefined;
  }

  private publishSmall(small: SmallStaging): Answer<Published> {
    const { size, version } = small;
    return then(this.store(small), (content) => {
      const { newChunks, newBytes } = this.added;
      this.added = { newChunks: 0, newBytes: 0 };
      // What was written while the disk was slow is for the next publication.
      if (this.small === small && small.version === version) this.becomePublished(small, content, size);
      return { content, size, newChunks, newBytes };
    });
  }

  private becomePublished(small: SmallStaging, content: ContentId, size: number): void {
    const { ground, settlement, reading } = this.workshop;
    this.base.close();
    this.base = new PublishedContent(content, size, reading);
    small.release();
    this.small = undefined;
    this.saved = undefined;
    const { record } = this;
    this.record = undefined;
    if (record !== undefined) settlement.add(() => ground.log.append({ type: 'end', id: record }));
  }

  private async publishLarge(large: LargeStaging): Promise<Published> {
    const { publisher, reading, settlement } = this.workshop;
    this.giveUp = new AbortController();
    const { signal } = this.giveUp;
    const draft = await large.freeze();
    try {
      const work = async () => {
        const base = draft.shape.visible === 0 ? new Layout(NOTHING) : await large.base.loadLayout(signal);
        return publisher.publish(draft, base, signal);
      };
      const result = await (large.crowded ? large.alone(work) : work());
      this.base = new PublishedContent(result.content, result.size, reading);
      const settle = large.rebase(this.base);
      if (large.dirty) settlement.add(settle);
      else {
        this.large = undefined;
        large.close();
        settlement.add(() => large.end());
      }
      return result;
    } catch (error) {
      large.thaw();
      throw error;
    }
  }
}
