import {
  type Answer,
  type Clock,
  LIMITS,
  type Log,
  messageOf,
  then,
  unlessAborted,
  WormholeError,
} from '../base/index.js';
import type { ContentStore, OpenContent, Published } from '../content/index.js';
import type { InodeId, Node, Tree } from '../tree/index.js';
import { publishPauseMs } from './publish-pace.js';
import { stagingKey } from './staging-key.js';

/** A rename that waits for a publication looks this often whether it failed meanwhile. */
const PENDING_LOOK_MS = 100;

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
  /** Of the last change of anything, while not yet published. */
  ctime: bigint | undefined;
  /** Mode and owner that were set after the last write, to be published with it. */
  owner: OwnerChange | undefined;
  /** The inode as it was when its last name went away; it lives on while it is open. */
  orphan: Node | undefined;
  /** Goes on until the content is in the tree, with pauses after failures; never rejects. */
  publication: Promise<void> | undefined;
  /** Published, but the tree could not take it yet: the only name of those bytes. */
  unrecorded: Published | undefined;
  /** The operation that named what was published, while the staging record could not be told of it: after a crash the
   *  bytes of that record, which may be older, would come back and replace what was named. */
  unnoted: number | undefined;
  /** Asked to publish while that was going on: what was written meanwhile goes next. */
  again: boolean;
  /** Why the last attempt to publish failed. */
  failure: unknown;
  /** How long the last publication that took time did, in milliseconds. */
  publicationMs: number;
  /** Monotonic time of the first unpublished write. */
  dirtySinceMs: number | undefined;
}

export type OwnerChange = { mode?: number; uid?: number; gid?: number };

export interface OpenFilesOptions {
  tree: Tree;
  content: ContentStore;
  clock: Clock;
  log: Log;
  /** A file that is held open and written is published this often. */
  publishIntervalMs: number;
  /** True while other pods wait for what is written here. */
  awaited?: () => boolean;
  /** Pause before a failed publication is tried again. */
  retryMs: number;
  /** The tree keeps a file under another inode id from now on (a losing version that was made a real file). */
  moved: (from: InodeId, to: InodeId) => void;
  /** False for a file of which nothing is to stay in the cache. */
  caches?: (inode: InodeId) => boolean;
}

/** Opens, shares, publishes and lets go of contents. */
export class OpenFiles {
  private readonly files = new Map<InodeId, OpenFile>();
  private readonly options: OpenFilesOptions;
  private readonly timer: NodeJS.Timeout;
  private readonly stopping = new AbortController();

  constructor(options: OpenFilesOptions) {
    this.options = options;
    const lookMs = Math.min(options.publishIntervalMs, LIMITS.publishEarlyMs / 2);
    this.timer = setInterval(() => this.publishLongOpen(), lookMs);
    this.timer.unref();
  }

  /** True while the tree does not have all that was written to it. */
  isPending(file: OpenFile): boolean {
    return isPending(file);
  }

  get(inode: InodeId): OpenFile | undefined {
    return this.files.get(inode);
  }

  /** Of all files that are open or not yet published. */
  inodes(): InodeId[] {
    return [...this.files.keys()];
  }

  /** The shared open file of a node, opened if needed, with one more handle. */
  acquire(node: Node): OpenFile {
    let file = this.files.get(node.id);
    if (file === undefined) {
      file = openFile(node, this.open(node));
      this.files.set(node.id, file);
    }
    file.handles++;
    return file;
  }

  /** Takes up what an earlier process staged and did not publish. */
  adopt(base: Node, content: OpenContent): void {
    const file = openFile(base, content);
    this.files.set(base.id, file);
    this.settle(file);
  }

  /** To be called at each write or cut. */
  touched(file: OpenFile): void {
    file.mtime = this.options.clock.wallNs();
    file.ctime = file.mtime;
    file.dirtySinceMs ??= this.options.clock.monotonicMs();
  }

  /** At close(): what was written survives kill -9 and is on its way to the document.
   *  @throws what keeps a small content from getting its name in the tree; it is tried again all the same; and what
   *    keeps older bytes in staging */
  save(file: OpenFile): Answer<void> {
    return then(this.saveBytes(file), () => {
      if (file.unnoted !== undefined && file.orphan === undefined) this.note(file, file.unnoted);
    });
  }

  private saveBytes(file: OpenFile): Answer<void> {
    if (!isPending(file) || file.orphan !== undefined) return;
    if (!file.content.publishesAtOnce || file.publication !== undefined) {
      this.recordOwner(file);
      return then(file.content.save(), () => this.settleOrThrow(file));
    }
    // Once the journal has its name, a small content needs no record that it is staged.
    this.settleOrThrow(file);
    if (file.publication === undefined) return;
    this.recordOwner(file);
    return file.content.save();
  }

  /** True while mode and owner may wait for the content: a close is to come, which saves them. */
  defersOwner(file: OpenFile): boolean {
    return file.handles > 0 && file.content.dirty && file.orphan === undefined;
  }

