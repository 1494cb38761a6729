import { messageOf, WormholeError } from '../base/index.js';
import type { Device } from './device.js';
import { isMeantToEnd } from './interrupts.js';
import * as attributes from './operations/attributes.js';
import * as directories from './operations/directories.js';
import * as files from './operations/files.js';
import * as names from './operations/names.js';
import { answerRepeated } from './operations/repeated.js';
import {
  INIT_FLAG,
  OPCODE,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
  PROTOCOL_MINOR_EPOCH,
  PROTOCOL_MINOR_LEAST,
  REQUEST_OVERHEAD_BYTES,
  SIZE,
} from './protocol/constants.js';
import { encodeInit } from './protocol/replies.js';
import {
  decodeBatchForget,
  decodeForget,
  decodeHeader,
  decodeInit,
  decodeInterrupt,
  type RequestBuffer,
  type RequestHeader,
} from './protocol/requests.js';
import { type Request, Session, type SessionOptions } from './session.js';

/** Bytes of one WRITE or READ. */
export const WRITE_BYTES_MAX = 1024 * 1024;
const WRITE_PAGES_MAX = 256;
const BACKGROUND_REQUESTS_MAX = 64;
const BACKGROUND_REQUESTS_CONGESTED = 48;

/** Bytes of the buffers that requests are read into. */
export const REQUEST_BYTES_MAX = WRITE_BYTES_MAX + REQUEST_OVERHEAD_BYTES;

/**
 * Taken where the kernel offers it. Not so FUSE_WRITEBACK_CACHE: an append from elsewhere would show cut. Nor
 * FUSE_ASYNC_DIO: who reads with O_DIRECT could not be killed while it waits for bytes from the network.
 */
const WANTED_FLAGS =
  INIT_FLAG.asyncRead |
  INIT_FLAG.atomicOTrunc |
  INIT_FLAG.bigWrites |
  INIT_FLAG.doReaddirplus |
  INIT_FLAG.readdirplusAuto |
  INIT_FLAG.parallelDirops |
  INIT_FLAG.abortError |
  INIT_FLAG.maxPages |
  INIT_FLAG.cacheSymlinks |
  INIT_FLAG.handleKillprivV2 |
  INIT_FLAG.initExt;

/** What may be answered with EINTR although the file system goes on: these change nothing. */
const INTERRUPTIBLE: ReadonlySet<number> = new Set([
  OPCODE.lookup,
  OPCODE.getattr,
  OPCODE.readlink,
  OPCODE.read,
  OPCODE.statfs,
  OPCODE.getxattr,
  OPCODE.listxattr,
  OPCODE.readdir,
  OPCODE.readdirplus,
]);

/** How often it is looked at whether an interrupted request's process is now to end. */
const INTERRUPT_CHECK_MS = 250;

type Operation = (session: Session, request: Request) => void;

/** What the kernel does by itself when it is told ENOSYS: access checks. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OPCODE.lookup, names.lookup],
  [OPCODE.getattr, attributes.getattr],
  [OPCODE.setattr, attributes.setattr],
  [OPCODE.readlink, attributes.readlink],
  [OPCODE.symlink, names.symlink],
  [OPCODE.mknod, names.mknod],
  [OPCODE.mkdir, names.mkdir],
  [OPCODE.unlink, names.unlink],
  [OPCODE.rmdir, names.rmdir],
  [OPCODE.rename, names.rename],
  [OPCODE.rename2, names.rename2],
  [OPCODE.link, names.link],
  [OPCODE.open, files.open],
  [OPCODE.read, files.read],
  [OPCODE.write, files.write],
  [OPCODE.statfs, attributes.statfs],
  [OPCODE.release, files.release],
  [OPCODE.fsync, files.fsync],
  [OPCODE.setxattr, attributes.setxattr],
  [OPCODE.getxattr, attributes.getxattr],
  [OPCODE.listxattr, attributes.listxattr],
  [OPCODE.removexattr, attributes.removexattr],
  [OPCODE.flush, files.flush],
  [OPCODE.opendir, directories.opendir],
  [OPCODE.readdir, directories.readdir],
  [OPCODE.readdirplus, directories.readdirplus],
  [OPCODE.releasedir, directories.releasedir],
  [OPCODE.fsyncdir, directories.fsyncdir],
  [OPCODE.create, files.create],
  [OPCODE.destroy, (session, request) => void session.ok(request)],
  [OPCODE.fallocate, files.fallocate],
  [OPCODE.lseek, files.lseek],
  [OPCODE.copyFileRange, files.copyFileRange],
  [OPCODE.ioctl, (session, request) => session.failWith(request, 'ENOTTY')],
]);

/** Written out: copying the header by `...` costs more than all of its decoding. */
function makeRequest(header: RequestHeader, buffer: RequestBuffer): Request {
  return {
    length: header.length,
    opcode: header.opcode,
    unique: header.unique,
    node: header.node,
    uid: header.uid,
    gid: header.gid,
    pid: header.pid,
    buffer,
    keepsBuffer: false,
    answered: false,
    abort: undefined,
  };
}

