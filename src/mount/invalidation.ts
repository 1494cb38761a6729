import type { Log } from '../base/index.js';
import type { Invalidator } from '../fs/index.js';
import type { InodeId, NodeTable } from './nodes.js';
import { encodeIncrementEpoch, encodeInvalidateEntry, encodeInvalidateInode } from './protocol/replies.js';

/** Entries that wait to be forgotten; when there are more, the kernel forgets every name. */
const ENTRIES_MAX = 16_384;

/** Waits between two looks at an inode whose pages are still being read. */
const BUSY_RETRY_MS = 10;

/** Whoever waits for the kernel to be told looks this often. */
const SETTLED_LOOK_MS = 2;

/** Takes notifications to the kernel, on another thread; {@link Device} is one. */
export interface Notified {
  notify(bytes: Uint8Array): Promise<void>;
}

/**
 * Tells the kernel what it must forget. Nothing is written within a request and nothing synchronously: the kernel
 * takes locks for it which a request that waits for us may hold. One notification at a time goes through a thread;
 * what is asked twice meanwhile is told once.
 */
export class KernelInvalidator implements Invalidator {
  private readonly log: Log;
  private nodes: NodeTable | undefined;
  private device: Notified | undefined;
  private readonly inodes = new Set<InodeId>();
  private readonly entries = new Map<string, { parent: InodeId; name: string }>();
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
    this.entries.clear();
    this.everyEntry = false;
  }

  inode(inode: InodeId): void {
    const node = this.nodes?.find(inode);
    if (node === undefined) return;
    // At once: an open that comes before the notification must not keep the pages.
    node.stale = true;
    this.inodes.add(inode);
    this.start();
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

  private start(): void {
    if (this.running) return;
    this.running = true;
    // Not in this tick: it may be within a request.
    setImmediate(() => {
      this.run()
        .catch((error: unknown) => this.log.error('telling the kernel what to forget failed', { error }))
        .finally(() => {
          this.running = false;
          if (this.waiting > 0) this.start();
        });
    });
  }

  private async run(): Promise<void> {
    while (this.waiting > 0 && this.device !== undefined) {
      await this.tellEntries();
      const told = await this.tellInodes();
      // Pages under a read are locked until it is answered; telling would block all others behind it.
      if (!told && this.entries.size === 0)
        await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS));
    }
  }

  private async tellEntries(): Promise<void> {
    if (this.everyEntry) {
      this.everyEntry = false;
      await this.device?.notify(encodeIncrementEpoch());
    }
    for (const [key, { parent, name }] of this.entries) {
      this.entries.delete(key);
      const folder = this.nodes?.find(parent);
      if (folder !== undefined) await this.device?.notify(encodeInvalidateEntry(folder.number, name));
    }
  }

  /** @returns false when nothing could be told yet */
  private async tellInodes(): Promise<boolean> {
    let told = false;
    for (const inode of this.inodes) {
      if (this.entries.size > 0) return true;
      const node = this.nodes?.find(inode);
      if (node !== undefined && node.pendingReads > 0) continue;
      this.inodes.delete(inode);
      told = true;
      if (node !== undefined) await this.device?.notify(encodeInvalidateInode(node.number, true));
    }
    return told;
  }
}
