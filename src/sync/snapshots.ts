import { LIMITS, type PodId, WormholeError } from '../base/index.js';
import type { Link, Links } from '../net/index.js';
import type { Tree } from '../tree/index.js';
import { MESSAGES, PART_BYTES } from './wire.js';

/** A snapshot that nobody asked for in so long is forgotten. */
const KEPT_MS = 60_000;
/** Snapshots in memory for joining pods; a further one has to wait. */
const SERVED_MAX = 2;
const PARTS_AT_ONCE = 4;
const PART_TIMEOUT_MS = 60_000;

export interface SnapshotsOptions {
  links: Links;
  tree: Pick<Tree, 'sync'>;
  isMember: (pod: PodId) => boolean;
}

interface Served {
  bytes: Uint8Array;
  timer: NodeJS.Timeout;
}

/** The whole document for a pod that joins, in pieces: for a large one that is faster than the sync protocol. */
export class Snapshots {
  private readonly options: SnapshotsOptions;
  private readonly served = new Map<PodId, Served>();

  /** Make it before the links are started. */
  constructor(options: SnapshotsOptions) {
    this.options = options;
    options.links.handle(MESSAGES.snapshot, (link) => this.begin(link));
    options.links.handle(MESSAGES.snapshotPart, (link, body) => this.part(link, body));
  }

  /** Starts this pod's empty document from a peer's.
   *  @returns false when the peer's is small enough for the sync protocol
   *  @throws WormholeError what the peer or the tree says */
  async adopt(link: Link, signal: AbortSignal): Promise<boolean> {
    const answer = await link.request(MESSAGES.snapshot, null, { timeoutMs: PART_TIMEOUT_MS, signal });
    const size = (answer as { size?: unknown } | null)?.size;
    if (
      !Number.isSafeInteger(size) ||
      (size as number) < 0 ||
      (size as number) > LIMITS.treeMessageBytesMax
    ) {
      throw malformed();
    }
    if (size === 0) return false;
    const bytes = Buffer.alloc(size as number);
    let next = 0;
    const work = async () => {
      while (next < bytes.length) {
        const at = next;
        next += PART_BYTES;
        const options = { timeoutMs: PART_TIMEOUT_MS, signal, priority: 'bulk' } as const;
        const part = await link.request(MESSAGES.snapshotPart, at, options);
        if (!(part instanceof Uint8Array) || part.length !== Math.min(PART_BYTES, bytes.length - at)) {
          throw malformed();
        }
        bytes.set(part, at);
      }
    };
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, work));
    await this.options.tree.sync.adopt(bytes);
    return true;
  }

  close(): void {
    for (const pod of [...this.served.keys()]) this.forget(pod);
  }

  private async begin(link: Link): Promise<{ size: number }> {
    this.check(link);
    this.forget(link.peer);
    if (this.served.size >= SERVED_MAX) throw new WormholeError('busy', 'other pods are joining; ask again');
    const bytes = await this.options.tree.sync.snapshot();
    if (bytes === undefined) return { size: 0 };
    this.forget(link.peer);
    this.served.set(link.peer, { bytes, timer: this.forgetLater(link.peer) });
    return { size: bytes.length };
  }

  private part(link: Link, body: unknown): Uint8Array {
    this.check(link);
    const served = this.served.get(link.peer);
    if (served === undefined) throw new WormholeError('closed', 'the snapshot is gone; begin again');
    if (!Number.isSafeInteger(body) || (body as number) < 0) throw malformed();
    clearTimeout(served.timer);
    served.timer = this.forgetLater(link.peer);
    return served.bytes.subarray(body as number, (body as number) + PART_BYTES);
  }

  private check(link: Link): void {
    if (this.options.isMember(link.peer)) return;
    throw new WormholeError('not-member', 'only members are answered');
  }

  private forget(pod: PodId): void {
    clearTimeout(this.served.get(pod)?.timer);
    this.served.delete(pod);
  }

  private forgetLater(pod: PodId): NodeJS.Timeout {
    const timer = setTimeout(() => this.served.delete(pod), KEPT_MS);
    timer.unref();
    return timer;
  }
}

function malformed(): WormholeError {
  return new WormholeError('protocol', 'a peer sent a snapshot that cannot be read');
}
