import { setMaxListeners } from 'node:events';
import { type Clock, LIMITS, type Log, WormholeError } from '../base/index.js';
import type { LogPosition } from '../store/index.js';
import type { SmallChunks } from './chunks/small-chunks.js';
import { refused } from './chunks/verified-chunks.js';
import type { Lists } from './collection/lists.js';
import { Round } from './collection/round.js';
import type { Unnamed } from './collection/unnamed.js';
import type { Uptime } from './collection/uptime.js';
import type {
  ChunkId,
  ChunkRef,
  ChunkSource,
  Collected,
  CollectOptions,
  ContentId,
  ContentStore,
  OpenContent,
  Recovered,
} from './content.js';
import type { Layout } from './layout.js';
import type { ChunkReader } from './reading/chunk-reader.js';
import type { Layouts } from './reading/layouts.js';
import type { Reading } from './reading/published-content.js';
import type { WriteBehind } from './reading/write-behind.js';
import { StagedContent, type Workshop } from './staging/staged-content.js';
import { wholeShape } from './staging/staged-state.js';
import type { Storing } from './storing.js';
import type { Totals } from './totals.js';

/** Everything a store is made of; see open.ts, which builds it. */
export interface Parts extends Workshop {
  small: SmallChunks;
  reader: ChunkReader;
  layouts: Layouts;
  writeBehind: WriteBehind;
  storing: Storing;
  totals: Totals;
  unnamed: Unnamed;
  lists: Lists;
  uptime: Uptime;
  clock: Clock;
  log: Log;
  /** Closes what the store was built on. */
  closeLogs(): Promise<void>;
  /** Why one of that takes nothing more. */
  refusal(): WormholeError | undefined;
  /** Reading of what is not to stay in the cache. */
  passing: Reading;
  chunkFolder: string;
}

/** What was recorded is synced after so many rounds of upkeep, unless it was published before. */
const HARDEN_AFTER_ROUNDS = 2;

export class LocalContentStore implements ContentStore {
  private readonly parts: Parts;
  private readonly closing = new AbortController();
  private found: Recovered[];
  private round: Promise<unknown> = Promise.resolve();
  private readonly background: Promise<void>[];

  constructor(parts: Parts, found: Recovered[], options: { exact: boolean }) {
    this.parts = parts;
    this.found = found;
    // One listener for each chunk that is being fetched to be kept.
    setMaxListeners(0, this.closing.signal);
    this.background = [this.keepUp(this.tasks())];
    if (!options.exact) this.background.push(this.count());
  }

  open(key: string, content: ContentId, size: number, { cache } = { cache: true }): OpenContent {
    this.check();
    const { parts } = this;
    return new StagedContent(cache ? parts : { ...parts, reading: parts.passing }, key, content, size);
  }

  recovered(): Recovered[] {
    const { found } = this;
    this.found = [];
    return found;
  }

  useSource(source: ChunkSource): void {
    this.parts.reader.useSource(source);
  }

  has(id: ChunkId): boolean {
    return this.parts.chunks.has(id) || this.parts.writeBehind.get(id) !== undefined;
  }

  async chunksOf(content: ContentId, size?: number): Promise<ChunkRef[]> {
    if (content.startsWith('c') && size === undefined) {
      const id = content.slice(1);
      return [{ id, length: (await this.get(id))?.length ?? 0 }];
    }
    const layout = await this.parts.layouts.load(content, size ?? 0);
    const refs = [...layout.manifests];
    for (let i = 0; i < layout.count; i++) {
      const ref = layout.entry(i);
      if (ref.id !== '') refs.push(ref);
    }
    return refs;
  }

  async get(id: ChunkId): Promise<Uint8Array | undefined> {
    const { memory, writeBehind, chunks } = this.parts;
    return memory.get(id) ?? writeBehind.get(id) ?? (await chunks.get(id));
  }

