import { setImmediate } from 'node:timers/promises';
import { type Answer, type Clock, type Log, messageOf } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { InodeId, Tree } from '../tree/index.js';
import type { FileContent } from './content-source.js';
import type { Copier } from './copier.js';
import type { Peers } from './peers.js';

const PAGE = 256;
/** So many contents wait for the copier at a time; the rest stays in the index. */
const WAITING_MAX = 2_000;
/** Pause before contents are looked for again that could not be had, or were too many. */
const LATER_MS = 30_000;

export interface WalkerOptions {
  tree: Pick<Tree, 'contents'>;
  content: Pick<ContentStore, 'presence'>;
  peers: Pick<Peers, 'linked' | 'whoHas'>;
  copier: Copier;
  /** True for a file of which something may belong here. */
  wanted: (file: FileContent) => boolean;
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
  /** Those with fewest copies go first at the next walk. */
  private scarceFirst = false;

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

  /** A pod was lost: walks over everything, first for what hardly anybody has. */
  repair(): void {
    this.scarceFirst = true;
    this.walk();
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
        if (this.scarceFirst) {
          this.scarceFirst = false;
          await this.walkOnce((files) => this.scarce(files));
          // Those go first, as far as they can be had.
          await this.options.copier.roomFor(1);
        }
        await this.walkOnce((files) => files);
      } catch (error) {
        if (this.stopping.signal.aborted) break;
        this.options.log.error('the tree could not be walked', { reason: messageOf(error) });
        this.wanted = 'later';
      }
    }
    this.busy = false;
  }

  private async walkOnce(select: (files: FileContent[]) => Answer<FileContent[]>): Promise<void> {
    const { tree, content, copier, wanted } = this.options;
    let after: InodeId | undefined;
    while (!this.stopping.signal.aborted) {
      const page = tree.contents(after, PAGE);
      const missing = page.filter((file) => content.presence(file.content) !== 'here' && wanted(file));
      for (const file of await select(missing)) if (!copier.add(file)) this.wanted ??= 'later';
      after = page.at(-1)?.inode;
      if (after === undefined) return;
      await copier.roomFor(WAITING_MAX);
      // The mount's requests come first.
      await setImmediate();
    }
  }

  /** Those that at most one pod that is linked has. */
  private async scarce(files: FileContent[]): Promise<FileContent[]> {
    const { peers } = this.options;
    const ids = files.map((file) => file.content.slice(1));
    const answers =
      ids.length === 0 ? new Map() : await peers.whoHas(ids, peers.linked(), this.stopping.signal);
    const lists: boolean[][] = [...answers.values()];
    return files.filter((_, i) => lists.filter((has) => has[i] === true).length <= 1);
  }

  private async pause(): Promise<void> {
    const woken = new AbortController();
    this.wake = () => woken.abort();
    const signal = AbortSignal.any([woken.signal, this.stopping.signal]);
    await this.options.clock.sleep(LATER_MS, signal).catch(() => {});
    this.wake = undefined;
  }
}
