import { WormholeError } from '../../base/index.js';
import type { Row, Seat } from '../resolver/tables.js';
import { type Data, type InodeId, type OpId, type RegisterWrite, ROOT } from '../schema.js';
import type { Node } from '../tree.js';
import { attributesOf, discarding, isLoser, loserOf, materialising } from './conflict.js';
import { checkName } from './names.js';
import { checkEmpty, removeName } from './remove.js';
import {
  checkMovable,
  findTarget,
  folderAt,
  membersAt,
  moving,
  removal,
  rowOf,
  type Target,
  targetAt,
  type View,
  writableFolderAt,
} from './view.js';

export interface RenameFlags {
  noreplace?: boolean;
  exchange?: boolean;
}

export interface Renaming {
  writes: RegisterWrite[];
  /** The inode that is at the new name afterwards. */
  inode: InodeId;
  /** What lost its last name. */
  replaced?: Node;
}

/**
 * POSIX rename. A file over a file keeps the target's inode: whoever moves or renames the target at the same
 * time carries the new content along.
 * @throws WormholeError `not-found` | `exists` | `not-empty` | `not-a-directory` | `is-a-directory` | `invalid`
 *   (into its own subtree) | `busy` | `not-permitted`, and as the check of the name
 */
export function rename(view: View, from: Seat, to: Seat, flags: RenameFlags): Renaming {
  const folder = folderAt(view, from.parent);
  const source = targetAt(view, folder, from.name);
  const newFolder = folderAt(view, to.parent);
  const target = findTarget(view, newFolder, to.name);
  checkMovable(source.node.id);
  if (flags.noreplace && target !== undefined)
    throw new WormholeError('exists', `${to.name} is there already`);
  if (flags.exchange && target === undefined) throw new WormholeError('not-found', `there is no ${to.name}`);
  checkNotInside(view, source.node, newFolder);
  // Two names of one file: POSIX leaves both.
  if (target?.node.id === source.node.id) return { writes: [], inode: source.node.id };
  const place: Seat = { parent: writableFolderAt(view, newFolder), name: to.name };
  if (target === undefined) {
    checkName(to.name);
    return moveTo(view, source, place);
  }
  checkMovable(target.node.id);
  if (flags.exchange) {
    checkNotInside(view, target.node, folder);
    return exchange(view, source, target, { parent: writableFolderAt(view, folder), name: from.name }, place);
  }
  return moveOver(view, source, target, place);
}

/** @throws WormholeError `invalid` when `folder` is the node or lies below it, `busy` */
function checkNotInside(view: View, node: Node, folder: InodeId): void {
  if (node.kind !== 'directory') return;
  const seen = new Set<InodeId>();
  for (let at: InodeId | undefined = folder; at !== undefined && at !== ROOT; at = view.node(at)?.parent) {
    if (at === node.id) throw new WormholeError('invalid', `${node.name} cannot be moved into itself`);
    // A move here that still waits for the document and one from elsewhere may form a circle until it has both.
    if (seen.has(at)) throw new WormholeError('busy', 'the folder is being moved elsewhere: try again');
    seen.add(at);
  }
}

function moveOver(view: View, source: Target, target: Target, place: Seat): Renaming {
  const [from, over] = [source.node, target.node];
  if (over.kind === 'directory') {
    if (from.kind !== 'directory') throw new WormholeError('is-a-directory', `${over.name} is a folder`);
    checkEmpty(view, over);
    const moved = moveTo(view, source, place);
    const removed = membersAt(view, target.at).map(removal);
    return { writes: [...removed, ...moved.writes], inode: moved.inode, replaced: over };
  }
  if (from.kind === 'directory') {
    throw new WormholeError('not-a-directory', `${over.name} is not a folder`);
  }
  if (keepsTarget(source, target)) return putInto(view, source, target);
  const removed = removeName(view, target);
  const moved = moveTo(view, source, place);
  const writes = joinWrites([...removed.writes, ...moved.writes]);
  return removed.gone ? { writes, inode: moved.inode, replaced: over } : { writes, inode: moved.inode };
}

/** Other names of either file must go on showing what they show: then no content can change its inode. */
function keepsTarget(source: Target, target: Target): boolean {
  return target.node.nlink === 1 && !isLoser(target.node) && source.node.nlink === 1;
}

/** The target takes the source's content and attributes, the source ends. */
function putInto(view: View, source: Target, target: Target): Renaming {
  const over = target.node;
  const taken = takenFrom(view, source, over.id);
  const row = rowOf(view, over.id);
  const write: RegisterWrite = {
    inode: over.id,
    d: taken.data,
    replaces: [...over.versions, ...taken.replaces],
  };
  const attributes = attributesOf(taken.row);
  if (attributes !== undefined) write.a = attributes;
  else if (attributesOf(row) !== undefined) write.a = {};
  const others = membersAt(view, target.at).filter(({ id, row: { registers } }) => {
    return id !== over.id && registers.d.at(-1)?.value.kind !== 'link';
  });
  return { writes: [write, ...others.map(removal), ...taken.writes], inode: over.id, replaced: over };
}

/** What a file gives to the one it is put over, and how it ends. */
function takenFrom(
  view: View,
  source: Target,
  over: InodeId,
): { row: Row; data: Data; replaces: OpId[]; writes: RegisterWrite[] } {
  if (isLoser(source.node)) {
    const loser = loserOf(view, source.node.id);
    const { row, data } = loser;
    if (loser.base === over) return { row, data, replaces: [loser.version], writes: [] };
    return { row, data, replaces: [], writes: [discarding(view, loser)] };
  }
  const row = rowOf(view, source.node.id);
  const data = row.registers.d.at(-1)?.value;
  if (data === undefined) throw new WormholeError('internal', `${source.node.id} has no data`);
  return { row, data, replaces: [], writes: removeName(view, source).writes };
}

/** Moves a name, with everything that is shown as one with it. */
function moveTo(view: View, { node, at }: Target, place: Seat): { writes: RegisterWrite[]; inode: InodeId } {
  if (isLoser(node)) return materialising(view, loserOf(view, node.id), place);
  return { inode: node.id, writes: membersAt(view, at).map((member) => moving(member, place)) };
}

function exchange(view: View, source: Target, target: Target, oldPlace: Seat, place: Seat): Renaming {
  const there = moveTo(view, source, place);
  const back = moveTo(view, target, oldPlace);
  return { inode: there.inode, writes: joinWrites([...there.writes, ...back.writes]) };
}

/** Two writes to one inode within one operation (a file and its own losing value) become one. */
function joinWrites(writes: RegisterWrite[]): RegisterWrite[] {
  const joined = new Map<InodeId, RegisterWrite>();
  for (const write of writes) {
    const before = joined.get(write.inode);
    if (before === undefined) {
      joined.set(write.inode, write);
      continue;
    }
    const replaces = [...new Set([...(before.replaces ?? []), ...(write.replaces ?? [])])];
    joined.set(write.inode, { ...before, ...write, ...(replaces.length > 0 ? { replaces } : {}) });
  }
  return [...joined.values()];
}
