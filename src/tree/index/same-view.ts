import type { Dentry, Row } from '../resolver/tables.js';

/** Whether a name leads to the same thing. */
export function sameDentry(a: Dentry | undefined, b: Dentry | undefined): boolean {
  return a?.inode === b?.inode && a?.kind === b?.kind;
}

/** Whether `stat` and `read` of an inode answer the same. */
export function sameShown(a: Row | undefined, b: Row | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.names === b.names && a.subfolders === b.subfolders && sameData(a, b) && sameAttributes(a, b);
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
