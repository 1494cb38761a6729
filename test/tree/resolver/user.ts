import {
  conflictInode,
  type Dentry,
  parseConflictInode,
  type Seat,
} from '../../../src/tree/resolver/tables.js';
import {
  entryMembers,
  lookupName,
  shownShadow,
  viewNode,
  visibleNames,
} from '../../../src/tree/resolver/view.js';
import { type Data, type InodeId, LOST_FOUND, type OpId, ROOT } from '../../../src/tree/schema.js';
import type { Node } from '../../../src/tree/tree.js';
import type { Replica } from './replica.js';

export interface Entry extends Seat {
  dentry: Dentry;
  node: Node;
}

/** What a user does to the tree as one pod shows it, in the shortest form that loses nothing. */
export class User {
  readonly pod: Replica;

  constructor(pod: Replica) {
    this.pod = pod;
  }

  /** All entries in a stable order, parents before children. */
  entries(): Entry[] {
    const { tables } = this.pod;
    const entries: Entry[] = [];
    const visit = (parent: InodeId) => {
      for (const { name, dentry } of tables.dentries(parent, undefined, 1_000)) {
        const node = viewNode(tables, dentry.inode)!;
        entries.push({ parent, name, dentry, node });
        if (dentry.kind === 'directory') visit(dentry.inode);
      }
    };
    visit(ROOT);
    return entries;
  }

  make(parent: InodeId, name: string, data: Partial<Data> & Pick<Data, 'kind'>): void {
    if (this.pod.tables.dentry(parent, name) !== undefined) return;
    if (data.kind === 'file' && data.content !== undefined) this.pod.written.add(data.content);
    this.pod.commit(() => this.add(this.pod.allocate(), { parent, name }, data));
  }

  write({ parent, name, node }: Entry, content: string): void {
    const { pod } = this;
    pod.commit(() => {
      pod.removed.add(node.content);
      pod.written.add(content);
      const virtual = parseConflictInode(node.id);
      if (virtual !== undefined) {
        this.makeReal(virtual.inode, []);
        this.setData(virtual.inode, this.dataOf(virtual.inode));
      } else this.makeReal(node.id, node.versions);
      // Equal files that are shown as one become one.
      const [, ...others] = entryMembers(pod.tables, parent, name);
      this.take(others);
      const target = virtual === undefined ? node.id : derived(virtual.version);
      this.setData(target, { ...this.dataOf(target), content, size: content.length });
    });
  }

  unlink(entry: Entry): void {
    this.pod.commit(() => this.takeAway(entry));
  }

  rmdir({ parent, name, node }: Entry): void {
    const { tables } = this.pod;
    if (node.id === LOST_FOUND || [...tables.dentries(node.id, undefined, 1)].length > 0) return;
    this.pod.commit(() => {
      for (const member of entryMembers(tables, parent, name)) this.bury(member);
    });
  }

  rename(from: Entry, parent: InodeId, name: string): void {
    const { tables } = this.pod;
    if (from.node.id === LOST_FOUND || parent === LOST_FOUND || this.isBelow(parent, from.node.id)) return;
    const there = lookupName(tables, parent, name);
    if (there === undefined) {
      this.pod.commit(() => this.move(from, parent, name));
      return;
    }
    const isFile = (node: Node) => node.kind === 'file' && node.conflictOf === undefined && node.nlink === 1;
    if (there.id === from.node.id || !isFile(there) || !isFile(from.node)) return;
    const over = { parent, name, node: there, dentry: tables.dentry(parent, name)! };
    this.pod.commit(() => this.replace(from, over));
  }

  link({ node }: Entry, parent: InodeId, name: string): void {
    if (node.kind !== 'file' || node.conflictOf !== undefined || parent === LOST_FOUND) return;
    this.make(parent, name, { kind: 'link', content: node.id });
  }

  chmod({ node }: Entry, mode: number): void {
    if (node.conflictOf !== undefined || node.id === LOST_FOUND) return;
    this.pod.commit(() => this.pod.put(node.id, 'a', { mode }));
  }

