import type { InodeId, Tree, TreeEvents } from '../tree/index.js';
import type { RemoteChange, RemoteChangeListener } from './filesystem.js';
import type { LocalIds } from './local-ids.js';

type Change = TreeEvents['changed'];
type Named = { inode: InodeId; kind: RemoteKind };
type RemoteKind = NonNullable<Extract<RemoteChange, { what: 'name' }>['after']>['kind'];

export interface RemoteChangesOptions {
  tree: Tree;
  ids: LocalIds;
  listener: RemoteChangeListener;
  /** A batch with more names than this is a bulk of which nobody is told one by one. */
  namesMax: number;
}

/** Says what a batch of remote changes did to what the kernel knows. */
export class RemoteChanges {
  private readonly options: RemoteChangesOptions;

  constructor(options: RemoteChangesOptions) {
    this.options = options;
  }

  /** To be called when the tree shows it. */
  take(change: Change): void {
    const { listener, namesMax } = this.options;
    if (change.names.length > namesMax || change.inodes.length > namesMax) return;
    if (change.of !== undefined && change.of > namesMax) return;
    const changes = [...this.namesOf(change), ...this.inodesOf(change)];
    if (changes.length > 0) listener.changed(changes, (folder) => this.pathOf(folder));
  }

  private namesOf({ names }: Change): RemoteChange[] {
    const { tree, ids } = this.options;
    const local = (named: Named | null | undefined) =>
      named === null || named === undefined ? undefined : { inode: ids.local(named.inode), kind: named.kind };
    return names.flatMap(({ parent, name, before }): RemoteChange[] => {
      if (before === undefined || !this.knows(parent)) return [];
      const node = tree.lookup(parent, name);
      if (node?.id === before?.inode) return [];
      const after = node === undefined ? undefined : { inode: node.id, kind: node.kind };
      return [{ what: 'name', parent: ids.local(parent), name, before: local(before), after: local(after) }];
    });
  }

  private inodesOf({ inodes, contents = [] }: Change): RemoteChange[] {
    const { tree, ids } = this.options;
    const rewritten = new Set(contents);
    return inodes.flatMap((inode): RemoteChange[] => {
      const node = tree.node(inode);
      // Of a folder all changes are of its entries, as far as can be told.
      if (node === undefined || node.kind === 'directory') return [];
      if (!this.knows(inode) && !this.knows(node.parent)) return [];
      const what = rewritten.has(inode) ? 'content' : 'attributes';
      const place = { parent: ids.local(node.parent), name: node.name };
      return [{ what, inode: ids.local(inode), kind: node.kind, ...place }];
    });
  }

  private knows(inode: InodeId): boolean {
    const { listener, ids } = this.options;
    return listener.knows(ids.local(inode));
  }

  private pathOf(folder: InodeId): string | undefined {
    const { tree, ids } = this.options;
    const id = ids.tree(folder);
    return id === undefined || tree.node(id) === undefined ? undefined : tree.pathOf(id);
  }
}