  /** What waits for the content goes into the tree without it. */
  recordOwner(file: OpenFile): void {
    if (file.owner === undefined) return;
    const { id } = this.options.tree.setAttributes(file.inode, file.owner);
    file.owner = undefined;
    if (id !== file.inode) this.options.moved(file.inode, id);
  }

  release(file: OpenFile): Answer<void> {
    file.handles--;
    if (file.handles > 0) return;
    if (file.orphan !== undefined) return this.drop(file);
    // Pages of a shared mapping may have been written after the last flush.
    if (!isPending(file)) {
      this.settle(file);
      return;
    }
    this.recordOwner(file);
    return then(file.content.save(), () => this.settle(file));
  }

  /** The file was unlinked, or replaced by a rename. Returns its open file, if it has one. */
  orphaned(inode: InodeId, node: Node): OpenFile | undefined {
    const file = this.files.get(inode);
    if (file === undefined) return undefined;
    this.files.delete(inode);
    file.orphan = { ...node, ...file.owner, nlink: 0 };
    file.owner = undefined;
    if (file.handles === 0) this.drop(file);
    return file;
  }

  /** A rename over `target` made this file the target's content. */
  becameTarget(file: OpenFile, target: Node): void {
    this.files.delete(file.inode);
    file.inode = target.id;
    this.files.set(target.id, file);
    this.rebase(file, target);
  }

  /** A remote change arrived: readers that wrote nothing see it. What was written stays on its old base, and
   *  publishing it makes the conflict visible, or brings a deleted file back. */
  refresh(inode: InodeId, node: Node | undefined): OpenFile | undefined {
    const file = this.files.get(inode);
    if (file === undefined || isPending(file)) return file;
    if (node === undefined || node.kind !== 'file') return this.orphaned(inode, file.base);
    const stale = node.content !== file.base.content;
    if (stale) {
      this.background(file.content.close());
      file.content = this.open(node);
    }
    file.base = node;
    return file;
  }

  /** Resolves when the file's content, as it is now, is in the tree (for a rename over another file).
   *  @throws what keeps it from being published now */
  published(file: OpenFile): Answer<void> {
    return isPending(file) ? this.publishNow(file) : undefined;
  }

  /** Files whose content is not yet in the document. */
  unpublished(): number {
    let count = 0;
    for (const file of this.files.values()) if (isPending(file)) count++;
    return count;
  }

  /** Why publishing does not get on, or undefined when it does. */
  failure(): string | undefined {
    for (const file of this.files.values()) {
      if (file.failure === undefined) continue;
      return `publishing ${this.options.tree.pathOf(file.inode)}: ${messageOf(file.failure)}`;
    }
    return undefined;
  }

