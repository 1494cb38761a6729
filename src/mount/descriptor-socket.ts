import { closeSync } from 'node:fs';
import { messageOf, WormholeError } from '../base/index.js';

/** Of Linux, the same on every machine that the driver runs on. */
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** struct cmsghdr on a machine of 64 bits; the descriptor lies behind it. */
const CONTROL_HEADER_BYTES = 16;
const CONTROL_BYTES = 64;

/** A pair of connected sockets over one of which another process sends an open file. Node has no call for that. */
export interface DescriptorSocket {
  /** The end for the other process. */
  readonly theirs: number;
  /** Takes the file that was sent, as a descriptor of ours; undefined when there was none. */
  receive(): number | undefined;
  close(): void;
}

/** @throws WormholeError `not-supported` where the optional package koffi is missing */
export async function openDescriptorSocket(): Promise<DescriptorSocket> {
  const { default: koffi } = await import('koffi').catch((cause: unknown) => {
    throw new WormholeError(
      'not-supported',
      `mounting as an ordinary user needs the package koffi (${messageOf(cause)}): install it with 'npm install koffi', or mount as root`,
      { cause },
    );
  });
  const libc = koffi.load('libc.so.6');
  const vector = koffi.struct({ base: 'void *', length: 'size_t' });
  const header = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    vectors: koffi.pointer(vector),
    vectorCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  const socketpair = libc.func('int socketpair(int, int, int, _Out_ int *)');
  const recvmsg = libc.func('recvmsg', 'long', ['int', koffi.inout(koffi.pointer(header)), 'int']);
  const ends = [-1, -1];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) !== 0)
    throw new WormholeError('io', 'no pair of sockets could be made: close some programs and try again');
  const [ours = -1, theirs = -1] = ends;
  return {
    theirs,
    receive() {
      const control = Buffer.alloc(CONTROL_BYTES);
      const message = {
        name: null,
        nameLength: 0,
        vectors: [{ base: Buffer.alloc(1), length: 1 }],
        vectorCount: 1,
        control,
        controlLength: CONTROL_BYTES,
        flags: 0,
      };
      if (recvmsg(ours, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) return undefined;
      const hasDescriptor = Number(message.controlLength) > CONTROL_HEADER_BYTES;
      return hasDescriptor ? control.readInt32LE(CONTROL_HEADER_BYTES) : undefined;
    },
    close() {
      closeSync(ours);
      closeSync(theirs);
    },
  };
}
