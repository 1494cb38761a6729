import { compareOpIds, type Data, type InodeId, LOST_FOUND, type OpId, ROOT } from '../schema.js';
import type { Entry, Node } from '../tree.js';
import { blankRow, contentKey, isFolder, locationId, targetOf } from './registers.js';
import { refsMark } from './seats.js';
import { parseConflictInode, type Row, type Seat, type Shadow, type Tables } from './tables.js';

const NO_XATTRS: Node['xattrs'] = {};
/** Of the root and `lost+found`, as long as nobody chose. */
const FOLDER_MODE = 0o755;

/** The inode as readers see it; undefined when it is not visible. A member of a merged folder, or of equal files,
 *  is seen as the primary that shows it: the node's id is then another. */
export function viewNode(tables: Tables, id: InodeId): Node | undefined {
  const virtual = parseConflictInode(id);
  if (virtual !== undefined) return viewShadow(tables, id, virtual);
  let at = id;
  // At most a hard link, then what it names, then what that is merged into: no further, should tables be in between
  // two states.
  for (let hops = 0; hops < 3; hops++) {
    const row = rowOf(tables, at);
    if (row === undefined) return undefined;
    const folder = isFolder(at, row);
    if (!folder && row.names > 0) return viewFile(tables, at, row);
    if (folder && row.mergedInto === undefined) return viewFolder(at, row);
    const next = row.mergedInto ?? targetOf(at, row.registers);
    if (next === undefined || !row.alive) return undefined;
    at = next;
  }
  return undefined;
}

/** The entry's inode, or undefined. The parent may be any member of a merged folder. */
export function lookupName(tables: Tables, parent: InodeId, name: string): Node | undefined {
  const dentry = tables.dentry(primaryOf(tables, parent), name);
  return dentry === undefined ? undefined : viewNode(tables, dentry.inode);
}

/** Entries after a name (exclusive), in byte order, at most `limit`. */
export function listNames(
  tables: Tables,
  parent: InodeId,
  after: string | undefined,
  limit: number,
): Entry[] {
  const entries: Entry[] = [];
  for (const { name, dentry } of tables.dentries(primaryOf(tables, parent), after, limit))
    entries.push({ name, inode: dentry.inode, kind: dentry.kind });
  return entries;
}

/** Walks `/a/b` from the root; undefined where a part is missing. Symlinks are not followed. */
export function resolvePath(tables: Tables, path: string): Node | undefined {
  let node = viewNode(tables, ROOT);
  for (const name of path.split('/')) {
    if (name !== '' && node !== undefined) node = lookupName(tables, node.id, name);
  }
  return node;
}

/** The path of a visible inode by its (first) name; for one that is not visible, its id. */
export function pathOf(tables: Tables, id: InodeId): string {
  const names: string[] = [];
  const seen = new Set<InodeId>();
  let node = viewNode(tables, id);
  while (node !== undefined && node.id !== ROOT) {
    // Should tables be in between two states, folders may lie in each other.
    if (seen.has(node.id)) return id;
    seen.add(node.id);
    names.push(node.name);
    node = viewNode(tables, node.parent);
  }
  return node === undefined ? id : `/${names.reverse().join('/')}`;
}

/** The folder that shows what a folder holds: itself, or the one it is merged into. */
export function primaryOf(tables: Tables, folder: InodeId): InodeId {
  return tables.row(folder)?.mergedInto ?? folder;
}

/**
 * The inodes whose own locations make this entry: what rename, unlink and rmdir of it act on. The one that gives
 * it its name comes first: a hard link's own inode, not the one it names. Merged folders and equal files have
 * several; `lost+found` is none of them (it has no location). A virtual inode stands for itself.
 */
export function entryMembers(tables: Tables, parent: InodeId, name: string): InodeId[] {
  const dentry = tables.dentry(primaryOf(tables, parent), name);
  if (dentry === undefined) return [];
  if (parseConflictInode(dentry.inode) !== undefined) return [dentry.inode];
  const first = dentry.by ?? dentry.inode;
  return [first, ...(tables.row(first)?.members ?? [])].filter((inode) => inode !== LOST_FOUND);
}

/** The inodes whose locations make the visible names of a file: its own while that shows, then its hard links,
 *  the oldest first. When the last is removed, the file itself must be too. */
