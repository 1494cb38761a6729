import { setImmediate } from 'node:timers/promises';
import { type Log, messageOf } from '../base/index.js';
import type { Tree, TreeEvents } from '../tree/index.js';
import { type FileContent, fileOf } from './content-source.js';

/** Looked at before the mount's requests have their turn again: some milliseconds. */
const SLICE = 100;
/** More than this at once, as when a pod joins, is a matter for a walk over everything. */
const WAITING_MAX = 50_000;

export interface IntakeOptions {
  tree: Pick<Tree, 'node' | 'lookup'>;
  /** A file has this content now. */
  take: (file: FileContent) => void;
  /** So much has changed that everything should be looked at. */
  overflow: () => void;
  log: Log;
}

/** Finds the contents that a remote change brought, without holding up the thread. */
export class Intake {
  private readonly options: IntakeOptions;
  private waiting: (() => FileContent | undefined)[] = [];
  private busy = false;
  private working: Promise<void> = Promise.resolve();

  constructor(options: IntakeOptions) {
    this.options = options;
  }

  add({ inodes, names, everything }: TreeEvents['changed']): void {
    const { tree, overflow } = this.options;
    if (everything || this.waiting.length + inodes.length + names.length > WAITING_MAX) {
      this.waiting = [];
      overflow();
      return;
    }
    for (const inode of inodes) this.waiting.push(() => fileOf(tree.node(inode)));
    // The loser of a concurrent edit may show up as a new name only.
    const seen = new Set(inodes);
    for (const { parent, name } of names) {
      this.waiting.push(() => {
        const node = tree.lookup(parent, name);
        return node === undefined || seen.has(node.id) ? undefined : fileOf(node);
      });
    }
    if (this.busy) return;
    this.busy = true;
    this.working = this.work();
  }

  /** Resolves when everything added so far was looked at. */
  done(): Promise<void> {
    return this.working;
  }

  /** Never rejects. */
  private async work(): Promise<void> {
    const { take, overflow, log } = this.options;
    while (this.waiting.length > 0) {
      const slice = this.waiting.splice(0, SLICE);
      try {
        for (const find of slice) {
          const file = find();
          if (file !== undefined) take(file);
        }
      } catch (error) {
        log.warn('a change could not be looked at', { reason: messageOf(error) });
        overflow();
      }
      await setImmediate();
    }
    this.busy = false;
  }
}
