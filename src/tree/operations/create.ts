import { WormholeError } from '../../base/index.js';
import type { Attributes, Data, InodeId, RegisterWrite } from '../schema.js';
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
