/** Operations on an inode's attributes, its extended attributes, and on the file system as a whole. */
import type { StatChange } from '../../fs/index.js';
import type { InodeId } from '../nodes.js';
import { SIZE, SETATTR_VALID as VALID, XATTR_FLAG } from '../protocol/constants.js';
import { encodeStatfs } from '../protocol/replies.js';
import {
  decodeName,
  decodeSetattr,
  decodeSetxattr,
  decodeXattrSize,
  type SetattrRequest,
} from '../protocol/requests.js';
import type { Attributes } from '../removed-folder.js';
import type { Request, Session } from '../session.js';

export function getattr(session: Session, request: Request): void {
  const { inode, attributes } = attributesOf(session, request);
  const answer = attributes.stat(inode);
  session.answer(request, answer, (stat) => session.attributes(request, stat));
}

export function setattr(session: Session, request: Request): void {
  const asked = decodeSetattr(request.buffer.view, request.length);
  const { inode, attributes } = attributesOf(session, request);
  const handle = (asked.valid & VALID.handle) === 0 ? undefined : asked.handle;
  const answer = attributes.setStat(inode, changeOf(asked), handle);
  session.answer(request, answer, (stat) => session.attributes(request, stat));
}

/** The time of the last access is not recorded, so it is left out. */
function changeOf({ valid, mode, uid, gid, size, mtime }: SetattrRequest): StatChange {
  const change: StatChange = {};
  if (valid & VALID.mode) change.mode = mode & 0o7777;
  if (valid & VALID.uid) change.uid = uid;
  if (valid & VALID.gid) change.gid = gid;
  if (valid & VALID.size) change.size = size;
  if (valid & VALID.mtimeNow) change.mtime = 'now';
  else if (valid & VALID.mtime) change.mtime = mtime;
  if (valid & VALID.killSuidgid) change.killSuidgid = true;
  return change;
}

export function readlink(session: Session, request: Request): void {
  const answer = session.fileSystem.readlink(session.node(request.node).inode);
  session.answer(request, answer, (target) => void session.data(request, Buffer.from(target)));
}

export function statfs(session: Session, request: Request): void {
  session.answer(request, session.fileSystem.statfs(), (space) => {
    encodeStatfs(session.view, SIZE.outHeader, space);
    session.send(request, SIZE.statfsOut);
  });
}

/**
 * Names that mean something to the kernel (`system.posix_acl_access`, `security.capability` …) would be stored here
 * and never obeyed: refused. Programs such as `ls -l` then ask once and not for every file.
 */
function isKernels(name: string): boolean {
  return name.startsWith('system.') || name.startsWith('security.');
}

export function getxattr(session: Session, request: Request): void {
  const size = decodeXattrSize(request.buffer.view, request.length);
  const name = decodeName(request.buffer.bytes, request.length, 8);
  if (isKernels(name)) {
    session.failWith(request, 'EOPNOTSUPP');
    return;
  }
  const { inode, attributes } = attributesOf(session, request);
  const answer = attributes.getxattr(inode, name);
  session.answer(request, answer, (value) => {
    if (value === undefined) session.failWith(request, 'ENODATA');
    else sendXattr(session, request, size, value);
  });
}

export function listxattr(session: Session, request: Request): void {
  const size = decodeXattrSize(request.buffer.view, request.length);
  const { inode, attributes } = attributesOf(session, request);
  const answer = attributes.listxattr(inode);
  session.answer(request, answer, (names) => {
    const list = names.map((name) => `${name}\0`).join('');
    sendXattr(session, request, size, Buffer.from(list));
  });
}

function sendXattr(session: Session, request: Request, size: number, value: Uint8Array): void {
  if (size === 0) {
    session.view.setUint32(SIZE.outHeader, value.length, true);
    session.view.setUint32(SIZE.outHeader + 4, 0, true);
    session.send(request, SIZE.getxattrOut);
  } else if (value.length > size) session.failWith(request, 'ERANGE');
  else session.data(request, value);
}

export function setxattr(session: Session, request: Request): void {
  const { flags, name, value } = decodeSetxattr(request.buffer, request.length);
  if (isKernels(name)) {
    session.failWith(request, 'EOPNOTSUPP');
    return;
  }
  const how = { create: (flags & XATTR_FLAG.create) !== 0, replace: (flags & XATTR_FLAG.replace) !== 0 };
  const { inode, attributes } = attributesOf(session, request);
  const answer = attributes.setxattr(inode, name, value, how);
  session.answer(request, answer, () => void session.ok(request));
}

export function removexattr(session: Session, request: Request): void {
  const name = decodeName(request.buffer.bytes, request.length, 0);
  if (isKernels(name)) {
    session.failWith(request, 'EOPNOTSUPP');
    return;
  }
  const { inode, attributes } = attributesOf(session, request);
  const answer = attributes.removexattr(inode, name);
  session.answer(request, answer, () => void session.ok(request));
}

/** Whoever answers for them: the file system, or what is left of a folder that it has no more. */
function attributesOf(session: Session, request: Request): { inode: InodeId; attributes: Attributes } {
  const { inode, removed } = session.node(request.node);
  return { inode, attributes: removed ?? session.fileSystem };
}