  async stored(id: ChunkId): Promise<Uint8Array | undefined> {
    const { memory, writeBehind, chunks } = this.parts;
    const near = memory.get(id) ?? writeBehind.get(id);
    if (near === undefined) return chunks.stored(id);
    // What lies packed on the disk is smaller than what is in memory.
    const length = near.length <= LIMITS.smallFileBytesMax ? undefined : await chunks.length(id);
    return length === undefined || length === near.length ? near : ((await chunks.stored(id)) ?? near);
  }

  async put(id: ChunkId, bytes: Uint8Array, options: { keep: boolean }): Promise<void> {
    const verified = await this.parts.chunks.verify(id, bytes);
    if (verified === undefined) throw refused(id);
    await this.parts.storing.put(verified, options);
  }

  async keep(id: ChunkId): Promise<void> {
    if (await this.parts.storing.keepPresent(id)) return;
    const bytes = await this.parts.reader.read(id, { urgent: false, signal: this.closing.signal });
    await this.put(id, bytes, { keep: true });
  }

  release(id: ChunkId): Promise<void> {
    return this.parts.storing.release(id);
  }

  evict(id: ChunkId): Promise<boolean> {
    return this.parts.evictable.evictNow(id);
  }

  chunkIds(): AsyncIterable<ChunkId> {
    return this.parts.chunks.ids();
  }

  async verify(id: ChunkId): Promise<number | 'damaged' | undefined> {
    const { chunks } = this.parts;
    if (!chunks.has(id)) return undefined;
    const bytes = await chunks.get(id);
    if (bytes !== undefined) return bytes.length;
    return chunks.wasRotten(id) ? 'damaged' : undefined;
  }

  async flush(): Promise<void> {
    const { chunks, evictable, ground } = this.parts;
    // Of what is staged too: what was published must not come back as if it had not been.
    await Promise.all([chunks.flush(), evictable.flush(), ground.log.sync()]);
  }

  reached(): LogPosition {
    return this.parts.small.reached();
  }

  presence(content: ContentId): 'here' | 'partly' | 'cached' | 'remote' {
    if (content === '') return 'here';
    const whole = content.slice(1);
    const layout = content.startsWith('c') ? undefined : this.parts.layouts.here(content);
    if (layout !== undefined) return this.presenceOf(dataIdsOf(layout), layout.manifests);
    const presence = this.presenceOf([whole], []);
    // The list of lists alone.
    return content.startsWith('m') && presence !== 'remote' ? 'partly' : presence;
  }

  isUnnamed(id: ChunkId): boolean {
    return this.parts.unnamed.since(id) !== undefined;
  }

  isKept(id: ChunkId): boolean {
    return this.parts.evictable.isKept(id) && this.parts.chunks.has(id);
  }

  claim(content: ContentId): void {
    this.parts.claims.content(content);
  }

  collect(options: CollectOptions): Promise<Collected | undefined> {
    const signal = AbortSignal.any([options.signal, this.closing.signal]);
    const inUse = () => contentsInUse(this.parts);
    const round = this.round.then(() => new Round({ ...this.parts, inUse }, { ...options, signal }).run());
    this.round = round.catch(() => {});
    return round;
  }

  resizeCache(bytes: number = LIMITS.cacheBytesDefault): void {
    this.parts.evictable.resize(bytes);
  }

  get isFull(): boolean {
    return this.parts.ground.space.isFull;
  }

  get refusal(): WormholeError | undefined {
    return this.parts.refusal();
  }

  usage(): { chunks: number; bytes: number; cachedBytes: number; stagedBytes: number; freeBytes: number } {
    const { totals, evictable, ground } = this.parts;
    return {
      chunks: totals.chunks,
      bytes: totals.bytes,
      cachedBytes: evictable.bytes,
      stagedBytes: ground.space.stagedBytes,
      freeBytes: ground.space.freeBytes,
    };
  }

