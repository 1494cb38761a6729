import { closeSync, openSync } from 'node:fs';
import { messageOf, WormholeError } from '../base/index.js';
import { runProgram } from './program.js';
import { userMounter } from './user-mounter.js';

/** The seam to the system: root mounts by itself; somebody else needs a helper with more rights. */
export interface Mounter {
  /** Mounts and returns the connection to the kernel: a descriptor of /dev/fuse that the caller owns.
   *  @param source the name shown by `df` and `mount`
   *  @throws WormholeError `no-fuse` | `not-permitted` | `mount-point` */
  mount(mountPoint: string, source: string): Promise<number>;
  /** @param lazy out of sight at once, gone with its last user
   *  @returns why it could not be taken away, or undefined when it was */
  unmount(mountPoint: string, lazy: boolean): Promise<string | undefined>;
}

const DEVICE = '/dev/fuse';

/**
 * What the mount is for everybody: files of other machines must not become root here (nosuid), nor open this
 * machine's devices (nodev). Permissions are checked by the kernel, for all users.
 */
const OPTIONS = [
  'fd=3',
  'rootmode=40000',
  'user_id=0',
  'group_id=0',
  'default_permissions',
  'allow_other',
  'subtype=wh',
  'nosuid',
  'nodev',
].join(',');

/** Root mounts by itself, everybody else by the helper of libfuse. */
export function systemMounter(): Mounter {
  return process.geteuid?.() === 0 ? rootMounter : userMounter;
}

/** Mounts by mount(8), which gets the open device as its descriptor 3. */
export const rootMounter: Mounter = {
  async mount(mountPoint, source) {
    const descriptor = openDevice();
    try {
      const { code, stderr } = await runProgram(
        'mount',
        ['-i', '-t', 'fuse', '-o', OPTIONS, '--', source, mountPoint],
        descriptor,
      );
      if (code !== 0) throw new WormholeError('mount-point', `mounting on ${mountPoint} failed: ${stderr}`);
      return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  },

  async unmount(mountPoint, lazy) {
    const { code, stderr } = await runProgram('umount', [...(lazy ? ['-l'] : []), '--', mountPoint]);
    return code === 0 ? undefined : stderr;
  },
};

/** A plain descriptor, which no garbage collection closes. */
function openDevice(): number {
  try {
    return openSync(DEVICE, 'r+');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      throw new WormholeError(
        'not-permitted',
        `${DEVICE} may not be opened; give this container the device`,
        { cause },
      );
    const cure =
      "load it with 'modprobe fuse', or start the container with '--device /dev/fuse --cap-add SYS_ADMIN'";
    throw new WormholeError(
      'no-fuse',
      `this system offers no FUSE (${DEVICE}: ${messageOf(cause)}); ${cure}`,
      { cause },
    );
  }
}
