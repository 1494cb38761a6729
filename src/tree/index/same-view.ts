import type { IndexChange } from '../engine/indexer.js';
import type { Dentry, Row, Seat } from '../resolver/tables.js';
import type { InodeId } from '../schema.js';
import { type LayeredTables, MARKS } from './layered-tables.js';

/** Whether a name leads to the same thing. */
export function sameDentry(a: Dentry | undefined, b: Dentry | undefined): boolean {
  return a?.inode === b?.inode && a?.kind === b?.kind;
}

/** Whether `stat` and `read` of an inode answer the same. */
export function sameShown(a: Row | undefined, b: Row | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.names === b.names && a.subfolders === b.subfolders && sameData(a, b) && sameAttributes(a, b);
}

/** What two layers over one index show differently. */
export function differences(before: LayeredTables, after: LayeredTables): IndexChange {
  const inodes = new Set<InodeId>();
  const names = new Map<string, Seat>();
  for (const layer of [before, after]) {
    for (const [inode] of layer.heldRows()) inodes.add(inode);
    for (const [parent, name] of layer.heldNames())
      if (parent !== MARKS) names.set(keyOf({ parent, name }), { parent, name });
  }
  return {
    inodes: [...inodes].filter((inode) => !sameShown(before.row(inode), after.row(inode))),
    names: [...names.values()].filter(
      ({ parent, name }) => !sameDentry(before.dentry(parent, name), after.dentry(parent, name)),
    ),
  };
}

/** Tells a name in a folder from every other. */
export function keyOf({ parent, name }: Seat): string {
  return `${parent}\0${name}`;
}

function sameData(a: Row, b: Row): boolean {
  const [x, y] = [a.registers.d.at(-1)?.value, b.registers.d.at(-1)?.value];
  if (x === undefined || y === undefined) return x === y;
  return x.content === y.content && x.size === y.size && x.kind === y.kind && x.mtime === y.mtime;
}

function sameAttributes(a: Row, b: Row): boolean {
  const [x, y] = [a.registers.a.at(-1)?.value, b.registers.a.at(-1)?.value];
  if (x === undefined || y === undefined) return x === y;
  const plain = x.mode === y.mode && x.uid === y.uid && x.gid === y.gid && x.mtime === y.mtime;
  return plain && sameBytes(x.xattrs ?? {}, y.xattrs ?? {});
}

function sameBytes(a: { [name: string]: Uint8Array }, b: { [name: string]: Uint8Array }): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => {
    const [x, y] = [a[name], b[name]];
    return x !== undefined && y !== undefined && Buffer.compare(x, y) === 0;
  });
}
