import { WormholeError } from '../../base/index.js';
import { parseConflictInode, type Row } from '../resolver/tables.js';
import type { Attributes, Data, InodeId, OpId, RegisterWrite } from '../schema.js';
import type { Node } from '../tree.js';
import { folderAt, membersAt, moving, rowOf, targetAt, type View } from './view.js';

/** The losing value of a concurrent edit, which is shown as a file but is no inode of its own. */
export interface Loser {
  base: InodeId;
  row: Row;
  version: OpId;
  data: Data;
}

export function isLoser(node: Node): boolean {
  return node.conflictOf !== undefined;
}

/** @throws WormholeError `not-found` when the conflict was settled meanwhile */
export function loserOf(view: View, id: InodeId): Loser {
  const parsed = parseConflictInode(id);
  if (parsed === undefined) throw new WormholeError('internal', `${id} is not a losing value`);
  const row = rowOf(view, parsed.inode);
  const value = row.registers.d.find((other) => other.id === parsed.version);
  if (value === undefined) throw new WormholeError('not-found', 'the conflict was settled meanwhile');
  return { base: parsed.inode, row, version: parsed.version, data: value.value };
}

/** Takes a losing value away: the winner is put again by one who saw both. */
export function discarding(view: View, loser: Loser): RegisterWrite {
  const winner = view.node(loser.base);
  if (winner === undefined) throw new WormholeError('not-found', 'the file of the conflict is gone');
  const value = loser.row.registers.d.find((other) => winner.versions.includes(other.id));
  if (value === undefined) throw new WormholeError('internal', `${loser.base} has no winning value`);
  return { inode: loser.base, d: value.value, replaces: [...winner.versions, loser.version] };
}

/** Attributes of an inode as its register has them. */
export function attributesOf(row: Row): Attributes | undefined {
  return row.registers.a.at(-1)?.value;
}

/** Makes a losing value an inode of its own at a place; the file that it lost to stays as it is. */
export function materialising(
  view: View,
  loser: Loser,
  at: { parent: InodeId; name: string },
): { inode: InodeId; writes: [RegisterWrite, RegisterWrite] } {
  const inode = view.allocate();
  const made: RegisterWrite = { inode, l: { parent: at.parent, name: at.name }, d: loser.data };
  const attributes = attributesOf(loser.row);
  if (attributes !== undefined) made.a = attributes;
  return { inode, writes: [discarding(view, loser), made] };
}

/** Gives an entry the name that it is shown under for its own: it no longer wants another's.
 *  @throws WormholeError `not-found` */
export function keepBeside(view: View, parent: InodeId, name: string): RegisterWrite[] {
  const { node, at } = targetAt(view, folderAt(view, parent), name);
  if (isLoser(node)) return materialising(view, loserOf(view, node.id), at).writes;
  return membersAt(view, at).map((member) => moving(member, at));
}
