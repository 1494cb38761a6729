/** What the helper asks, which repeats remote changes for watchers: answered as if it happened, and never done. */
import { inodeNumber, type Stat } from '../../fs/index.js';
import { OPCODE, OPEN_ANSWER, SIZE } from '../protocol/constants.js';
import { FILE_TYPE } from '../protocol/directory.js';
import { encodeEntry, encodeOpen, NO_TIMEOUTS } from '../protocol/replies.js';
import { decodeName, decodeRename } from '../protocol/requests.js';
import { REPEATED_HANDLE, type Request, type Session } from '../session.js';
import type { Place, Repeat } from '../watching/changes.js';

/** Bytes before the name in a request that makes something. */
const NAME_AT: ReadonlyMap<number, number> = new Map([
  [OPCODE.create, 16],
  [OPCODE.mkdir, 8],
  [OPCODE.symlink, 0],
]);

/** What only reads is answered to the helper as to everybody. */
const HARMLESS: ReadonlySet<number> = new Set([
  OPCODE.forget,
  OPCODE.batchForget,
  OPCODE.interrupt,
  OPCODE.getattr,
  OPCODE.readlink,
  OPCODE.getxattr,
  OPCODE.listxattr,
  OPCODE.statfs,
  OPCODE.release,
]);

const OPEN_FLAGS = OPEN_ANSWER.keepCache | OPEN_ANSWER.noFlush;

/** @returns false when it is to be answered as any request */
export function answerRepeated(session: Session, request: Request): boolean {
  const { operation } = session.repeating;
  const { opcode } = request;
  if (HARMLESS.has(opcode)) return false;
  if (opcode === OPCODE.lookup) return operation !== undefined && lookup(session, request, operation);
  if (operation === undefined || !happens(session, request, operation)) session.failWith(request, 'EPERM');
  return true;
}

/** Names that the operation is about look as before it. */
function lookup(session: Session, request: Request, operation: Repeat): boolean {
  const name = decodeName(request.buffer.bytes, request.length, 0);
  const isAt = (place: Place) => isPlace(session, request.node, name, place);
  if (operation.do === 'rename') {
    if (isAt(operation)) showGone(session, request, operation, false);
    else if (!isAt(operation.to)) return false;
    else if (operation.replaced === undefined) session.failWith(request, 'ENOENT');
    else showGone(session, request, operation.replaced);
    return true;
  }
  if (!isAt(operation)) return false;
  // An error is not remembered, other than {@link Session.noEntry}.
  if (operation.do === 'create') session.failWith(request, 'ENOENT');
  else if (operation.do === 'remove') showGone(session, request, operation);
  else return false;
  return true;
}

function happens(session: Session, request: Request, operation: Repeat): boolean {
  const { opcode, node, length, buffer } = request;
  if (opcode === OPCODE.create || opcode === OPCODE.mkdir || opcode === OPCODE.symlink) {
    const name = decodeName(buffer.bytes, length, NAME_AT.get(opcode) ?? 0);
    if (operation.do !== 'create' || !isPlace(session, node, name, operation)) return false;
    made(session, request, operation);
    return true;
  }
  if (opcode === OPCODE.unlink || opcode === OPCODE.rmdir) {
    const name = decodeName(buffer.bytes, length, 0);
    return operation.do === 'remove' && isPlace(session, node, name, operation) && session.ok(request);
  }
  if (opcode === OPCODE.rename || opcode === OPCODE.rename2) {
    const asked = decodeRename(buffer, length, opcode === OPCODE.rename2);
    if (operation.do !== 'rename' || !isPlace(session, node, asked.name, operation)) return false;
    return isPlace(session, asked.newParent, asked.newName, operation.to) && session.ok(request);
  }
  if (session.nodes.get(node)?.inode !== operation.inode) return false;
  if (opcode === OPCODE.open) return session.opened(request, REPEATED_HANDLE, OPEN_FLAGS);
  if (opcode !== OPCODE.setattr) return false;
  session.answer(request, session.fileSystem.stat(operation.inode), (stat) =>
    session.attributes(request, stat),
  );
  return true;
}

/** The name that is there already, as if it had just been made. */
function made(session: Session, request: Request, { inode }: Repeat): void {
  session.answer(request, session.fileSystem.stat(inode), (stat) => {
    if (request.opcode !== OPCODE.create) return session.entry(request, stat, request.node);
    const node = session.nodes.remember(stat, request.node);
    encodeEntry(session.view, SIZE.outHeader, node.number, stat, session.timeouts);
    encodeOpen(session.view, SIZE.outHeader + SIZE.entryOut, REPEATED_HANDLE, OPEN_FLAGS);
    if (!session.send(request, SIZE.entryOut + SIZE.openOut)) session.nodes.forget(node.number, 1);
  });
}

/** An inode that is no longer at this name. Somebody may have it open or watch it, so its attributes are its own
 *  where they are known. */
function showGone(
  session: Session,
  request: Request,
  { inode, kind }: Repeat | { inode: Stat['inode']; kind: Repeat['kind'] },
  removes = true,
): void {
  const show = (stat: Stat) => {
    const node = session.nodes.remember(stat, request.node);
    encodeEntry(session.view, SIZE.outHeader, node.number, stat, NO_TIMEOUTS);
    if (!session.send(request, SIZE.entryOut)) session.nodes.forget(node.number, 1);
  };
  const known = Promise.resolve()
    .then(() => session.fileSystem.stat(inode))
    .then((stat) => ({ ...stat, ...(removes ? standIn(stat, kind) : {}), nlink: Math.max(1, stat.nlink) }))
    .catch(() => blank(inode, kind));
  session.answer(request, known, show);
}

/** A folder that only went elsewhere must not be what the kernel removes: it would take it for dead, wherever it is. */
function standIn({ inode }: Stat, kind: Repeat['kind']): { inode?: Stat['inode'] } {
  return kind === 'directory' ? { inode: `${inode}\0stand-in` } : {};
}

function blank(inode: Stat['inode'], kind: Repeat['kind']): Stat {
  const [mode, none] = [(FILE_TYPE[kind] << 12) | 0o600, 0n];
  const numbers = { ino: inodeNumber(inode), mode, nlink: 1, uid: 0, gid: 0, rdev: 0, size: 0, blocks: 0 };
  return { inode, ...numbers, atime: none, mtime: none, ctime: none };
}

function isPlace(session: Session, node: number, name: string, place: Place): boolean {
  return place.name === name && session.nodes.get(node)?.inode === place.parent;
}
