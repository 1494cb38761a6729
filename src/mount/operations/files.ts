/** Operations on open files. */
import { constants } from 'node:fs';
import type { Answer } from '../../base/index.js';
import { then, WormholeError } from '../../base/index.js';
import type { FileHandle, OpenFlags, Stat } from '../../fs/index.js';
import type { Node } from '../nodes.js';
import {
  FALLOCATE_MODE,
  FSYNC_DATA_ONLY,
  OPEN_ANSWER,
  OPEN_KILL_SUIDGID,
  SEEK,
  SIZE,
  WRITE_FLAG,
} from '../protocol/constants.js';
import { encodeEntry, encodeOpen, writeUint64 } from '../protocol/replies.js';
import {
  type CreateRequest,
  decodeCopyFileRange,
  decodeCreate,
  decodeFallocate,
  decodeFsyncFlags,
  decodeHandle,
  decodeLseek,
  decodeOpen,
  decodeRead,
  decodeWrite,
} from '../protocol/requests.js';
import { REPEATED_HANDLE, type Request, type Session } from '../session.js';
import { callerOf } from './names.js';

const COPY_BYTES_MAX = 2 ** 31;

export function openFlagsOf(flags: number): OpenFlags {
  const mode = flags & (constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR);
  return {
    read: mode === constants.O_RDONLY || mode === constants.O_RDWR,
    write: mode === constants.O_WRONLY || mode === constants.O_RDWR,
    append: (flags & constants.O_APPEND) !== 0,
    truncate: (flags & constants.O_TRUNC) !== 0,
    // O_SYNC includes the bit of O_DSYNC.
    sync: (flags & constants.O_DSYNC) !== 0,
  };
}

export function open(session: Session, request: Request): void {
  const { flags, openFlags } = decodeOpen(request.buffer.view, request.length);
  const node = session.node(request.node);
  session.answer(request, openInode(session, node.inode, flags, openFlags), (handle) => {
    const opened = openFlagsOf(flags);
    session.files.opened(handle, node, opened);
    if (!session.opened(request, handle, answerFlags(node, opened))) abandon(session, node.number, handle);
  });
}

function openInode(
  session: Session,
  inode: Stat['inode'],
  flags: number,
  openFlags: number,
): Answer<FileHandle> {
  const opened = openFlagsOf(flags);
  const answer = session.fileSystem.open(inode, opened);
  if (!opened.truncate || (openFlags & OPEN_KILL_SUIDGID) === 0) return answer;
  return then(answer, (handle) =>
    then(session.fileSystem.setStat(inode, { killSuidgid: true }, handle), () => handle),
  );
}

/** Pages from before may stay unless a change from elsewhere could be missing in them. */
function answerFlags(node: Node, opened: OpenFlags): number {
  // Nothing was written through a handle that only reads, so its close needs no FLUSH.
  const flags = opened.write ? 0 : OPEN_ANSWER.noFlush;
  if (!node.stale) return flags | OPEN_ANSWER.keepCache;
  // While others have it open, a read that began before the change may still put old pages into the cache.
  if (node.opens === 1 && node.pendingReads === 0) node.stale = false;
  return flags;
}

export function create(session: Session, request: Request): void {
  const asked = decodeCreate(request.buffer, request.length);
  const { inode } = session.node(request.node);
  session.answer(request, createOrOpen(session, request, inode, asked), ({ stat, handle }) => {
    const node = session.nodes.remember(stat, request.node);
    session.files.opened(handle, node, openFlagsOf(asked.flags));
    encodeEntry(session.view, SIZE.outHeader, node.number, stat, session.timeouts);
    encodeOpen(session.view, SIZE.outHeader + SIZE.entryOut, handle, 0);
    if (session.send(request, SIZE.entryOut + SIZE.openOut)) return;
    abandon(session, node.number, handle);
    session.nodes.forget(node.number, 1);
  });
}

type Created = { stat: Stat; handle: FileHandle };

/** The kernel asks for CREATE when it believes that there is no such file; it may have come from elsewhere. */
function createOrOpen(session: Session, request: Request, parent: Stat['inode'], asked: CreateRequest) {
  const { fileSystem } = session;
  const { name, mode, flags } = asked;
  const openExisting = async (error: unknown): Promise<Created> => {
    const exists = error instanceof WormholeError && error.code === 'exists';
    if (!exists || (flags & constants.O_EXCL) !== 0) throw error;
    const stat = await fileSystem.lookup(parent, name);
    if (stat === undefined) throw error;
    return { stat, handle: await openInode(session, stat.inode, flags, asked.openFlags) };
  };
  try {
    const caller = callerOf(request, asked.umask);
    const answer = fileSystem.create(parent, name, mode, openFlagsOf(flags), caller);
    return answer instanceof Promise ? answer.catch(openExisting) : answer;
  } catch (error) {
    return openExisting(error);
  }
}

