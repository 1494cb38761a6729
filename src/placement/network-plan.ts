import { setImmediate } from 'node:timers/promises';
import type { PodId } from '../base/index.js';
import type { ContentId } from '../content/index.js';
import { type InodeId, type NamedContent, ROOT, type Tree } from '../tree/index.js';
import type { Layouts } from './layouts.js';
import { holders, type Layout } from './rendezvous.js';

const PAGE = 1_000;
/** A large content counts by so many pieces: where its real chunks go is much the same. */
const PIECES_MAX = 32;
const PIECE_BYTES = 1024 * 1024;
const FOLDERS_MAX = 50_000;

/** What has to move from one layout of the network to another. */
export interface Flow {
  /** Files whose copies are not all where they were. */
  files: number;
  make: { copies: number; bytes: number };
  drop: { copies: number; bytes: number };
  pods: Map<PodId, PodFlow>;
}

/** Bytes of one pod. */
export interface PodFlow {
  receive: number;
  drop: number;
  /** That it holds afterwards. */
  holds: number;
}

/** Counts what has to move, file by file. Pure but for what it adds up. */
export class FlowCount {
  readonly flow: Flow = {
    files: 0,
    make: { copies: 0, bytes: 0 },
    drop: { copies: 0, bytes: 0 },
    pods: new Map(),
  };

  add({ content, size }: { content: ContentId; size: number }, before: Layout, after: Layout): void {
    const moved: Moved = { made: 0, dropped: 0 };
    const id = content.slice(1);
    // A small content is one chunk, whose id is known.
    const pieces = content.startsWith('c')
      ? 1
      : Math.min(PIECES_MAX, Math.max(1, Math.ceil(size / PIECE_BYTES)));
    const first = pieces === 1 ? 0 : Number.parseInt(id.slice(0, 8), 16);
    for (let i = 0; i < pieces; i++) {
      const piece = i === 0 ? id : hex(first + Math.imul(i, 0x9e3779b9)) + id.slice(8);
      this.addPiece(size / pieces, holders(piece, before), holders(piece, after), moved);
    }
    const { make, drop } = this.flow;
    if (moved.made + moved.dropped === 0) return;
    this.flow.files++;
    make.copies += Math.ceil(moved.made / pieces);
    drop.copies += Math.ceil(moved.dropped / pieces);
  }

  private addPiece(bytes: number, old: readonly PodId[], now: readonly PodId[], moved: Moved): void {
    const { make, drop } = this.flow;
    for (const pod of now) {
      const at = this.pod(pod);
      at.holds += bytes;
      if (old.includes(pod)) continue;
      at.receive += bytes;
      make.bytes += bytes;
      moved.made++;
    }
    for (const pod of old) {
      if (now.includes(pod)) continue;
      this.pod(pod).drop += bytes;
      drop.bytes += bytes;
      moved.dropped++;
    }
  }

  private pod(id: PodId): PodFlow {
    let pod = this.flow.pods.get(id);
    if (pod === undefined) {
      pod = { receive: 0, drop: 0, holds: 0 };
      this.flow.pods.set(id, pod);
    }
    return pod;
  }
}

/** Copies of the pieces of one file. */
interface Moved {
  made: number;
  dropped: number;
}

/** Goes over all files of the tree, a page at a time, and counts what would move. */
export async function planNetwork(
  tree: Pick<Tree, 'contents' | 'node' | 'pathOf'>,
  before: Layouts,
  after: Layouts,
  nowMs: number,
  signal: AbortSignal,
): Promise<Flow> {
  const count = new FlowCount();
  const places = new Places(tree, before, after, nowMs);
  const uniform = before.uniform && after.uniform;
  let from: InodeId | undefined;
  do {
    const page = tree.contents(from, PAGE);
    for (const file of page) {
      if (uniform) count.add(file, before.common, after.common);
      else places.count(file, count);
    }
    from = page.at(-1)?.inode;
    await setImmediate();
    signal.throwIfAborted();
  } while (from !== undefined);
  return count.flow;
}

/** Where the names of one folder belong, under both declarations. */
interface Folder {
  before: ReturnType<Layouts['inFolder']>;
  after: ReturnType<Layouts['inFolder']>;
}

/** Files by their paths. What holds in their folders is remembered, since most files share theirs with others. */
class Places {
  private readonly tree: Pick<Tree, 'node' | 'pathOf'>;
  private readonly before: Layouts;
  private readonly after: Layouts;
  private readonly nowMs: number;
  private readonly folders = new Map<InodeId, Folder>();
  /** The files of a folder often follow each other. */
  private last: { inode: InodeId; folder: Folder } | undefined;

  constructor(tree: Pick<Tree, 'node' | 'pathOf'>, before: Layouts, after: Layouts, nowMs: number) {
    this.tree = tree;
    this.before = before;
    this.after = after;
    this.nowMs = nowMs;
  }

  count(file: NamedContent, count: FlowCount): void {
    const seat = file.seat ?? this.tree.node(file.inode);
    const folder = seat === undefined ? undefined : this.folder(seat.parent);
    const name = seat?.name ?? '';
    const ageMs = this.nowMs - file.mtimeMs;
    const before = folder?.before(name, ageMs) ?? this.before.common;
    count.add(file, before, folder?.after(name, ageMs) ?? this.after.common);
  }

  private folder(inode: InodeId): Folder {
    if (this.last?.inode === inode) return this.last.folder;
    let folder = this.folders.get(inode);
    if (folder === undefined) {
      const path = inode === ROOT ? '' : this.tree.pathOf(inode);
      folder = { before: this.before.inFolder(path), after: this.after.inFolder(path) };
      if (this.folders.size >= FOLDERS_MAX) this.folders.clear();
      this.folders.set(inode, folder);
    }
    this.last = { inode, folder };
    return folder;
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