/** Turns requests of the kernel into calls of a file system, and its answers into replies. */
export class Driver {
  readonly session: Session;
  /** Resolves when the kernel and we have agreed on the protocol; the mount then serves. */
  readonly ready: Promise<void>;
  private becomeReady!: () => void;
  private becomeUnusable!: (error: Error) => void;
  private readonly interrupted = new Set<number>();

  constructor(options: SessionOptions) {
    this.session = new Session(options);
    this.ready = new Promise((resolve, reject) => {
      this.becomeReady = resolve;
      this.becomeUnusable = reject;
    });
    this.ready.catch(() => {});
  }

  attach(device: Device): void {
    this.session.device = device;
  }

  /** Serves one request. @returns true when it keeps the buffer for a while */
  accept(buffer: RequestBuffer, length: number): boolean {
    let request: Request | undefined;
    try {
      request = makeRequest(decodeHeader(buffer.view, length), buffer);
      this.serve(request);
    } catch (error) {
      if (request !== undefined) this.session.fail(request, error);
      else this.session.log.error('a request of the kernel is not understood', { error: messageOf(error) });
    }
    return request?.keepsBuffer ?? false;
  }

  private serve(request: Request): void {
    if (request.pid === this.session.repeating.pid && answerRepeated(this.session, request)) return;
    const operation = OPERATIONS.get(request.opcode);
    if (operation !== undefined) operation(this.session, request);
    else if (request.opcode === OPCODE.init) this.init(request);
    else if (!this.take(request)) this.session.failWith(request, 'ENOSYS');
  }

  /** What the kernel tells us without waiting for a reply. */
  private take({ opcode, node, length, buffer: { view } }: Request): boolean {
    const { nodes } = this.session;
    if (opcode === OPCODE.forget) nodes.forget(node, decodeForget(view, length));
    else if (opcode === OPCODE.batchForget)
      decodeBatchForget(view, length, (number, lookups) => nodes.forget(number, lookups));
    else if (opcode === OPCODE.interrupt) this.interrupt(decodeInterrupt(view, length));
    else return false;
    return true;
  }

  private init(request: Request): void {
    const offered = decodeInit(request.buffer.view, request.length);
    if (
      offered.major < PROTOCOL_MAJOR ||
      (offered.major === PROTOCOL_MAJOR && offered.minor < PROTOCOL_MINOR_LEAST)
    ) {
      this.session.failWith(request, 'EPROTO');
      const version = `${offered.major}.${offered.minor}`;
      this.becomeUnusable(
        new WormholeError(
          'no-fuse',
          `this kernel speaks FUSE ${version}, and 7.31 is needed; upgrade to Linux 5.4 or later`,
        ),
      );
      return;
    }
    const { view } = this.session;
    encodeInit(view, SIZE.outHeader, {
      minor: Math.min(offered.minor, PROTOCOL_MINOR),
      maxReadahead: offered.maxReadahead,
      flags: offered.flags & WANTED_FLAGS,
      maxBackground: BACKGROUND_REQUESTS_MAX,
      congestionThreshold: BACKGROUND_REQUESTS_CONGESTED,
      maxWrite: WRITE_BYTES_MAX,
      maxPages: WRITE_PAGES_MAX,
    });
    this.session.agreed(offered.major > PROTOCOL_MAJOR || offered.minor >= PROTOCOL_MINOR_EPOCH);
    this.session.send(request, SIZE.initOut);
    // A newer major version asks again with ours.
    if (offered.major === PROTOCOL_MAJOR) this.becomeReady();
  }

  /**
   * A signal arrived for a process that waits for an answer. A local disk's reads are not interrupted by signals
   * that a program handles (a timer, a child's end), only by those that end it; so it is here.
   */
  private interrupt(unique: number): void {
    const request = this.session.pending.get(unique);
    if (request === undefined || this.interrupted.has(unique)) return;
    const changesNothing = INTERRUPTIBLE.has(request.opcode);
    if (!changesNothing && request.abort === undefined) return;
    this.interrupted.add(unique);
    this.session.background('looking after an interrupted request', async () => {
      while (!request.answered && !(await isMeantToEnd(request.pid)))
        await new Promise((resolve) => setTimeout(resolve, INTERRUPT_CHECK_MS).unref());
      this.interrupted.delete(unique);
      // What changes something says itself whether it still could be given up.
      if (changesNothing) this.session.failWith(request, 'EINTR');
      request.abort?.();
    });
  }
}
