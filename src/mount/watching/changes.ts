import type { RemoteChange } from '../../fs/index.js';
import type { InodeId } from '../nodes.js';

type NameChange = Extract<RemoteChange, { what: 'name' }>;
type InodeChange = Exclude<RemoteChange, NameChange>;
type Named = NonNullable<NameChange['before']>;

/** A place in the tree. */
export interface Place {
  parent: InodeId;
  name: string;
}

/** What the helper is to do on the mount, so that the kernel tells watchers of it. Nothing changes by it. */
export type Repeat =
  | ({ do: 'create' | 'remove' | 'modify' | 'touch' } & Place & Named)
  | ({ do: 'rename'; to: Place; replaced: Named | undefined } & Place & Named);

interface PendingName {
  change: NameChange;
  /** What the name showed since, and does not show any more. */
  passed: Named | undefined;
}

/** Remote changes that wait to be repeated: what happens to one name or one inode meanwhile becomes one change. */
export class PendingChanges {
  private names = new Map<string, PendingName>();
  private inodes = new Map<InodeId, InodeChange>();
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  get size(): number {
    return this.names.size + this.inodes.size;
  }

  /** @returns false when there is no room for it */
  add(change: RemoteChange): boolean {
    if (change.what === 'name') {
      const key = `${change.parent}\0${change.name}`;
      const earlier = this.names.get(key);
      if (earlier === undefined && this.size >= this.max) return false;
      const before = earlier === undefined ? change.before : earlier.change.before;
      this.names.set(key, { change: { ...change, before }, passed: change.before ?? earlier?.passed });
      return true;
    }
    const earlier = this.inodes.get(change.inode);
    if (earlier === undefined && this.size >= this.max) return false;
    // A new content says more than new attributes.
    if (earlier?.what !== 'content') this.inodes.set(change.inode, change);
    return true;
  }

  take(): RemoteChange[] {
    const all = [...[...this.names.values()].map(asOne), ...this.inodes.values()];
    this.names = new Map();
    this.inodes = new Map();
    return all;
  }
}

/** What came and went meanwhile is told as gone: somebody may have begun to watch when it was there. */
function asOne({ change, passed }: PendingName): NameChange {
  if (change.before !== undefined || passed?.inode === change.after?.inode) return change;
  return { ...change, before: passed };
}

/** What is to be repeated of these changes, in an order in which it can be: renames, removals, the rest. */
export function repeatsOf(
  changes: readonly RemoteChange[],
  isWatched: (inode: InodeId) => boolean,
): Repeat[] {
  const names = changes.filter((change) => change.what === 'name').filter(isChange);
  const gone = new Map(names.filter(leaves).map((change) => [change.before.inode, change]));
  const renames: Repeat[] = [];
  const removals: Repeat[] = [];
  const creations: Repeat[] = [];
  const moved = new Set<NameChange>();
  for (const change of names) {
    const from = change.after === undefined ? undefined : gone.get(change.after.inode);
    if (change.after === undefined || from === undefined || from === change) continue;
    gone.delete(change.after.inode);
    moved.add(from).add(change);
    if (![from.parent, change.parent, change.after.inode].some(isWatched)) continue;
    const to = { parent: change.parent, name: change.name };
    const source = { parent: from.parent, name: from.name };
    renames.push({ do: 'rename', ...source, ...change.after, to, replaced: change.before });
    if (from.after !== undefined && isWatched(from.parent))
      creations.push({ do: 'create', ...source, ...from.after });
  }
  for (const change of names) {
    if (moved.has(change)) continue;
    const { parent, name, before, after } = change;
    if (before !== undefined && (isWatched(parent) || isWatched(before.inode)))
      removals.push({ do: 'remove', parent, name, ...before });
    if (after !== undefined && isWatched(parent)) creations.push({ do: 'create', parent, name, ...after });
  }
  const created = new Set([...creations, ...renames].map(({ inode }) => inode));
  const rest = changes
    .filter((change) => change.what !== 'name')
    .filter(
      ({ what, inode, parent }) =>
        (isWatched(inode) || isWatched(parent)) && (what === 'content' || !created.has(inode)),
    )
    .map(({ what, ...place }): Repeat => ({ do: what === 'content' ? 'modify' : 'touch', ...place }));
  return [...renames, ...removals, ...creations, ...rest];
}

function isChange({ before, after }: NameChange): boolean {
  return before?.inode !== after?.inode || before?.kind !== after?.kind;
}

function leaves(change: NameChange): change is NameChange & { before: Named } {
  return change.before !== undefined;
}