  /** Resolves when everything closed so far is published, however often that has to be tried. */
  async publishAll(signal?: AbortSignal): Promise<void> {
    for (const file of [...this.files.values()]) {
      if (file.handles > 0 && file.publication === undefined) this.settle(file);
      while (isPending(file) && file.publication !== undefined && !this.stopping.signal.aborted) {
        signal?.throwIfAborted();
        await (signal === undefined ? file.publication : unlessAborted(file.publication, signal));
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort(new WormholeError('closed', 'the file system is being closed'));
    const files = [...this.files.values()];
    await Promise.allSettled(files.map((file) => file.publication));
    for (const file of files) {
      await this.safely(() => this.recordOwner(file)).catch((error) =>
        this.options.log.error('mode and owner of an open file are lost', { inode: file.inode, error }),
      );
      await file.content.close();
    }
    this.files.clear();
  }

  private publishLongOpen(): void {
    const { clock, publishIntervalMs, awaited } = this.options;
    const now = clock.monotonicMs();
    for (const file of this.files.values()) {
      const since = file.dirtySinceMs;
      if (since === undefined || file.publication !== undefined) continue;
      if (now - since >= publishPauseMs(file, publishIntervalMs, awaited?.())) this.settle(file);
    }
  }

  /** As {@link settleOrThrow}, for those who have nobody to tell: what fails is tried again. */
  private settle(file: OpenFile): void {
    try {
      this.settleOrThrow(file);
    } catch {
      // Noted in file.failure, and tried again by the publication that was started.
    }
  }

  /** Publishes what is dirty, at once where the content is small, and closes what nobody holds. */
  private settleOrThrow(file: OpenFile): void {
    if (file.orphan !== undefined) return;
    if (file.publication !== undefined) {
      file.again = true;
      return;
    }
    if (isUnpublished(file)) {
      try {
        const attempt = this.attempt(file);
        if (attempt instanceof Promise) {
          this.pursue(file, attempt);
          return;
        }
      } catch (error) {
        this.pursue(file, Promise.reject(error));
        throw error;
      }
    }
    if (file.handles === 0 && !isPending(file)) this.forget(file);
  }

  /** One attempt: publishes, then records. What was published and not recorded is only recorded. */
  private attempt(file: OpenFile): Answer<void> {
    if (file.unrecorded !== undefined) return this.record(file, file.unrecorded);
    return then(file.content.publish(), (published) => this.record(file, published));
  }

  /** Waits for an attempt and makes further ones until all is in the tree. */
  private pursue(file: OpenFile, first: Promise<void>): void {
    const { clock } = this.options;
    const startedMs = clock.monotonicMs();
    file.publication = this.untilPublished(file, first).finally(() => {
      file.publication = undefined;
      file.publicationMs = clock.monotonicMs() - startedMs;
      // Closed after the last look at it, and before this.
      if (file.again && isUnpublished(file) && !this.stopping.signal.aborted) this.settle(file);
      else if (file.handles === 0 && !isUnpublished(file) && file.orphan === undefined) this.forget(file);
    });
  }

  private async untilPublished(file: OpenFile, first: Promise<void>): Promise<void> {
    const { clock, log, retryMs } = this.options;
    for (let attempt: Answer<void> = first; ; attempt = this.safely(() => this.attempt(file))) {
      try {
        await attempt;
      } catch (error) {
        if (this.stopping.signal.aborted || file.orphan !== undefined) return;
        if (file.failure === undefined) {
          log.error('publication failed, it is tried again', { inode: file.inode, reason: messageOf(error) });
        }
        file.failure = error;
        await clock.sleep(retryMs, this.stopping.signal).catch(() => {});
      }
      if (!isUnpublished(file) || file.orphan !== undefined || this.stopping.signal.aborted) return;
      // Somebody goes on writing: that is published at its own pace, or when it is closed.
      if (file.failure === undefined && file.handles > 0 && !file.again) return;
      file.again = false;
    }
  }

  private async safely(work: () => Answer<void>): Promise<void> {
    await work();
  }

  /** Gives what was published its name in the tree. */
  private record(file: OpenFile, published: Published): void {
    if (file.orphan !== undefined) return;
    file.unrecorded = published;
    const { size, content } = published;
    const mtime = file.mtime ?? this.options.clock.wallNs();
    const node = this.options.tree.setData(
      file.inode,
      { size, mtime, content },
      file.base.versions,
      file.owner,
      // As it was shown since then; a program that remembers it (git does) would take the file for another.
      file.ctime,
    );
    file.unrecorded = undefined;
    file.owner = undefined;
    file.failure = undefined;
    this.noteRecorded(file);
    if (file.content.dirty) {
      file.dirtySinceMs = this.options.clock.monotonicMs();
    } else {
      file.mtime = undefined;
      file.ctime = undefined;
      file.dirtySinceMs = undefined;
    }
    if (node.id === file.inode) {
      this.rebase(file, node);
      return;
    }
    const from = file.inode;
    this.becameTarget(file, node);
    this.options.moved(from, node.id);
  }

  /** A crash that brings the staged bytes back must not put them over what this inode holds by then. */
  private noteRecorded(file: OpenFile): void {
    const operation = this.options.tree.reached();
    try {
      this.note(file, operation);
    } catch (error) {
      file.unnoted = operation;
      this.options.log.warn('a publication could not be noted beside its staged bytes', { error });
    }
  }

  private note(file: OpenFile, operation: number): void {
    file.content.recordedAs(operation);
    file.unnoted = undefined;
  }

  /** From here on what is published replaces this node; staging records must know it, for after a crash. */
  private rebase(file: OpenFile, base: Node): void {
    file.base = base;
    file.content.rekey(stagingKey(base));
  }

  private open(node: Node): OpenContent {
    const cache = this.options.caches?.(node.id) ?? true;
    return this.options.content.open(stagingKey(node), node.content, node.size, { cache });
  }

  /** One attempt, and what came of it. */
  private async publishNow(file: OpenFile): Promise<void> {
    this.settleOrThrow(file);
    while (isPending(file) && file.orphan === undefined && !this.stopping.signal.aborted) {
      if (file.failure !== undefined) throw file.failure;
      await Promise.race([file.publication, this.options.clock.sleep(PENDING_LOOK_MS)]);
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

function isUnpublished(file: OpenFile): boolean {
  return file.content.dirty || file.unrecorded !== undefined;
}

/** True while the tree does not have all that was written, or is being told. */
function isPending(file: OpenFile): boolean {
  return isUnpublished(file) || file.publication !== undefined;
}

function openFile(node: Node, content: OpenContent): OpenFile {
  return {
    inode: node.id,
    content,
    base: node,
    handles: 0,
    mtime: undefined,
    ctime: undefined,
    owner: undefined,
    orphan: undefined,
    publication: undefined,
    unrecorded: undefined,
    unnoted: undefined,
    again: false,
    failure: undefined,
    publicationMs: 0,
    dirtySinceMs: undefined,
  };
}