/** Nobody waited for the handle any more. */
function abandon(session: Session, number: number, handle: FileHandle): void {
  session.files.released(handle, session.nodes.get(number));
  session.background('releasing an abandoned handle', () => session.fileSystem.release(handle));
}

export function read(session: Session, request: Request): void {
  const { handle, offset, size } = decodeRead(request.buffer.view, request.length);
  const controller = session.spareController ?? new AbortController();
  session.spareController = undefined;
  const answer = session.fileSystem.readParts(handle, offset, size, controller.signal);
  if (!(answer instanceof Promise)) {
    session.spareController = controller;
    session.dataInParts(request, answer);
    return;
  }
  request.abort = () => controller.abort(new WormholeError('interrupted', 'the reader no longer waits'));
  const node = session.nodes.get(request.node);
  if (node !== undefined) node.pendingReads++;
  const counted = answer.finally(() => {
    if (node !== undefined) node.pendingReads--;
  });
  session.answer(request, counted, (parts) => void session.dataInParts(request, parts));
}

export function write(session: Session, request: Request): void {
  const { handle, offset, writeFlags, flags, data } = decodeWrite(request.buffer, request.length);
  const kill = (writeFlags & WRITE_FLAG.killSuidgid) !== 0;
  const into = (flags & constants.O_APPEND) === 0 ? session.files.positional(session, handle) : handle;
  const put = (at: FileHandle) =>
    session.fileSystem.write(at, offset, data, kill ? { killSuidgid: true } : undefined);
  const answer = then(into, put);
  request.keepsBuffer = answer instanceof Promise;
  session.answer(request, answer, (bytes) => written(session, request, bytes));
}

function written(session: Session, request: Request, bytes: number): void {
  session.view.setUint32(SIZE.outHeader, bytes, true);
  session.view.setUint32(SIZE.outHeader + 4, 0, true);
  session.send(request, SIZE.writeOut);
}

const KNOWN_MODES = FALLOCATE_MODE.keepSize | FALLOCATE_MODE.punchHole | FALLOCATE_MODE.zeroRange;

export function fallocate(session: Session, request: Request): void {
  const { handle, offset, length, mode } = decodeFallocate(request.buffer.view, request.length);
  if ((mode & ~KNOWN_MODES) !== 0) {
    session.failWith(request, 'EOPNOTSUPP');
    return;
  }
  const how = {
    keepSize: (mode & FALLOCATE_MODE.keepSize) !== 0,
    zero: (mode & (FALLOCATE_MODE.punchHole | FALLOCATE_MODE.zeroRange)) !== 0,
  };
  const node = session.nodes.get(request.node);
  const answer = then(session.fileSystem.allocate(handle, offset, length, how), () => {
    // As after a write; for that the kernel says so, for this it does not.
    if (request.uid === 0 || node === undefined) return undefined;
    return then(session.fileSystem.setStat(node.inode, { killSuidgid: true }, handle), () => undefined);
  });
  session.answer(request, answer, () => void session.ok(request));
}

export function lseek(session: Session, request: Request): void {
  const { handle, offset, whence } = decodeLseek(request.buffer.view, request.length);
  if (whence !== SEEK.data && whence !== SEEK.hole) {
    session.failWith(request, 'EINVAL');
    return;
  }
  const answer = session.fileSystem.seek(handle, offset, whence === SEEK.data ? 'data' : 'hole');
  session.answer(request, answer, (found) => {
    if (found === undefined) {
      session.failWith(request, 'ENXIO');
      return;
    }
    writeUint64(session.view, SIZE.outHeader, found);
    session.send(request, SIZE.lseekOut);
  });
}

/** Where moving bytes is quicker the kernel is told so, and copies them by reading and writing. */
export function copyFileRange(session: Session, request: Request): void {
  const { from, to, length } = decodeCopyFileRange(request.buffer.view, request.length);
  // The answer has 32 bits for it.
  const answer = session.fileSystem.copyRange(from, to, Math.min(length, COPY_BYTES_MAX));
  session.answer(request, answer, (bytes) => written(session, request, bytes));
}

export function flush(session: Session, request: Request): void {
  const handle = decodeHandle(request.buffer.view, request.length);
  session.answer(request, session.fileSystem.flush(handle), () => void session.ok(request));
}

export function fsync(session: Session, request: Request): void {
  const handle = decodeHandle(request.buffer.view, request.length);
  const dataOnly = (decodeFsyncFlags(request.buffer.view, request.length) & FSYNC_DATA_ONLY) !== 0;
  session.answer(request, session.fileSystem.fsync(handle, dataOnly), () => void session.ok(request));
}

export function release(session: Session, request: Request): void {
  const handle = decodeHandle(request.buffer.view, request.length);
  if (handle === REPEATED_HANDLE) {
    session.ok(request);
    return;
  }
  const second = session.files.released(handle, session.nodes.get(request.node));
  if (second !== undefined)
    session.background('releasing a handle', async () => session.fileSystem.release(await second));
  session.answer(request, session.fileSystem.release(handle), () => void session.ok(request));
}
