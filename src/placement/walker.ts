import { setImmediate } from 'node:timers/promises';
import { type Clock, type Log, messageOf } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { Copier } from './copier.js';

const PAGE = 256;
/** So many contents wait for the copier at a time; the rest stays in the index. */
const WAITING_MAX = 2_000;
/** Pause before contents are looked for again that could not be had, or were too many. */
const LATER_MS = 30_000;

export interface WalkerOptions {
  tree: Pick<Tree, 'contents'>;
  content: Pick<ContentStore, 'presence'>;
  copier: Copier;
  /** True for a file of which something may belong here. */
  wanted: (inode: InodeId) => boolean;
  clock: Clock;
  log: Log;
}

/** Goes over all contents of the tree and gives the copier those that are not wholly here. */
export class Walker {
  private readonly options: WalkerOptions;
  private readonly stopping = new AbortController();
  /** True while not every content that the tree has was looked at. */
  busy = false;
  private walking: Promise<void> = Promise.resolve();
  private wanted: 'now' | 'later' | undefined;
  private wake: (() => void) | undefined;

  constructor(options: WalkerOptions) {
    this.options = options;
  }

  /** Resolves when every content that the tree had was looked at. */
  done(): Promise<void> {
    return this.walking;
  }

  /** Walks over everything; during a walk, once more after it. */
  walk(): void {
    this.wanted = 'now';
    this.wake?.();
    this.start();
  }

  /** Some contents were passed over: walks again after a while. */
  walkLater(): void {
    this.wanted ??= 'later';
    this.start();
  }

  close(): void {
    this.stopping.abort();
  }

  private start(): void {
    if (this.stopping.signal.aborted) return;
    if (this.busy) return;
    this.busy = true;
    this.walking = this.run();
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    while (this.wanted !== undefined && !this.stopping.signal.aborted) {
      if (this.wanted === 'later') await this.pause();
      this.wanted = undefined;
      try {
        await this.walkOnce();
      } catch (error) {
        if (this.stopping.signal.aborted) break;
        this.options.log.error('the tree could not be walked', { reason: messageOf(error) });
        this.wanted = 'later';
      }
    }
    this.busy = false;
  }

  private async walkOnce(): Promise<void> {
    const { tree, content, copier, wanted } = this.options;
    let after: InodeId | undefined;
    while (!this.stopping.signal.aborted) {
      const page = tree.contents(after, PAGE);
      for (const file of page) {
        if (!wanted(file.inode)) continue;
        if (content.presence(file.content) !== 'here' && !copier.add(file)) this.wanted ??= 'later';
      }
      after = page.at(-1)?.inode;
      if (after === undefined) return;
      await copier.roomFor(WAITING_MAX);
      // The mount's requests come first.
      await setImmediate();
    }
  }

  private async pause(): Promise<void> {
    const woken = new AbortController();
    this.wake = () => woken.abort();
    const signal = AbortSignal.any([woken.signal, this.stopping.signal]);
    await this.options.clock.sleep(LATER_MS, signal).catch(() => {});
    this.wake = undefined;
  }
}
