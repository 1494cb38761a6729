import { LIMITS, WormholeError } from '../../base/index.js';
import type { Attributes, Data, InodeId, RegisterWrite } from '../schema.js';
import type { NewEntry } from '../tree.js';
import { isLoser, loserOf, materialising } from './conflict.js';
import { checkName } from './names.js';
import { folderAt, type View, writableFolderAt } from './view.js';

/** A new inode with a name. @throws WormholeError `exists` and as the checks of name and folder */
export function create(
  view: View,
  parent: InodeId,
  name: string,
  data: Data,
  attributes: Attributes,
): { inode: InodeId; writes: RegisterWrite[] } {
  const folder = newPlace(view, parent, name);
  const write: RegisterWrite = { inode: view.allocate(), l: { parent: folder, name }, d: data };
  if (Object.keys(attributes).length > 0) write.a = attributes;
  return { inode: write.inode, writes: [write] };
}

/** New inodes with names, in folders that are there or that come before them in the batch: one operation.
 *  @throws WormholeError as {@link create}, and `invalid` for more than `LIMITS.bucketInodesMax` */
export function createMany(
  view: View,
  entries: readonly NewEntry[],
): { inodes: InodeId[]; writes: RegisterWrite[] } {
  if (entries.length > LIMITS.bucketInodesMax) {
    throw new WormholeError('invalid', `at most ${LIMITS.bucketInodesMax} entries are made at once`);
  }
  const taken = new Set<string>();
  const parents = entries.map((entry, at) => {
    const parent = placeOf(view, entries, at);
    const key = `${parent}\0${entry.name}`;
    if (taken.has(key)) throw new WormholeError('exists', `${entry.name} is there already`);
    taken.add(key);
    return parent;
  });
  const inodes = view.allocateSeveral(entries.length);
  const writes = entries.map(({ name, data, attributes }, at): RegisterWrite => {
    const place = parents[at];
    const parent = typeof place === 'number' ? inodes[place] : place;
    const write: RegisterWrite = {
      inode: inodes[at] as InodeId,
      l: { parent: parent as InodeId, name },
      d: { mtime: view.time, ...data },
    };
    if (Object.keys(attributes).length > 0) write.a = attributes;
    return write;
  });
  return { inodes, writes };
}

/** The folder of an entry: its id, or its number in the batch. */
function placeOf(view: View, entries: readonly NewEntry[], at: number): InodeId | number {
  const { parent, name } = entries[at] as NewEntry;
  if (typeof parent === 'string') return newPlace(view, parent, name);
  checkName(name);
  const folder = parent < at ? entries[parent] : undefined;
  if (folder?.data.kind !== 'directory') {
    throw new WormholeError('not-a-directory', `the place of ${name} is not a folder made before it`);
  }
  return parent;
}

/** A further name of a file: an inode of its own that names the other.
 *  @throws WormholeError `not-permitted` for a folder, `not-found`, `exists`, and as the checks of the name */
export function link(
  view: View,
  id: InodeId,
  parent: InodeId,
  name: string,
): { inode: InodeId; writes: RegisterWrite[] } {
  const folder = newPlace(view, parent, name);
  const node = view.node(id);
  if (node === undefined) throw new WormholeError('not-found', 'the file is gone');
  if (node.kind === 'directory') {
    throw new WormholeError('not-permitted', `${node.name} is a folder and can have only one name`);
  }
  const made = isLoser(node) ? materialising(view, loserOf(view, id), node) : undefined;
  const inode = made?.inode ?? node.id;
  const entry: RegisterWrite = {
    inode: view.allocate(),
    l: { parent: folder, name },
    d: { kind: 'link', size: 0, mtime: view.time, content: inode, mode: 0 },
  };
  return { inode, writes: [...(made?.writes ?? []), entry] };
}

/** The folder that will show a new entry. */
function newPlace(view: View, parent: InodeId, name: string): InodeId {
  checkName(name);
  // In lost+found nothing can be made, but what is there is there: `exists` comes first, as POSIX has it.
  const folder = folderAt(view, parent);
  if (view.tables.dentry(folder, name) !== undefined) {
    throw new WormholeError('exists', `${name} is there already`);
  }
  return writableFolderAt(view, folder);
}
