/** Operations on the entries of a folder. */
import { WormholeError } from '../../base/index.js';
import type { Caller, GoneFolder } from '../../fs/index.js';
import { RENAME_FLAG } from '../protocol/constants.js';
import {
  decodeLink,
  decodeMkdir,
  decodeMknod,
  decodeName,
  decodeRename,
  decodeSymlink,
} from '../protocol/requests.js';
import { RemovedFolder } from '../removed-folder.js';
import type { Request, Session } from '../session.js';

export function callerOf(request: Request, umask: number): Caller {
  return { uid: request.uid, gid: request.gid, pid: request.pid, umask };
}

export function lookup(session: Session, request: Request): void {
  const name = nameToFind(request);
  if (name === undefined) {
    session.failWith(request, 'ENOENT');
    return;
  }
  const answer = session.fileSystem.lookup(session.node(request.node).inode, name);
  session.answer(request, answer, (stat) => {
    if (stat === undefined) session.noEntry(request);
    else session.entry(request, stat, request.node);
  });
}

/** A name that is not UTF-8 cannot be made here, so it does not exist. */
function nameToFind(request: Request): string | undefined {
  try {
    return decodeName(request.buffer.bytes, request.length, 0);
  } catch (error) {
    if (error instanceof WormholeError && error.code === 'bad-name') return undefined;
    throw error;
  }
}

export function mknod(session: Session, request: Request): void {
  const { mode, rdev, umask, name } = decodeMknod(request.buffer, request.length);
  const { inode } = session.node(request.node);
  const answer = session.fileSystem.mknod(inode, name, mode, rdev, callerOf(request, umask));
  session.answer(request, answer, (stat) => session.entry(request, stat, request.node));
}

export function mkdir(session: Session, request: Request): void {
  const { mode, umask, name } = decodeMkdir(request.buffer, request.length);
  const { inode } = session.node(request.node);
  const answer = session.fileSystem.mkdir(inode, name, mode, callerOf(request, umask));
  session.answer(request, answer, (stat) => session.entry(request, stat, request.node));
}

export function symlink(session: Session, request: Request): void {
  const { name, target } = decodeSymlink(request.buffer.bytes, request.length);
  const { inode } = session.node(request.node);
  const answer = session.fileSystem.symlink(inode, name, target, callerOf(request, 0));
  session.answer(request, answer, (stat) => session.entry(request, stat, request.node));
}

export function link(session: Session, request: Request): void {
  const { node, name } = decodeLink(request.buffer, request.length);
  const { inode } = session.node(request.node);
  const answer = session.fileSystem.link(session.node(node).inode, inode, name);
  session.answer(request, answer, (stat) => session.entry(request, stat, request.node));
}

export function unlink(session: Session, request: Request): void {
  const name = decodeName(request.buffer.bytes, request.length, 0);
  const answer = session.fileSystem.unlink(session.node(request.node).inode, name);
  session.answer(request, answer, () => void session.ok(request));
}

export function rmdir(session: Session, request: Request): void {
  const name = decodeName(request.buffer.bytes, request.length, 0);
  const answer = session.fileSystem.rmdir(session.node(request.node).inode, name);
  session.answer(request, answer, (gone) => {
    stillAnswer(session, gone);
    session.ok(request);
  });
}

/** Whoever works in a folder that went still gets an answer about it, although the file system has it no more. */
function stillAnswer({ nodes }: Session, gone: GoneFolder): void {
  const node = nodes.find(gone.stat.inode);
  if (node !== undefined) node.removed = new RemovedFolder(gone);
}

export function rename(session: Session, request: Request): void {
  move(session, request, false);
}

export function rename2(session: Session, request: Request): void {
  move(session, request, true);
}

function move(session: Session, request: Request, second: boolean): void {
  const { newParent, flags, name, newName } = decodeRename(request.buffer, request.length, second);
  const known = RENAME_FLAG.noreplace | RENAME_FLAG.exchange;
  if ((flags & ~known) !== 0 || flags === known) {
    session.failWith(request, 'EINVAL');
    return;
  }
  const controller = session.spareController ?? new AbortController();
  session.spareController = undefined;
  const [from, to] = [session.node(request.node).inode, session.node(newParent).inode];
  const how = {
    noreplace: (flags & RENAME_FLAG.noreplace) !== 0,
    exchange: (flags & RENAME_FLAG.exchange) !== 0,
  };
  const answer = session.fileSystem.rename(from, name, to, newName, how, controller.signal);
  if (answer instanceof Promise)
    request.abort = () => controller.abort(new WormholeError('interrupted', 'the rename was given up'));
  else session.spareController = controller;
  session.answer(request, answer, (replaced) => {
    if (replaced !== undefined) stillAnswer(session, replaced);
    session.ok(request);
  });
}
