import { WormholeError } from '../../base/index.js';
import { contentKey } from '../resolver/registers.js';
import type { Dentry, Row, Seat, Tables } from '../resolver/tables.js';
import { entryMembers } from '../resolver/view.js';
import { type InodeId, LOST_FOUND, type OpId, type RegisterWrite, ROOT } from '../schema.js';
import type { Node } from '../tree.js';

/** What operations decide by: the tree as it stands, with every operation before. They change nothing. */
export interface View {
  tables: Tables;
  node(id: InodeId): Node | undefined;
  /** An inode id that was never given before. */
  allocate(): InodeId;
  /** As many of them. */
  allocateSeveral(count: number): InodeId[];
  /** Wall clock, nanoseconds. */
  time: bigint;
}

/** An entry and its inode. */
export interface Target {
  dentry: Dentry;
  node: Node;
  /** Where the entry is: the folder that shows it. */
  at: Seat;
}

/** The folder that shows the entries of `id`: itself, or what it was merged into.
 *  @throws WormholeError `not-found` | `not-a-directory` */
export function folderAt(view: View, id: InodeId): InodeId {
  const node = view.node(id);
  if (node === undefined) throw new WormholeError('not-found', 'the folder is gone');
  if (node.kind !== 'directory') throw new WormholeError('not-a-directory', `${node.name} is not a folder`);
  return node.id;
}

/** A folder in which entries may be made. @throws WormholeError as {@link folderAt}, and `not-permitted` */
export function writableFolderAt(view: View, id: InodeId): InodeId {
  const folder = folderAt(view, id);
  if (folder !== LOST_FOUND) return folder;
  throw new WormholeError('not-permitted', 'lost+found shows what has no place else: move things out of it');
}

export function findTarget(view: View, folder: InodeId, name: string): Target | undefined {
  const dentry = view.tables.dentry(folder, name);
  if (dentry === undefined) return undefined;
  const node = view.node(dentry.inode);
  return node === undefined ? undefined : { dentry, node, at: { parent: folder, name } };
}

/** @throws WormholeError `not-found` */
export function targetAt(view: View, folder: InodeId, name: string): Target {
  const target = findTarget(view, folder, name);
  if (target === undefined) throw new WormholeError('not-found', `there is no ${name}`);
  return target;
}

/** @throws WormholeError `not-found` */
export function rowOf(view: View, id: InodeId): Row {
  const row = view.tables.row(id);
  if (row === undefined) throw new WormholeError('not-found', `the inode ${id} is gone`);
  return row;
}

/** Root and `lost+found` stay where they are. @throws WormholeError `busy` */
export function checkMovable(id: InodeId): void {
  if (id === ROOT || id === LOST_FOUND) {
    throw new WormholeError('busy', 'the root and lost+found can be neither moved nor removed');
  }
}

export interface Member {
  id: InodeId;
  row: Row;
}

/** The inodes whose locations make an entry: several for merged folders and equal files. */
export function membersAt(view: View, { parent, name }: Seat): Member[] {
  return entryMembers(view.tables, parent, name).map((id) => ({ id, row: rowOf(view, id) }));
}

/** The values of `d` with the bytes that are shown. */
export function versionsOf(row: Row): OpId[] {
  const { d } = row.registers;
  const winner = d.at(-1);
  if (winner === undefined) return [];
  const key = contentKey(winner.value);
  return d.filter(({ value }) => contentKey(value) === key).map(({ id }) => id);
}

/** Deletes an inode. Its losing values, shown beside it under names of their own, stay. */
export function removal({ id, row }: Member): RegisterWrite {
  const { l, d } = row.registers;
  const saw = [...l.map((value) => value.id), ...d.map((value) => value.id)];
  const versions = versionsOf(row);
  return versions.length === d.length
    ? { inode: id, x: { saw } }
    : { inode: id, x: { saw }, replaces: versions };
}

/** Moves an inode's own name. Its losing values stay where they are shown: they become inodes of their own. */
export function moving({ id, row }: Member, to: Seat): RegisterWrite {
  const from = row.seat;
  const previous = from === undefined ? {} : { previous: { parent: from.parent, name: from.name } };
  const write: RegisterWrite = { inode: id, l: { parent: to.parent, name: to.name, ...previous } };
  const versions = versionsOf(row);
  if (versions.length < row.registers.d.length) write.replaces = versions;
  return write;
}
