import { WormholeError } from '../../base/index.js';
import type { Row } from '../resolver/tables.js';
import {
  type Attributes,
  type Data,
  type InodeId,
  LOST_FOUND,
  type OpId,
  type RegisterWrite,
} from '../schema.js';
import type { Node } from '../tree.js';
import { attributesOf, isLoser, loserOf, materialising } from './conflict.js';
import { removal, rowOf, type View, versionsOf } from './view.js';

export interface OwnerChange {
  mode?: number;
  uid?: number;
  gid?: number;
}

export interface AttributeChange extends OwnerChange {
  mtime?: bigint | null;
  xattrs?: { [name: string]: Uint8Array };
}

/**
 * Publishes a file's new content. A file that was deleted elsewhere while it was being written comes back.
 * @param replaces the versions that the writer had opened: what it did not see stays beside it
 * @param owner goes along with the content
 * @throws WormholeError `not-found` | `invalid` for what has no content
 */
export function setData(
  view: View,
  id: InodeId,
  data: { size: number; mtime: bigint; content: string },
  replaces: readonly OpId[],
  owner: OwnerChange = {},
): { inode: InodeId; writes: RegisterWrite[] } {
  const node = view.node(id);
  if (node !== undefined && isLoser(node)) {
    const made = materialising(view, loserOf(view, id), node);
    const [discarded, own] = made.writes;
    return {
      inode: made.inode,
      writes: [discarded, withAttributes({ ...own, d: { ...own.d, ...data } as Data }, own.a, owner)],
    };
  }
  // What was opened may be shown as another meanwhile: one of two files with equal bytes, or a losing value that
  // has become an inode of its own.
  const inode = node?.id ?? id;
  const row = rowOf(view, inode);
  const before = row.registers.d.at(-1)?.value;
  if (before === undefined) throw new WormholeError('not-found', 'the file is gone');
  if (before.kind !== 'file') throw new WormholeError('invalid', 'only a file has content');
  const seen = inode === id ? [...replaces] : [...new Set([...replaces, ...versionsOf(row)])];
  const attributes = attributesOf(row);
  // A file that was empty until now was just made, and this is the mode that it is made with.
  const { mode = before.mode, ...others } = owner;
  const isFirst = before.content === '' && attributes?.mode === undefined;
  const d: Data = { ...before, ...data, mode: isFirst ? mode : before.mode };
  const write = withAttributes({ inode, d, replaces: seen }, attributes, isFirst ? others : owner);
  return { inode, writes: [write, ...othersEnd(view, row, write)] };
}

/** Files of equal bytes that were shown as this one would come back under a conflict name once it changes. */
function othersEnd(view: View, row: Row, { d }: RegisterWrite): RegisterWrite[] {
  return row.members.map((id): RegisterWrite => {
    const member = { id, row: rowOf(view, id) };
    // Other names of it must go on showing what this one shows.
    if (member.row.links > 0 && d !== undefined) return { inode: id, d, replaces: versionsOf(member.row) };
    return removal(member);
  });
}

/** A write of content with what changes of the attributes: it clears the time that utimens had set. */
function withAttributes(
  write: RegisterWrite,
  before: Attributes | undefined,
  owner: OwnerChange,
): RegisterWrite {
  if (before?.mtime === undefined && Object.keys(owner).length === 0) return write;
  const { mtime: _, ...attributes } = merged(before ?? {}, owner);
  return { ...write, a: attributes };
}

/** Merges into the attributes; a `null` time clears it. @throws WormholeError `not-found` | `not-permitted` */
export function setAttributes(
  view: View,
  id: InodeId,
  change: AttributeChange,
): { inode: InodeId; writes: RegisterWrite[] } {
  const node = view.node(id);
  if (node === undefined) throw new WormholeError('not-found', 'the file is gone');
  if (id === LOST_FOUND) throw new WormholeError('not-permitted', 'lost+found has no attributes of its own');
  if (isLoser(node)) {
    const made = materialising(view, loserOf(view, id), node);
    const [discarded, own] = made.writes;
    return { inode: made.inode, writes: [discarded, { ...own, a: merged(own.a ?? {}, change) }] };
  }
  return { inode: node.id, writes: [{ inode: node.id, a: merged(presentAttributes(view, node), change) }] };
}

/** As they hold now: a folder's time that was set by hand ends with the next change of an entry. */
function presentAttributes(view: View, node: Node): Attributes {
  const { mtime, ...rest } = view.tables.row(node.id)?.registers.a.at(-1)?.value ?? {};
  const isOver = mtime === undefined || (node.kind === 'directory' && mtime !== node.mtime);
  return isOver ? rest : { ...rest, mtime };
}

function merged(attributes: Attributes, change: AttributeChange): Attributes {
  const result: Attributes = { ...attributes };
  const { mode, uid, gid, mtime, xattrs } = change;
  if (mode !== undefined) result.mode = mode;
  if (uid !== undefined) result.uid = uid;
  if (gid !== undefined) result.gid = gid;
  if (mtime === null) delete result.mtime;
  else if (mtime !== undefined) result.mtime = mtime;
  if (xattrs !== undefined) result.xattrs = xattrs;
  return result;
}
