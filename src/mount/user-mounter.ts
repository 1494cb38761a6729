import { WormholeError } from '../base/index.js';
import { openDescriptorSocket } from './descriptor-socket.js';
import type { Mounter } from './mounter.js';
import { runProgram } from './program.js';

const FUSERMOUNT = 'fusermount3';
/** fusermount3 adds what an ordinary user may not leave out. The mount is its owner's alone: others need
 *  `user_allow_other` in /etc/fuse.conf, which an administrator gives. */
const OPTIONS = 'rw,nosuid,nodev,default_permissions,subtype=wh';

/** Mounts without being root: the setuid helper of libfuse does it, and sends the open device over a socket. */
export const userMounter: Mounter = {
  async mount(mountPoint, source) {
    const socket = await openDescriptorSocket();
    try {
      const parameters = ['-o', `${OPTIONS},fsname=${escaped(source)}`, '--', mountPoint];
      const { code, stderr } = await runProgram(FUSERMOUNT, parameters, socket.theirs, { _FUSE_COMMFD: '3' });
      const descriptor = code === 0 ? socket.receive() : undefined;
      if (descriptor === undefined) throw refusal(mountPoint, stderr);
      return descriptor;
    } finally {
      socket.close();
    }
  },

  async unmount(mountPoint, lazy) {
    const { code, stderr } = await runProgram(FUSERMOUNT, ['-u', ...(lazy ? ['-z'] : []), '--', mountPoint]);
    return code === 0 ? undefined : stderr;
  },
};

/** Commas separate options. */
function escaped(source: string): string {
  return source.replace(/[\\,]/g, '\\$&');
}

function refusal(mountPoint: string, stderr: string): WormholeError {
  if (stderr.includes('/dev/fuse'))
    return new WormholeError(
      stderr.includes('ermission') ? 'not-permitted' : 'no-fuse',
      `${FUSERMOUNT} cannot open /dev/fuse (${stderr}); load it with 'modprobe fuse', let you into its group, or mount as root`,
    );
  return new WormholeError('mount-point', `mounting on ${mountPoint} failed: ${stderr}`);
}
