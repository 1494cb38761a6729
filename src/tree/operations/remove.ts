import { WormholeError } from '../../base/index.js';
import { visibleNames } from '../resolver/view.js';
import type { InodeId, RegisterWrite } from '../schema.js';
import type { Node } from '../tree.js';
import { discarding, isLoser, loserOf } from './conflict.js';
import {
  checkMovable,
  folderAt,
  type Member,
  membersAt,
  moving,
  removal,
  rowOf,
  type Target,
  targetAt,
  type View,
} from './view.js';

/** Removes one name of a file. `gone`: it was the last.
 *  @throws WormholeError `not-found` | `is-a-directory` | `not-a-directory` */
export function unlink(
  view: View,
  parent: InodeId,
  name: string,
): { node: Node; gone: boolean; writes: RegisterWrite[] } {
  const target = targetAt(view, folderAt(view, parent), name);
  if (target.node.kind === 'directory') throw new WormholeError('is-a-directory', `${name} is a folder`);
  return { node: target.node, ...removeName(view, target) };
}

/** What takes the name of a file away, whichever way it has it. */
export function removeName(view: View, target: Target): { gone: boolean; writes: RegisterWrite[] } {
  const { dentry, node, at } = target;
  if (isLoser(node)) return { gone: true, writes: [discarding(view, loserOf(view, node.id))] };
  const gone = node.nlink <= 1;
  const writes = membersAt(view, at).flatMap((member) => removeOwnName(view, member));
  // A file whose own name somebody deleted while somebody else linked it lives by its links only: it goes with
  // the last of them.
  const row = rowOf(view, node.id);
  if (gone && dentry.by !== undefined && !row.alive) writes.push(removal({ id: node.id, row }));
  return { gone, writes };
}

/** A file with further names takes over the place of the first of them, whose entry then ends. */
function removeOwnName(view: View, member: Member): RegisterWrite[] {
  const heir = visibleNames(view.tables, member.id).find(({ by }) => by !== member.id)?.by;
  if (heir === undefined) return [removal(member)];
  const row = rowOf(view, heir);
  if (row.seat === undefined) throw new WormholeError('internal', `the hard link ${heir} has no place`);
  return [moving(member, row.seat), removal({ id: heir, row })];
}

/** Removes an empty folder, with all that is merged into it.
 *  @throws WormholeError `not-found` | `not-a-directory` | `not-empty` | `busy` */
export function rmdir(view: View, parent: InodeId, name: string): { node: Node; writes: RegisterWrite[] } {
  const { node, at } = targetAt(view, folderAt(view, parent), name);
  if (node.kind !== 'directory') throw new WormholeError('not-a-directory', `${name} is not a folder`);
  checkMovable(node.id);
  checkEmpty(view, node);
  return { node, writes: membersAt(view, at).map(removal) };
}

/** @throws WormholeError `not-empty` */
export function checkEmpty(view: View, folder: Node): void {
  for (const entry of view.tables.dentries(folder.id, undefined, 1)) {
    throw new WormholeError('not-empty', `${folder.name} is not empty: it holds ${entry.name}`);
  }
}