  /** What cannot be brought to the disk now is taken up from the logs at the next start. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort(new WormholeError('closed', 'the content store is closed'));
    const { publisher, reader, writeBehind, settlement, small, evictable } = this.parts;
    const { totals, uptime, ground, log } = this.parts;
    const steps = [
      () => publisher.close(),
      async () => reader.close(),
      () => Promise.all(this.background),
      () => this.round,
      () => writeBehind.idle(),
      () => settlement.close(),
      () => Promise.all(ground.removals),
      () => small.move(),
      () => evictable.close(),
      () => totals.end(),
      () => uptime.save(),
      async () => ground.space.close(),
      () => this.parts.closeLogs(),
    ];
    for (const step of steps) {
      await step().catch((error) =>
        log.warn('closing the content store left work for the next start', { error }),
      );
    }
  }

  /** Lists of chunks are needed too, but alone they are nothing of the content. */
  private presenceOf(
    ids: Iterable<ChunkId>,
    manifests: readonly ChunkRef[],
  ): 'here' | 'partly' | 'cached' | 'remote' {
    let here = 0;
    let missing = 0;
    let cached = false;
    for (const id of ids) {
      if (this.has(id)) here++;
      else missing++;
      cached ||= this.parts.evictable.has(id);
      if (here > 0 && missing > 0) return 'partly';
    }
    if (missing > 0) return 'remote';
    for (const { id } of manifests) {
      if (!this.has(id)) return 'partly';
      cached ||= this.parts.evictable.has(id);
    }
    return cached ? 'cached' : 'here';
  }

  /** What goes on in the background, each whatever the others do. */
  private tasks(): (() => Promise<unknown>)[] {
    const { small, evictable, ground, uptime, log } = this.parts;
    return [
      () => small.move(),
      () => evictable.save(),
      () => hardenOld(ground.unhardened),
      () => ground.log.sync().then(() => ground.log.compact(log)),
      async () => ground.space.refill(),
      // Who fills the disk from outside takes it from the cache first.
      () => evictable.shrink(ground.space.missing(0)),
      () => uptime.saveNowAndThen(),
    ];
  }

  /** Begins each task now and then, but for those that still run; what fails is tried again. */
  private async keepUp(tasks: readonly (() => Promise<unknown>)[]): Promise<void> {
    const { clock, log } = this.parts;
    const { signal } = this.closing;
    const running = new Map<() => Promise<unknown>, Promise<void>>();
    for (;;) {
      await clock.sleep(LIMITS.contentUpkeepMs, signal).catch(() => {});
      if (signal.aborted) break;
      for (const task of tasks) {
        if (running.has(task)) continue;
        const run = task()
          .catch((error) => log.warn('upkeep of the content store failed; trying again', { error }))
          .then(() => void running.delete(task));
        running.set(task, run);
      }
    }
    await Promise.all(running.values());
  }

  private async count(): Promise<void> {
    const { small, totals, chunkFolder, log } = this.parts;
    await small
      .move()
      .then(() => totals.count(chunkFolder, this.closing.signal))
      .catch((error) => log.warn('counting the chunks failed', { error }));
  }

  private check(): void {
    if (this.closing.signal.aborted) throw new WormholeError('closed', 'the content store is closed');
  }
}

function* dataIdsOf(layout: Layout): Generator<ChunkId> {
  for (let i = 0; i < layout.count; i++) {
    const { id } = layout.entry(i);
    if (id !== '') yield id;
  }
}

/** Contents that are open or staged over, and those that an earlier process left staged. */
function* contentsInUse({ opened, ground }: Parts): Generator<ContentId> {
  for (const content of opened) yield* content.contents();
  for (const entry of ground.log.left.values()) {
    yield entry.small?.content ?? '';
    yield* entry.durable.contents();
    yield* wholeShape(entry).contents();
  }
}

async function hardenOld(unhardened: Workshop['ground']['unhardened']): Promise<void> {
  for (const [staging, rounds] of unhardened) {
    if (rounds >= HARDEN_AFTER_ROUNDS) await staging.sync();
    else unhardened.set(staging, rounds + 1);
  }
}
