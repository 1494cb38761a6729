import { LIMITS, type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import type { Heads, Tree } from '../tree/index.js';
import type { Push } from './wire.js';

/** Pushed changes that wait to go into the tree; beyond, they are dropped and fetched by anti-entropy. */
const INBOX_BYTES_MAX = 32 * 1024 * 1024;

export interface TreeInboxOptions {
  tree: Tree;
  log: Log;
  /** Changes of these peers are durable here; `heads` are to be acknowledged. */
  applied: (peers: readonly PodId[], heads: Heads) => void;
  /** A peer sent what is no change. */
  refused: (peer: PodId, reason: string) => void;
}

interface Waiting {
  peer: PodId;
  changes: Uint8Array[];
}

/** Gathers what peers push while the tree is busy, and gives it to the tree in batches, in order. */
export class TreeInbox {
  private readonly options: TreeInboxOptions;
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  private running = false;

  constructor(options: TreeInboxOptions) {
    this.options = options;
  }

  /** True while pushed changes are on their way into the tree. */
  get busy(): boolean {
    return this.running;
  }

  add(peer: PodId, push: Push): void {
    const bytes = sizeOf(push.changes);
    // What is dropped shows up as heads that this pod lacks, and is asked for then.
    if (this.waitingBytes + bytes > INBOX_BYTES_MAX) return;
    this.waiting.push({ peer, changes: push.changes });
    this.waitingBytes += bytes;
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.take();
      if (!(await this.apply(batch))) await this.applyByPeer(batch);
    }
    this.running = false;
  }

  /** One of them is to blame: each peer's on its own. */
  private async applyByPeer(batch: readonly Waiting[]): Promise<void> {
    for (const peer of new Set(batch.map((waiting) => waiting.peer))) {
      const own = batch.filter((waiting) => waiting.peer === peer);
      if (!(await this.apply(own))) this.options.refused(peer, 'it pushed what is no change of the tree');
    }
  }

  private take(): Waiting[] {
    let changes = 0;
    let count = 0;
    while (count < this.waiting.length && changes < LIMITS.remoteBatchChangesMax) {
      changes += this.waiting[count++]?.changes.length ?? 0;
    }
    const batch = this.waiting.splice(0, count);
    this.waitingBytes -= sizeOf(batch.flatMap((waiting) => waiting.changes));
    return batch;
  }

  /** @returns false when a change is invalid, and nothing of the batch was applied */
  private async apply(batch: readonly Waiting[]): Promise<boolean> {
    try {
      const heads = await this.options.tree.sync.apply(batch.flatMap((waiting) => waiting.changes));
      this.options.applied([...new Set(batch.map((waiting) => waiting.peer))], heads);
      return true;
    } catch (error) {
      if (error instanceof WormholeError && error.code === 'protocol') return false;
      // The document's thread is being restarted, or the disk is full: anti-entropy brings them again.
      this.options.log.warn('pushed changes were not taken', { reason: messageOf(error) });
      return true;
    }
  }
}

function sizeOf(changes: readonly Uint8Array[]): number {
  return changes.reduce((sum, change) => sum + change.length, 0);
}
