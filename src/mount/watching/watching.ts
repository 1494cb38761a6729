import { LIMITS, type Log, messageOf } from '../../base/index.js';
import {
  type FileSystem,
  inodeNumber,
  type RemoteChange,
  type RemoteChangeListener,
} from '../../fs/index.js';
import type { KernelInvalidator } from '../invalidation.js';
import type { InodeId } from '../nodes.js';
import type { Session } from '../session.js';
import { PendingChanges, type Place, type Repeat, repeatsOf } from './changes.js';
import { HelperProcess } from './helper-process.js';
import type { Order } from './orders.js';

/** Changes are gathered for so long before they are repeated. */
const GATHER_MS = 10;
/** Pauses between two looks for watches: while there are some, and while there are none. */
const SCAN_PAUSE_MS = 50;
const SCAN_PAUSE_UNWATCHED_MS = 1_000;
/** Without work for so long the helper ends. */
const HELPER_IDLE_MS = 30_000;
/** From the failure of a helper to the next one. */
const HELPER_RETRY_MS = 5_000;
/** A reader of an old page may hold up an invalidation; watchers are told all the same. */
const INVALIDATION_WAIT_MS = 500;

export interface WatchedMount {
  session: Session;
  fileSystem: FileSystem;
  invalidator: KernelInvalidator;
  mountPoint: string;
  /** `major:minor` */
  device: string;
}

/**
 * Lets file watchers on this machine (inotify) learn of remote changes. The kernel tells watchers of what programs do
 * on the mount only, so a helper process does it once more, and the driver, which knows the helper by its process id,
 * answers as if it happened and changes nothing. The helper also looks which inodes are watched: nobody watches,
 * nothing is repeated. All of this is beside the requests of others: they pay one comparison.
 */
export class Watching implements RemoteChangeListener {
  private readonly log: Log;
  private readonly pending = new PendingChanges(LIMITS.watchedChangesMax);
  private mount: WatchedMount | undefined;
  private pathOf: (folder: InodeId) => string | undefined = () => undefined;
  private helper: HelperProcess | undefined;
  private running: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private idle: NodeJS.Timeout | undefined;
  private notBeforeMs = 0;
  private dropped = 0;

  constructor(log: Log) {
    this.log = log;
  }

  attach(mount: WatchedMount): void {
    this.mount = mount;
  }

  knows(inode: InodeId): boolean {
    return this.mount?.session.nodes.find(inode) !== undefined;
  }

  changed(changes: readonly RemoteChange[], pathOf: (folder: InodeId) => string | undefined): void {
    if (this.mount === undefined) return;
    this.pathOf = pathOf;
    for (const change of changes) if (!this.pending.add(change)) this.dropped++;
    this.schedule();
  }

  /** Resolves when nothing of ours uses the mount any more. */
  async detach(): Promise<void> {
    this.mount = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.pending.take();
    await this.endHelper();
    await this.running;
  }

  private schedule(): void {
    if (this.running !== undefined || this.timer !== undefined || this.pending.size === 0) return;
    const delay = Math.max(GATHER_MS, this.notBeforeMs - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.running = this.run()
        .catch((error: unknown) => this.failed(error))
        .finally(() => {
          this.running = undefined;
          if (this.mount !== undefined) this.schedule();
        });
    }, delay);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    const { mount } = this;
    if (mount === undefined) return;
    // Taken before the look: who watches by then learns of them.
    const changes = this.pending.take();
    const helper = this.wakeHelper();
    const { watched = [] } = await helper.ask({ do: 'scan', device: kernelDevice(mount.device) });
    this.notBeforeMs = performance.now() + (watched.length > 0 ? SCAN_PAUSE_MS : SCAN_PAUSE_UNWATCHED_MS);
    if (watched.length === 0) return;
    const numbers = new Set(watched);
    const repeats = repeatsOf(changes, (inode) => numbers.has(inodeNumber(inode)));
    if (repeats.length > 0) await mount.invalidator.settled(INVALIDATION_WAIT_MS);
    for (const repeat of repeats) {
      if (this.mount !== mount) return;
      await this.repeat(mount, helper, repeat);
    }
    if (this.dropped > 0) this.log.info('watchers were not told of all changes', { dropped: this.dropped });
    this.dropped = 0;
  }

  private async repeat(mount: WatchedMount, helper: HelperProcess, repeat: Repeat): Promise<void> {
    const order = await this.orderOf(mount, repeat);
    if (order === undefined) return;
    const { repeating } = mount.session;
    repeating.operation = repeat;
    try {
      const { error } = await helper.ask(order);
      if (error !== undefined)
        this.log.debug('watchers were not told of a change', { error, do: repeat.do, name: repeat.name });
    } finally {
      repeating.operation = undefined;
    }
  }

  /** Undefined when the tree has gone on meanwhile: another change tells of that. */
  private async orderOf(mount: WatchedMount, repeat: Repeat): Promise<Order | undefined> {
    const path = this.placeOf(repeat);
    if (path === undefined) return undefined;
    const common = { mountPoint: mount.mountPoint, device: userDevice(mount.device), path };
    if (repeat.do === 'remove') return { ...common, do: 'remove', kind: repeat.kind };
    if (repeat.do === 'rename') {
      const to = this.placeOf(repeat.to);
      return to === undefined ? undefined : { ...common, do: 'rename', to };
    }
    const found = await mount.fileSystem.lookup(repeat.parent, repeat.name);
    if (found?.inode !== repeat.inode) return undefined;
    if (repeat.do === 'touch') return { ...common, do: 'touch' };
    const { size } = found;
    return repeat.do === 'create'
      ? { ...common, do: 'create', kind: repeat.kind, size }
      : { ...common, do: 'modify', size };
  }

  private placeOf({ parent, name }: Place): string | undefined {
    const folder = this.pathOf(parent);
    return folder === undefined ? undefined : `${folder === '/' ? '' : folder}/${name}`;
  }

  private wakeHelper(): HelperProcess {
    clearTimeout(this.idle);
    this.idle = setTimeout(() => {
      this.endHelper().catch((error: unknown) => this.failed(error));
    }, HELPER_IDLE_MS);
    this.idle.unref();
    if (this.helper?.isAlive) return this.helper;
    this.helper = new HelperProcess();
    if (this.mount !== undefined) this.mount.session.repeating.pid = this.helper.pid ?? -1;
    return this.helper;
  }

  private async endHelper(): Promise<void> {
    clearTimeout(this.idle);
    const { helper, mount } = this;
    this.helper = undefined;
    await helper?.end();
    if (mount !== undefined && this.helper === undefined) mount.session.repeating.pid = -1;
  }

  private failed(error: unknown): void {
    this.notBeforeMs = performance.now() + HELPER_RETRY_MS;
    if (this.mount !== undefined)
      this.log.warn('watchers were not told of changes', { error: messageOf(error) });
  }
}

/** As /proc/PID/fdinfo shows a device. */
function kernelDevice(device: string): string {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return (major * 2 ** 20 + minor).toString(16);
}

/** As stat(2) shows it. */
function userDevice(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + (minor & ~0xff) * 2 ** 12;
}
