import { type Log, messageOf, WormholeError } from '../base/index.js';
import type { FileSystem } from '../fs/index.js';
import { Device, type Ended, type Way } from './device.js';
import { Driver, REQUEST_BYTES_MAX } from './driver.js';
import { KernelInvalidator } from './invalidation.js';
import { prepareMountPoint } from './mount-point.js';
import { mountsAt, placeOfDevice } from './mount-table.js';
import { type Mounter, systemMounter } from './mounter.js';
import type { InodeId } from './nodes.js';
import type { Timeouts } from './protocol/replies.js';
import { widenReadAhead } from './read-ahead.js';
import { usersOf } from './users.js';
import { startWatchdog, type Watchdog } from './watchdog.js';
import type { Watching } from './watching/watching.js';

export interface MountOptions {
  fileSystem: FileSystem;
  /** The inode of the tree's top folder. */
  root: InodeId;
  /** An empty folder; relative to the working directory, symbolic links are followed. */
  mountPoint: string;
  /** Shown by `df` and `mount`. */
  networkName: string;
  log: Log;
  /** Made before, because the file system needs it to begin with; by default the mount makes its own. */
  invalidator?: KernelInvalidator;
  /** Tells file watchers of remote changes; it learns of them from the file system. */
  watching?: Watching;
  /** Default: a minute each, on kernels before 6.16 a second. */
  timeouts?: Partial<Timeouts>;
  /** Default: by the rights that this process has. */
  mounter?: Mounter;
  /** How requests are read; default: the quicker one that works. */
  way?: Way;
}

export interface UnmountOptions {
  /** Take it out of sight although it is in use; who has it open keeps it until this process ends. */
  lazy?: boolean;
}

/** A tree that the kernel shows. */
export interface Mount {
  /** Absolute, without symbolic links. */
  readonly mountPoint: string;
  readonly invalidator: KernelInvalidator;
  readonly way: Way;
  /** Resolves when the mount is gone and all of it was answered.
   *  @throws WormholeError `busy` when somebody uses it */
  unmount(options?: UnmountOptions): Promise<void>;
  /** Resolves when the mount is gone, by {@link Mount.unmount} or by somebody else's `umount` or abort. */
  readonly closed: Promise<Ended>;
}

/** The kernel greets as soon as it is mounted. */
const READY_TIMEOUT_MS = 10_000;
/** From a successful unmount to the end of the connection. */
const CLOSED_TIMEOUT_MS = 1_000;

/**
 * Mounts a file system. This process must not touch the mount synchronously from then on (no `fs.*Sync` below it,
 * no child with its working directory there): it would wait for itself.
 * @throws WormholeError `mount-point` | `no-fuse` | `not-permitted`, each with the cure
 */
export async function mountFileSystem(options: MountOptions): Promise<Mount> {
  const mounter = options.mounter ?? systemMounter();
  const mountPoint = await prepareMountPoint(options.mountPoint, async (stale) => {
    options.log.info('taking away the dead mount of an earlier process', { mountPoint: stale });
    const failure = await mounter.unmount(stale, true);
    if (failure !== undefined)
      throw new WormholeError(
        'mount-point',
        `${stale} has a dead mount that cannot be taken away: ${failure}`,
      );
  });
  const descriptor = await mounter.mount(mountPoint, `wormhole:${options.networkName}`);
  const mounted = new Mounted(options, mounter, mountPoint, descriptor);
  try {
    await mounted.start();
  } catch (error) {
    await mounted.abandon();
    throw error;
  }
  return mounted;
}

class Mounted implements Mount {
  readonly mountPoint: string;
  readonly invalidator: KernelInvalidator;
  readonly closed: Promise<Ended>;
  private readonly options: MountOptions;
  private readonly mounter: Mounter;
  private readonly log: Log;
  private readonly driver: Driver;
  private readonly device: Device;
  private watchdog: Watchdog | undefined;
  /** `major:minor`, by which the mount is known among others at the same place. */
  private number: string | undefined;
  private ended = false;
  /** Node waits at its exit for the thread that reads, which only an unmount sets free. */
  private readonly onExit = () => this.watchdog?.alarm();

