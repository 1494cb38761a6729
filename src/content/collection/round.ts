import { setImmediate } from 'node:timers/promises';
import { isSha256 } from '../../base/index.js';
import type { Evictable } from '../cache/evictable.js';
import type { VerifiedChunks } from '../chunks/verified-chunks.js';
import type { ChunkId, Collected, CollectOptions, ContentId, Naming } from '../content.js';
import type { Layouts } from '../reading/layouts.js';
import type { Claims } from './claims.js';
import { Fingerprints } from './fingerprints.js';
import type { Lists } from './lists.js';
import { findPassed, type Passed } from './passed.js';
import type { Unnamed } from './unnamed.js';
import type { Uptime } from './uptime.js';

/** Contents read, and chunks looked at, before the mount's requests have their turn again: some milliseconds. */
const PAGE = 256;
const SLICE = 500;
/** Kept chunks that are told of at a time. */
const KEPT_PAGE = 1024;

export interface RoundParts {
  chunks: VerifiedChunks;
  evictable: Evictable;
  layouts: Layouts;
  lists: Lists;
  claims: Claims;
  unnamed: Unnamed;
  uptime: Uptime;
  /** Contents that are open, or staged over: as they are now. */
  inUse(): Iterable<ContentId>;
}

/**
 * One round of collection: marks what is named, then goes over all chunks. Nothing stops meanwhile. A chunk is
 * removed only if a round before this one found it unnamed already, long enough ago, and nobody has asked for it,
 * stored it or published it since then.
 */
export class Round {
  private readonly parts: RoundParts;
  private readonly options: CollectOptions;
  private readonly named = new Fingerprints();
  private passed: Passed | undefined;
  /** Contents that came to be named while this goes on. */
  private arrived: ContentId[] = [];
  /** Why what was found so far is not enough. */
  private spoilt = false;
  private looked = 0;
  /** Claims up to this one are marked, and which contents were. */
  private claimed = -1;
  private readonly marked = new Set<ContentId>();

  constructor(parts: RoundParts, options: CollectOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** @returns undefined when the tree was built anew meanwhile
   *  @throws WormholeError `unreachable` | `corrupt` when the chunks of a content cannot be known now, `interrupted` */
  async run(): Promise<Collected | undefined> {
    const { naming } = this.options;
    this.parts.claims.turn();
    const stop = naming.watch((contents) => {
      if (contents === undefined) this.spoilt = true;
      else this.arrived.push(...contents);
    });
    try {
      await naming.settled();
      await this.markAll(naming);
      // From here on whatever was named is marked: what is named later was named before, or is claimed, or arrives.
      await naming.settled();
      await this.markMore();
      if (this.spoilt) return undefined;
      // What goes out of the tree from here on was named until now, and stays for this round.
      this.passed = await this.findPassed();
      const found = await this.sweep();
      await this.parts.uptime.save();
      return this.spoilt ? undefined : { ...found, atMs: this.parts.uptime.now() };
    } finally {
      stop();
      await this.parts.unnamed.save();
    }
  }

  private async markAll(naming: Naming): Promise<void> {
    for (let after: string | undefined; ; ) {
      const page = naming.contents(after, PAGE);
      for (const { content } of page) await this.mark(content);
      after = page.at(-1)?.inode;
      if (after === undefined) return;
      await this.breathe();
    }
  }

  private async findPassed(): Promise<Passed | undefined> {
    const { remembered, signal } = this.options;
    if (remembered === undefined) return undefined;
    return findPassed(remembered(), this.parts.layouts, () => this.breathe(), signal);
  }

  private async markMore(): Promise<void> {
    const { claims, inUse } = this.parts;
    this.claimed = claims.stamp;
    for (const content of [...claims.contents(), ...inUse()]) {
      if (this.marked.has(content)) continue;
      await this.mark(content);
      this.marked.add(content);
    }
    while (this.arrived.length > 0) await this.mark(this.arrived.pop() as ContentId);
  }

  private async mark(content: ContentId): Promise<void> {
    if (!isSha256(content.slice(1))) return;
    this.named.add(content.slice(1));
    if (!content.startsWith('m')) return;
    const { nobodyHas = async () => false, signal } = this.options;
    const layout = await this.parts.lists.of(content, nobodyHas, signal);
    if (layout === undefined) return;
    for (const { id } of layout.manifests) this.named.add(id);
    this.named.addEntries(layout.packed);
  }

  private async sweep(): Promise<Omit<Collected, 'atMs'>> {
    const { chunks, evictable, claims } = this.parts;
    const found = { chunks: 0, unnamed: 0, unnamedBytes: 0, removed: 0, removedBytes: 0 };
    const kept: ChunkId[] = [];
    for await (const id of chunks.ids()) {
      if (++this.looked % SLICE === 0) await this.breathe();
      while (!this.upToDate) await this.markMore();
      if (this.spoilt) return found;
      found.chunks++;
      // What may be evicted has its own bounds.
      if (evictable.has(id)) continue;
      if (!this.named.has(id) && !claims.has(id)) await this.take(id, found);
      else if (kept.push(id) === KEPT_PAGE) await this.options.kept?.(kept.splice(0));
    }
    if (kept.length > 0) await this.options.kept?.(kept);
    await this.forgetNamed();
    return found;
  }

  /** A chunk without a name: removes it if its time has come, else remembers it. */
  private async take(id: ChunkId, found: Omit<Collected, 'atMs'>): Promise<void> {
    const { chunks, unnamed, uptime, evictable, claims } = this.parts;
    const { historyMs, seenByAllMs, promised } = this.options;
    const length = await chunks.length(id);
    if (length === undefined) return;
    const since = unnamed.since(id);
    if (since === undefined && historyMs !== undefined) unnamed.add(id, uptime.now());
    const passed = this.passed?.has(id) === true;
    const due =
      since !== undefined && historyMs !== undefined && (passed || uptime.now() - since >= historyMs);
    // Looked at again at the very last moment: a removal begins in the same turn.
    const isCounted = () => claims.has(id) || this.named.has(id) || promised?.(id) === true;
    const free = () => !isCounted() && this.upToDate && !this.spoilt;
    if (due && since <= seenByAllMs && free() && (await evictable.drop(id, length))) {
      unnamed.forget(id);
      found.removed++;
      found.removedBytes += length;
      return;
    }
    found.unnamed++;
    found.unnamedBytes += length;
  }

  /** Takes chunks off the list that have a name again, or are gone. */
  private async forgetNamed(): Promise<void> {
    const { unnamed, chunks, claims } = this.parts;
    await unnamed.save();
    for (let after: ChunkId | undefined; ; ) {
      let last: ChunkId | undefined;
      for (const id of unnamed.ids(after, SLICE)) {
        last = id;
        if (this.named.has(id) || claims.has(id) || !chunks.has(id)) unnamed.forget(id);
      }
      if (last === undefined) return;
      after = last;
      await unnamed.save();
      await this.breathe();
    }
  }

  /** Everything that is known to be needed is marked. */
  private get upToDate(): boolean {
    return this.arrived.length === 0 && this.claimed === this.parts.claims.stamp;
  }

  private async breathe(): Promise<void> {
    this.options.signal.throwIfAborted();
    this.options.progress?.(this.looked);
    await setImmediate();
  }
}
