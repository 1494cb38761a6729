import { setImmediate } from 'node:timers/promises';
import type { PodId } from '../base/index.js';
import type { ChunkId } from '../content/index.js';
import { type InodeId, type NamedContent, ROOT, type Tree } from '../tree/index.js';
import type { FileContent } from './content-source.js';
import type { Layouts } from './layouts.js';
import { holders } from './rendezvous.js';

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

  add(
    file: FileContent,
    before: (id: ChunkId) => readonly PodId[],
    after: (id: ChunkId) => readonly PodId[],
  ): void {
    const { make, drop } = this.flow;
    let made = 0;
    let dropped = 0;
    const pieces = piecesOf(file);
    for (const { id, bytes } of pieces) {
      const old = before(id);
      const now = after(id);
      for (const pod of now) {
        const at = this.pod(pod);
        at.holds += bytes;
        if (old.includes(pod)) continue;
        at.receive += bytes;
        make.bytes += bytes;
        made++;
      }
      for (const pod of old) {
        if (now.includes(pod)) continue;
        this.pod(pod).drop += bytes;
        drop.bytes += bytes;
        dropped++;
      }
    }

    if (made + dropped === 0) return;
    this.flow.files++;
    make.copies += Math.ceil(made / pieces.length);
    drop.copies += Math.ceil(dropped / pieces.length);
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

/** Goes over all files of the tree, a page at a time, and counts what would move. */
export async function planNetwork(
  tree: Pick<Tree, 'contents' | 'node' | 'pathOf'>,
  before: Layouts,
  after: Layouts,
  nowNs: bigint,
  signal: AbortSignal,
): Promise<Flow> {
  const count = new FlowCount();
  const places = new Places(tree, nowNs);
  const uniform = before.uniform && after.uniform;
  let from: InodeId | undefined;
  do {
    const page = tree.contents(from, PAGE);
    for (const file of page) {
      const place = uniform ? undefined : places.of(file);
      const old = place === undefined ? before.common : before.of(place);
      const now = place === undefined ? after.common : after.of(place);
      count.add(
        file,
        (id) => holders(id, old),
        (id) => holders(id, now),
      );
    }
    from = page.at(-1)?.inode;
    await setImmediate();
    signal.throwIfAborted();
  } while (from !== undefined);
  return count.flow;
}

/** Paths of many files: those of their folders are remembered. */
class Places {
  private readonly tree: Pick<Tree, 'node' | 'pathOf'>;
  private readonly nowNs: bigint;
  private readonly folders = new Map<InodeId, string>();

  constructor(tree: Pick<Tree, 'node' | 'pathOf'>, nowNs: bigint) {
    this.tree = tree;
    this.nowNs = nowNs;
  }

  of({ inode, seat: own, mtime }: NamedContent): { path: string; ageMs: number } | undefined {
    const seat = own ?? this.tree.node(inode);
    if (seat === undefined) return undefined;
    let folder = this.folders.get(seat.parent);
    if (folder === undefined) {
      folder = seat.parent === ROOT ? '' : this.tree.pathOf(seat.parent);
      if (this.folders.size >= FOLDERS_MAX) this.folders.clear();
      this.folders.set(seat.parent, folder);
    }
    return { path: `${folder}/${seat.name}`, ageMs: Number((this.nowNs - mtime) / 1_000_000n) };
  }
}

/** Pieces that stand for a content's chunks; small contents are one chunk, whose id is known. */
function piecesOf({ content, size }: FileContent): { id: ChunkId; bytes: number }[] {
  const id = content.slice(1);
  if (content.startsWith('c')) return [{ id, bytes: size }];
  const count = Math.min(PIECES_MAX, Math.max(1, Math.ceil(size / PIECE_BYTES)));
  const first = Number.parseInt(id.slice(0, 8), 16);
  return Array.from({ length: count }, (_, i) => {
    const word = ((first + Math.imul(i, 0x9e3779b9)) >>> 0).toString(16).padStart(8, '0');
    return { id: i === 0 ? id : word + id.slice(8), bytes: size / count };
  });
}