  constructor(options: MountOptions, mounter: Mounter, mountPoint: string, descriptor: number) {
    this.options = options;
    this.mounter = mounter;
    this.mountPoint = mountPoint;
    this.log = options.log;
    this.invalidator = options.invalidator ?? new KernelInvalidator(options.log);
    this.driver = new Driver({
      fileSystem: options.fileSystem,
      root: options.root,
      timeouts: options.timeouts,
      log: options.log,
    });
    let close!: (ended: Ended) => void;
    this.closed = new Promise((resolve) => {
      close = resolve;
    });
    this.device = new Device({
      descriptor,
      bufferBytes: REQUEST_BYTES_MAX,
      log: options.log,
      way: options.way,
      onRequest: (buffer, length) => this.driver.accept(buffer, length),
      onEnd: (ended) => this.end(ended).finally(() => close(ended)),
    });
    this.driver.attach(this.device);
    // Before the first request can be answered.
    this.invalidator.attach(this.driver.session.nodes, this.device);
  }

  get way(): Way {
    return this.device.way;
  }

  async start(): Promise<void> {
    const late = new WormholeError('io', 'the kernel does not answer on the new mount; try again');
    await within(this.driver.ready, READY_TIMEOUT_MS, late);
    const mount = (await mountsAt(this.mountPoint)).at(-1);
    if (mount === undefined)
      throw new WormholeError('mount-point', `${this.mountPoint} was unmounted at once`);
    this.number = mount.device;
    await widenReadAhead(mount.device, this.log);
    this.watchdog = startWatchdog(this.mountPoint, mount.device, this.log);
    if (this.way === 'read') process.once('exit', this.onExit);
    this.watch();
    this.log.info('mounted', { mountPoint: this.mountPoint, way: this.way });
  }

  async unmount(options: UnmountOptions = {}): Promise<void> {
    if (this.ended) return;
    // Its helper must not be in the way.
    await this.options.watching?.detach();
    const place = (await this.place()) ?? this.mountPoint;
    const failure = await this.mounter.unmount(place, options.lazy ?? false);
    // Somebody else may have been quicker.
    if (failure !== undefined && !this.ended) {
      this.watch();
      throw await this.busy(failure);
    }
    if (options.lazy) this.device.end();
    // A mount namespace that was split off meanwhile (a container's, a service's) may hold a copy that we cannot
    // see. Here the mount is gone, so the connection ends, and the copy with it.
    const timer = setTimeout(() => this.device.end(), CLOSED_TIMEOUT_MS);
    await this.closed.finally(() => clearTimeout(timer));
  }

  /** Takes away what did not come to life. */
  async abandon(): Promise<void> {
    await this.mounter.unmount(this.mountPoint, true).catch(() => {});
    this.device.end();
  }

  private async place(): Promise<string | undefined> {
    return this.number === undefined ? undefined : placeOfDevice(this.number, this.mountPoint);
  }

  private watch(): void {
    const { mountPoint, invalidator, number: device } = this;
    const { fileSystem, watching } = this.options;
    if (device === undefined) return;
    watching?.attach({ session: this.driver.session, fileSystem, invalidator, mountPoint, device });
  }

  private async busy(failure: string): Promise<WormholeError> {
    const users = await usersOf(this.mountPoint);
    const who = users.length === 0 ? 'something' : users.join(', ');
    return new WormholeError(
      'busy',
      `${this.mountPoint} is in use by ${who}; end that and try again, or unmount lazily (${failure})`,
    );
  }

  private async end(ended: Ended): Promise<void> {
    this.ended = true;
    this.invalidator.detach();
    try {
      await this.options.watching?.detach();
      // Aborted or failed, the mount may still be there and dead: nobody but us would take it away.
      const place = ended === 'unmounted' ? undefined : await this.place();
      if (place !== undefined) await this.mounter.unmount(place, true);
    } catch (error) {
      this.log.warn('unmounting failed', { error: messageOf(error) });
    }
    process.off('exit', this.onExit);
    this.watchdog?.dismiss();
    this.log.info('unmounted', { mountPoint: this.mountPoint });
  }
}

async function within<T>(promise: Promise<T>, milliseconds: number, late: WormholeError): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