export function visibleNames(tables: Tables, inode: InodeId): { by: InodeId; seat: Seat }[] {
  const row = tables.row(inode);
  if (row === undefined) return [];
  const names = row.shown === undefined ? [] : [{ by: inode, seat: row.shown }];
  if (row.links === 0) return names;
  const links: { by: InodeId; seat: Seat; location: OpId }[] = [];
  for (const [by, link] of linkRows(tables, inode)) {
    if (link.shown !== undefined)
      links.push({ by, seat: link.shown, location: locationId(by, link.registers) });
  }
  links.sort((a, b) => compareOpIds(a.location, b.location) || (a.by < b.by ? -1 : 1));
  return [...names, ...links.map(({ by, seat }) => ({ by, seat }))];
}

/** Where the losing value of a concurrent edit is shown. */
export function shownShadow(tables: Tables, id: InodeId): Seat | undefined {
  const inode = parseConflictInode(id)?.inode;
  const row = inode === undefined ? undefined : tables.row(inode);
  if (inode === undefined || row === undefined) return undefined;
  const isIt = (shadow: Shadow) => shadow.inode === id;
  const own = row.shadows.find(isIt);
  if (own !== undefined || row.links === 0) return own;
  for (const [, link] of linkRows(tables, inode)) {
    const shadow = link.shadows.find(isIt);
    if (shadow !== undefined) return shadow;
  }
  return undefined;
}

function linkRows(tables: Tables, inode: InodeId): [InodeId, Row][] {
  const rows: [InodeId, Row][] = [];
  for (const by of tables.marked(refsMark(inode))) {
    const row = tables.row(by);
    if (row?.alive && targetOf(by, row.registers) === inode) rows.push([by, row]);
  }
  return rows;
}

function rowOf(tables: Tables, id: InodeId): Row | undefined {
  return tables.row(id) ?? (id === ROOT ? blankRow(ROOT) : undefined);
}

function viewFolder(id: InodeId, row: Row): Node | undefined {
  if (row.shown === undefined && id !== ROOT) return undefined;
  const attributes = row.registers.a.at(-1)?.value;
  return {
    id,
    kind: 'directory',
    size: 0,
    mtime: row.mtime,
    ctime: row.ctime,
    mode: attributes?.mode ?? row.registers.d.at(-1)?.value.mode ?? FOLDER_MODE,
    uid: attributes?.uid ?? 0,
    gid: attributes?.gid ?? 0,
    nlink: 2 + row.subfolders,
    content: '',
    xattrs: attributes?.xattrs ?? NO_XATTRS,
    parent: row.shown?.parent ?? ROOT,
    name: row.shown?.name ?? '',
    versions: row.registers.d.map((version) => version.id),
  };
}

function viewFile(tables: Tables, id: InodeId, row: Row): Node | undefined {
  const data = row.registers.d.at(-1)?.value;
  if (data === undefined) return undefined;
  const seat = row.shown ?? visibleNames(tables, id)[0]?.seat;
  return { ...fileNode(id, row, data, seat), mtime: row.registers.a.at(-1)?.value.mtime ?? data.mtime };
}

function viewShadow(
  tables: Tables,
  id: InodeId,
  { inode, version }: { inode: InodeId; version: OpId },
): Node | undefined {
  const seat = shownShadow(tables, id);
  const row = tables.row(inode);
  const data = row?.registers.d.find((value) => value.id === version)?.value;
  if (seat === undefined || row === undefined || data === undefined) return undefined;
  return { ...fileNode(id, row, data, seat), nlink: 1, conflictOf: inode };
}

function fileNode(id: InodeId, row: Row, data: Data, seat: Seat | undefined): Node {
  const attributes = row.registers.a.at(-1)?.value;
  const key = contentKey(data);
  return {
    id,
    kind: data.kind as Node['kind'],
    size: data.size,
    mtime: data.mtime,
    ctime: row.ctime,
    mode: attributes?.mode ?? data.mode,
    uid: attributes?.uid ?? 0,
    gid: attributes?.gid ?? 0,
    nlink: row.names,
    content: data.content,
    xattrs: attributes?.xattrs ?? NO_XATTRS,
    parent: seat?.parent ?? ROOT,
    name: seat?.name ?? '',
    versions: row.registers.d.filter(({ value }) => contentKey(value) === key).map((version) => version.id),
  };
}
