import type { Log } from '../base/index.js';
import type { Invalidator } from '../fs/index.js';
import type { InodeId, Node, NodeTable } from './nodes.js';
import { encodeIncrementEpoch, encodeInvalidateEntry, encodeInvalidateInode } from './protocol/replies.js';

/** Entries that wait to be forgotten; when there are more, the kernel forgets every name. */
const ENTRIES_MAX = 16_384;

/** Waits between two looks at what is busy: pages under a read, folders under a change. */
const BUSY_RETRY_MS = 10;

/** Whoever waits for the kernel to be told looks this often. */
const SETTLED_LOOK_MS = 2;

/**
 * An answer with an inode's attributes is taken up by the program that asked, whenever that runs again. An inode that is
 * new to the kernel is not there before that, so that what is said of it meanwhile is lost: it is said once more.
 */
const TAKEN_UP_MS = 1_000;

/** Takes notifications to the kernel, on another thread; {@link Device} is one. */
export interface Notified {
  notify(bytes: Uint8Array): Promise<void>;
}

/**
 * Tells the kernel what it must forget. Nothing is written within a request and nothing synchronously: the kernel
 * takes locks for it which a request that waits for us may hold. One notification at a time goes through a thread;
 * what is asked twice meanwhile is told once, and what would have to wait for a request is put off.
 */
export class KernelInvalidator implements Invalidator {
  private readonly log: Log;
  private nodes: NodeTable | undefined;
  private device: Notified | undefined;
  private readonly inodes = new Set<InodeId>();
  /** Those of them whose attributes are forgotten, but not yet the pages. */
  private readonly halfTold = new Set<InodeId>();
  private readonly entries = new Map<string, { parent: InodeId; name: string }>();
  private readonly onceMore = new Set<InodeId>();
  private timer: NodeJS.Timeout | undefined;
  private running = false;
  /** Too many entries to name them one by one. */
  private everyEntry = false;

  constructor(log: Log) {
    this.log = log;
  }

  /** From now on the kernel knows something. What was said before concerned nothing that it has. */
  attach(nodes: NodeTable, device: Notified): void {
    this.nodes = nodes;
    this.device = device;
  }

  detach(): void {
    this.nodes = undefined;
    this.device = undefined;
    this.inodes.clear();
    this.halfTold.clear();
    this.entries.clear();
    this.everyEntry = false;
    this.onceMore.clear();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  inode(inode: InodeId): void {
    const node = this.nodes?.find(inode);
    if (node !== undefined) this.forget(node);
  }

  entry(parent: InodeId, name: string): void {
    if (this.nodes?.find(parent) === undefined) return;
    if (this.entries.size >= ENTRIES_MAX) {
      this.entries.clear();
      this.everyEntry = true;
    }
    this.entries.set(`${parent}\0${name}`, { parent, name });
    this.start();
  }

  everything(): void {
    if (this.nodes === undefined) return;
    this.entries.clear();
    this.everyEntry = true;
    for (const node of this.nodes.all()) this.forget(node);
  }

  /** Notifications that wait. */
  get waiting(): number {
    return this.inodes.size + this.entries.size + (this.everyEntry ? 1 : 0);
  }

  /** Resolves when the kernel has been told everything, or after so long. */
  async settled(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while ((this.running || this.waiting > 0) && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, SETTLED_LOOK_MS));
  }

  private forget(node: Node): void {
    // At once: an open that comes before the notification must not keep the pages.
    node.stale = true;
    this.inodes.add(node.inode);
    this.halfTold.delete(node.inode);
    if (performance.now() - node.foundMs < TAKEN_UP_MS) this.sayOnceMore(node.inode);
    this.start();
  }

  private sayOnceMore(inode: InodeId): void {
    this.onceMore.add(inode);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const each of this.onceMore) this.inodes.add(each);
      this.onceMore.clear();
      this.start();
    }, TAKEN_UP_MS).unref();
  }

  private start(): void {
    if (this.running) return;
    this.running = true;
    // Not in this tick: it may be within a request.
    setImmediate(() => {
      this.run()
        .catch((error: unknown) => this.log.error('telling the kernel what to forget failed', { error }))
        .finally(() => {
          this.running = false;
          if (this.waiting > 0 && this.device !== undefined) this.start();
        });
    });
  }

  private async run(): Promise<void> {
    while (this.waiting > 0 && this.device !== undefined) {
      const told = (await this.tellEntries()) + (await this.tellInodes());
      if (told === 0) await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS));
    }
  }

  /** @returns how many were told */
  private async tellEntries(): Promise<number> {
    let told = 0;
    if (this.everyEntry) {
      this.everyEntry = false;
      told++;
      await this.device?.notify(encodeIncrementEpoch());
    }
    for (const [key, { parent, name }] of this.entries) {
      const folder = this.nodes?.find(parent);
      // The kernel holds its lock until it has our answer; telling would block all others behind it.
      if (folder !== undefined && folder.pendingChanges > 0) continue;
      this.entries.delete(key);
      told++;
      if (folder !== undefined) await this.device?.notify(encodeInvalidateEntry(folder.number, name));
    }
    return told;
  }

  /** @returns how many were told; the rest waits, or gives way to entries */
  private async tellInodes(): Promise<number> {
    let told = 0;
    for (const inode of this.inodes) {
      const node = this.nodes?.find(inode);
      // Pages under a read are locked until it is answered.
      const withPages = node === undefined || node.pendingReads === 0;
      if (!withPages && this.halfTold.has(inode)) continue;
      if (withPages) {
        this.inodes.delete(inode);
        this.halfTold.delete(inode);
      } else this.halfTold.add(inode);
      told++;
      if (node !== undefined) await this.device?.notify(encodeInvalidateInode(node.number, withPages));
      if (this.entries.size > 0) break;
    }
    return told;
  }
}
