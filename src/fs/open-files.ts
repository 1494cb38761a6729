import { type Clock, type Log, WormholeError } from '../base/index.js';
import type { ContentStore, OpenContent, Published } from '../content/index.js';
import type { InodeId, Node, Tree } from '../tree/index.js';
import { then } from './answer.js';
import type { Answer } from './filesystem.js';

/** A file's content while it is open or not yet published. All handles of an inode share one. */
export interface OpenFile {
  /** The tree's id; changes when the file is renamed over another. */
  inode: InodeId;
  content: OpenContent;
  /** The node as it was when the content was opened or last published: what the next publication replaces. */
  base: Node;
  handles: number;
  /** Of the last write or utimens, while not yet published. */
  mtime: bigint | undefined;
  /** The inode as it was when its last name went away; it lives on while it is open. */
  orphan: Node | undefined;
  publication: Promise<void> | undefined;
  /** Monotonic time of the first unpublished write. */
  dirtySinceMs: number | undefined;
}

export interface OpenFilesOptions {
  tree: Tree;
  content: ContentStore;
  clock: Clock;
  log: Log;
  /** A file that is held open and written is published this often. */
  publishIntervalMs: number;
  /** Pause before a failed publication is tried again. */
  retryMs: number;
  /** The tree keeps a file under another inode id from now on (a losing version that was made a real file). */
  moved: (from: InodeId, to: InodeId) => void;
}

/** Opens, shares, publishes and lets go of contents. */
export class OpenFiles {
  private readonly files = new Map<InodeId, OpenFile>();
  private readonly options: OpenFilesOptions;
  private readonly timer: NodeJS.Timeout;
  private readonly stopping = new AbortController();
  /** The last failure of a publication, until one succeeds; shown in `wh status`. */
  failure: string | undefined;

  constructor(options: OpenFilesOptions) {
    this.options = options;
    this.timer = setInterval(() => this.publishLongOpen(), options.publishIntervalMs);
    this.timer.unref();
  }

  get(inode: InodeId): OpenFile | undefined {
    return this.files.get(inode);
  }

  /** The shared open file of a node, opened if needed, with one more handle. */
  acquire(node: Node): OpenFile {
    let file = this.files.get(node.id);
    if (file === undefined) {
      file = openFile(node, this.options.content.open(node.id, node.content, node.size));
      this.files.set(node.id, file);
    }
    file.handles++;
    return file;
  }

  /** Takes up what an earlier process staged and did not publish. */
  adopt(node: Node, content: OpenContent): void {
    const file = openFile(node, content);
    this.files.set(node.id, file);
    this.settle(file);
  }

  /** To be called at each write or cut. */
  touched(file: OpenFile): void {
    file.mtime = this.options.clock.wallNs();
    file.dirtySinceMs ??= this.options.clock.monotonicMs();
  }

  /** At close(): what was written survives kill -9 and is on its way to the document. */
  save(file: OpenFile): Answer<void> {
    if (!file.content.dirty || file.orphan !== undefined) return;
    return then(file.content.save(), () => this.settle(file));
  }

  release(file: OpenFile): Answer<void> {
    file.handles--;
    if (file.handles > 0) return;
    if (file.orphan !== undefined) return this.drop(file);
    // Pages of a shared mapping may have been written after the last flush.
    if (file.content.dirty) return then(file.content.save(), () => this.settle(file));
    this.settle(file);
  }

  /** The file was unlinked, or replaced by a rename. Returns its open file, if it has one. */
  orphaned(inode: InodeId, node: Node): OpenFile | undefined {
    const file = this.files.get(inode);
    if (file === undefined) return undefined;
    this.files.delete(inode);
    file.orphan = { ...node, nlink: 0 };
    if (file.handles === 0) this.drop(file);
    return file;
  }

  /** A rename over `target` made this file the target's content. */
  becameTarget(file: OpenFile, target: Node): void {
    this.files.delete(file.inode);
    file.inode = target.id;
    file.base = target;
    this.files.set(target.id, file);
  }

  /** A remote change arrived: readers that wrote nothing see it. What was written stays on its old base, and
   *  publishing it makes the conflict visible, or brings a deleted file back. */
  refresh(inode: InodeId, node: Node | undefined): OpenFile | undefined {
    const file = this.files.get(inode);
    if (file === undefined || file.content.dirty || file.publication !== undefined) return file;
    if (node === undefined || node.kind !== 'file') return this.orphaned(inode, file.base);
    const stale = node.content !== file.base.content;
    file.base = node;
    if (!stale) return file;
    this.background(file.content.close());
    file.content = this.options.content.open(node.id, node.content, node.size);
    return file;
  }