  /** Save by rename: the file there keeps its inode and gets the other's content. */
  private replace(from: Entry, over: Entry): void {
    const { pod } = this;
    pod.removed.add(over.node.content);
    this.makeReal(over.node.id, over.node.versions);
    this.makeReal(from.node.id, from.node.versions);
    const data = this.dataOf(from.node.id);
    const [, ...others] = entryMembers(pod.tables, over.parent, over.name);
    this.take([...entryMembers(pod.tables, from.parent, from.name), ...others]);
    this.setData(over.node.id, data);
  }

  private move(from: Entry, parent: InodeId, name: string): void {
    const { pod } = this;
    const virtual = parseConflictInode(from.node.id);
    if (virtual !== undefined) {
      this.makeReal(virtual.inode, []);
      pod.put(derived(virtual.version), 'l', { parent, name, previous: pick(from) });
      this.setData(virtual.inode, this.dataOf(virtual.inode));
      return;
    }
    for (const member of entryMembers(pod.tables, from.parent, from.name)) {
      const seat = pod.tables.row(member)!.seat!;
      const previous = { parent: seat.parent, name: pod.of(member).l.at(-1)?.value.name ?? seat.name };
      // Losing values keep their name and place.
      if (from.node.kind !== 'directory') this.settleLosers(member);
      pod.put(member, 'l', { parent, name, previous });
    }
  }

  private takeAway({ parent, name, node }: Entry): void {
    const { pod } = this;
    pod.removed.add(node.content);
    const virtual = parseConflictInode(node.id);
    if (virtual !== undefined) {
      this.makeReal(virtual.inode, node.versions);
      this.setData(virtual.inode, this.dataOf(virtual.inode));
      return;
    }
    this.take(entryMembers(pod.tables, parent, name));
  }

  /** Removes names; a file goes with its last one, and leaves its losing values behind. */
  private take(members: readonly InodeId[]): void {
    const { pod } = this;
    const gone = new Set(members);
    for (const member of gone) {
      const data = pod.of(member).d.at(-1)?.value;
      const target = data?.kind === 'link' ? data.content : member;
      const rest = visibleNames(pod.tables, target).filter(({ by }) => !gone.has(by));
      if (rest.length === 0) {
        this.makeReal(target, this.versionsLike(target));
        if (target !== member) this.bury(target);
      }
      this.bury(member);
    }
  }

  private versionsLike(inode: InodeId): OpId[] {
    const { d } = this.pod.of(inode);
    const same = ({ value }: { value: Data }) => value.content === d.at(-1)?.value.content;
    return d.filter(same).map(({ id }) => id);
  }

  private settleLosers(inode: InodeId): void {
    if (this.pod.of(inode).d.length < 2) return;
    this.makeReal(inode, this.versionsLike(inode));
    this.setData(inode, this.dataOf(inode));
  }

  /** Losing values that are shown, but for those that the user replaces, become inodes of their own. */
  private makeReal(inode: InodeId, except: readonly OpId[]): void {
    const { pod } = this;
    const losers = pod.of(inode).d.slice(0, -1);
    for (const { id, value } of losers) {
      if (except.includes(id)) continue;
      const seat = shownShadow(pod.tables, conflictInode(inode, id));
      if (seat !== undefined) this.add(derived(id), pick(seat), value);
    }
  }

  private add(inode: InodeId, { parent, name }: Seat, data: Partial<Data> & Pick<Data, 'kind'>): void {
    this.pod.put(inode, 'l', { parent, name });
    this.pod.put(inode, 'd', {
      size: data.content?.length ?? 0,
      mtime: 0n,
      content: '',
      mode: 0o644,
      ...data,
    });
  }

  private setData(inode: InodeId, data: Data): void {
    this.pod.put(inode, 'd', data);
  }

  private bury(inode: InodeId): void {
    const { l, d } = this.pod.of(inode);
    this.pod.put(inode, 'x', { saw: [...l, ...d].map(({ id }) => id) });
  }

  private dataOf(inode: InodeId): Data {
    return this.pod.of(inode).d.at(-1)!.value;
  }

  private isBelow(folder: InodeId, above: InodeId): boolean {
    for (let at = folder; at !== ROOT; at = viewNode(this.pod.tables, at)?.parent ?? ROOT) {
      if (at === above) return true;
    }
    return false;
  }
}

/** The same on every pod. */
function derived(version: OpId): InodeId {
  return `derived/${version.replace('@', '-')}`;
}

function pick({ parent, name }: Seat): Seat {
  return { parent, name };
}
