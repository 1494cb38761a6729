import { WormholeError } from '../base/index.js';
import { parseConflictInode } from './resolver/tables.js';
import type { InodeId, OpId } from './schema.js';
import type { Conflict, Tree } from './tree.js';

/** One of the things in a conflict. */
export interface ConflictVersion {
  /** Names it among the others; the operation that wrote it. */
  id: OpId;
  /** What it is called as long as the conflict lasts. */
  name: string;
}

/** What is in a conflict: first what has the name, then the others. */
export function versionsIn(tree: Tree, { parent, name, copies }: Conflict): ConflictVersion[] {
  return [name, ...copies].flatMap((shown) => {
    const id = versionAt(tree, parent, shown);
    return id === undefined ? [] : [{ id, name: shown }];
  });
}

function versionAt(tree: Tree, parent: InodeId, name: string): OpId | undefined {
  const node = tree.lookup(parent, name);
  if (node === undefined) return undefined;
  return parseConflictInode(node.id)?.version ?? node.versions.at(-1);
}

/**
 * Keeps one version of a conflict under the name that all want; the others go, as if somebody had deleted them.
 * @throws WormholeError `is-a-directory` when a file is to take the place of a folder; nothing was changed
 */
export function keepOnly(tree: Tree, { parent, name }: Conflict, keep: OpId): void {
  const has = tree.lookup(parent, name);
  const isThere = versionAt(tree, parent, name) === keep;
  if (!isThere && has?.kind === 'directory') {
    throw new WormholeError(
      'is-a-directory',
      `${name} is a folder: keep both, or move the folder away, and the file takes its name by itself`,
    );
  }
  for (;;) {
    // Asked anew each time: where one goes another may get its name.
    const { copies } = tree.conflictAt(parent, name) ?? { copies: [] };
    const next = copies.find((copy) => versionAt(tree, parent, copy) !== keep);
    if (next === undefined) break;
    tree.unlink(parent, next);
  }
  const kept = tree.conflictAt(parent, name)?.copies.find((copy) => versionAt(tree, parent, copy) === keep);
  if (!isThere && kept !== undefined) tree.rename(parent, kept, parent, name);
}

/** Keeps all of them: what has a conflict name has it as its own from now on. */
export function keepAll(tree: Tree, conflict: Conflict): void {
  for (const copy of conflict.copies) tree.keepBeside(conflict.parent, copy);
}