  /** Resolves when the file's content, as it is now, is published (used by rename over another file). */
  published(file: OpenFile): Answer<void> {
    return file.content.dirty || file.publication !== undefined ? this.publishNow(file) : undefined;
  }

  /** Files whose content is not yet in the document. */
  unpublished(): number {
    let count = 0;
    for (const file of this.files.values()) if (file.content.dirty || file.publication !== undefined) count++;
    return count;
  }

  /** Resolves when everything closed so far is published. */
  async publishAll(signal?: AbortSignal): Promise<void> {
    for (const file of [...this.files.values()]) {
      signal?.throwIfAborted();
      if (file.content.dirty || file.publication !== undefined) await this.publishNow(file);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort(new WormholeError('closed', 'the file system is being closed'));
    const files = [...this.files.values()];
    await Promise.allSettled(files.map((file) => file.publication));
    for (const file of files) await file.content.close();
    this.files.clear();
  }

  private publishLongOpen(): void {
    const now = this.options.clock.monotonicMs();
    for (const file of this.files.values()) {
      const since = file.dirtySinceMs;
      if (since !== undefined && now - since >= this.options.publishIntervalMs) this.settle(file);
    }
  }

  /** Publishes what is dirty, at once where the content is small, and closes what nobody holds. */
  private settle(file: OpenFile): void {
    if (file.publication !== undefined || file.orphan !== undefined) return;
    if (!file.content.dirty) {
      if (file.handles === 0) this.forget(file);
      return;
    }
    try {
      const published = file.content.publish();
      if (!(published instanceof Promise)) {
        this.record(file, published);
        this.settle(file);
      } else this.start(file, published);
    } catch (error) {
      this.start(file, Promise.reject(error));
    }
  }

  private start(file: OpenFile, published: Promise<Published>): void {
    file.publication = published
      .then(
        (result) => this.record(file, result),
        (error) => this.failed(file, error),
      )
      .finally(() => {
        file.publication = undefined;
        if (!this.stopping.signal.aborted) this.settle(file);
      });
    this.background(file.publication);
  }

  private async failed(file: OpenFile, error: unknown): Promise<void> {
    if (this.stopping.signal.aborted || file.orphan !== undefined) return;
    this.failure = `publishing ${this.options.tree.pathOf(file.inode)}: ${String(error)}`;
    this.options.log.error('publication failed, it will be tried again', { inode: file.inode, error });
    await this.options.clock.sleep(this.options.retryMs, this.stopping.signal).catch(() => {});
  }

  private record(file: OpenFile, published: Published): void {
    if (file.orphan !== undefined) return;
    this.failure = undefined;
    const mtime = file.mtime ?? this.options.clock.wallNs();
    const node = this.options.tree.setData(
      file.inode,
      { size: published.size, mtime, content: published.content },
      file.base.versions,
    );
    if (node.id === file.inode) file.base = node;
    else {
      const from = file.inode;
      this.becameTarget(file, node);
      this.options.moved(from, node.id);
    }
    if (file.content.dirty) {
      file.dirtySinceMs = this.options.clock.monotonicMs();
    } else {
      file.mtime = undefined;
      file.dirtySinceMs = undefined;
    }
  }

  private async publishNow(file: OpenFile): Promise<void> {
    this.settle(file);
    while (file.publication !== undefined && file.orphan === undefined && !this.stopping.signal.aborted) {
      await file.publication;
    }
  }

  private forget(file: OpenFile): void {
    this.files.delete(file.inode);
    this.background(file.content.close());
  }

  private drop(file: OpenFile): void {
    this.background(file.content.close(true));
  }

  private background(work: Answer<void>): void {
    if (work instanceof Promise)
      work.catch((error) => this.options.log.error('closing a content failed', { error }));
  }
}

function openFile(node: Node, content: OpenContent): OpenFile {
  return {
    inode: node.id,
    content,
    base: node,
    handles: 0,
    mtime: undefined,
    orphan: undefined,
    publication: undefined,
    dirtySinceMs: undefined,
  };
}
