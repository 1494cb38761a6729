import { setImmediate } from 'node:timers/promises';
import { type Log, messageOf } from '../base/index.js';
import type { InodeId, Node, Tree, TreeEvents } from '../tree/index.js';
import { type FileContent, fileOf } from './content-source.js';

/** Looked at before the mount's requests have their turn again: some milliseconds. */
const SLICE = 100;
/** More than this at once, as when a pod joins, is a matter for a walk over everything. */
const WAITING_MAX = 50_000;

export interface IntakeOptions {
  tree: Pick<Tree, 'node' | 'lookup'>;
  /** All files at or below an inode. */
  filesBelow: (inode: InodeId) => AsyncIterable<FileContent>;
  /** True while places depend on paths: then with a folder everything below it moves. */
  byPath: () => boolean;
  /** A file has this content now. */
  take: (file: FileContent) => void;
  /** So much has changed that everything should be looked at. */
  overflow: () => void;
  log: Log;
}

/** Finds the contents that a change brought, or gave another path, without holding up the thread. */
export class Intake {
  private readonly options: IntakeOptions;
  private waiting: (() => Node | undefined)[] = [];
  /** Folders that came to other paths, perhaps with all that is below them. */
  private folders = new Set<InodeId>();
  private busy = false;
  private working: Promise<void> = Promise.resolve();

  constructor(options: IntakeOptions) {
    this.options = options;
  }

  add({ inodes, names, everything }: TreeEvents['changed']): void {
    const { tree, overflow } = this.options;
    if (everything || this.waiting.length + inodes.length + names.length > WAITING_MAX) {
      this.waiting = [];
      this.folders.clear();
      overflow();
      return;
    }
    for (const inode of inodes) this.waiting.push(() => fileNode(tree.node(inode)));
    // The loser of a concurrent edit may show up as a new name only.
    const seen = new Set(inodes);
    for (const { parent, name } of names) {
      this.waiting.push(() => {
        const node = tree.lookup(parent, name);
        // Attributes of a folder say nothing of its place; its name does.
        return node?.kind !== 'directory' && seen.has(node?.id ?? '') ? undefined : node;
      });
    }
    this.start();
  }

  /** This pod has given these other paths. */
  moved(inodes: readonly InodeId[]): void {
    if (!this.options.byPath()) return;
    for (const inode of inodes) this.waiting.push(() => this.options.tree.node(inode));
    this.start();
  }

  private start(): void {
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
    const { overflow, log } = this.options;
    while (this.waiting.length + this.folders.size > 0) {
      const slice = this.waiting.splice(0, SLICE);
      try {
        for (const find of slice) this.takeNode(find());
        if (this.waiting.length === 0) await this.takeBelow();
      } catch (error) {
        log.warn('a change could not be looked at', { reason: messageOf(error) });
        overflow();
      }
      await setImmediate();
    }
    this.busy = false;
  }

  private takeNode(node: Node | undefined): void {
    if (node?.kind === 'directory') {
      if (this.options.byPath()) this.folders.add(node.id);
      return;
    }
    const file = fileOf(node);
    if (file !== undefined) this.options.take(file);
  }

  /** What is below a folder that came with another one is found there. */
  private async takeBelow(): Promise<void> {
    const { tree, take, filesBelow } = this.options;
    const folders = [...this.folders];
    const tops = folders.filter((folder) => !this.folders.has(tree.node(folder)?.parent ?? ''));
    this.folders.clear();
    for (const folder of tops) for await (const file of filesBelow(folder)) take(file);
  }
}

function fileNode(node: Node | undefined): Node | undefined {
  return node?.kind === 'directory' ? undefined : node;
}
