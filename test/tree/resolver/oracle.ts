import { conflictNames } from '../../../src/tree/resolver/conflict-names.js';
import {
  candidatesOf,
  contentKey,
  isUnseen,
  kindOf,
  locationId,
  losersOf,
  targetOf,
} from '../../../src/tree/resolver/registers.js';
import { conflictInode, type Dentry, type Seat } from '../../../src/tree/resolver/tables.js';
import type { Registers } from '../../../src/tree/schema.js';
import {
  compareOpIds,
  type Data,
  type InodeId,
  LOST_FOUND,
  LOST_FOUND_NAME,
  type OpId,
  ROOT,
} from '../../../src/tree/schema.js';

/** Folder → name → entry. */
export type VisibleTree = Map<InodeId, Map<string, Dentry>>;

/**
 * The rules a second time, from all registers at once, slow and without any state: what the tables are checked
 * against. It shares with the resolver only what reads one inode's registers, and the conflict names.
 */
export function visibleTree(all: ReadonlyMap<InodeId, Registers>): VisibleTree {
  return new Oracle(all).tree;
}

interface Child {
  inode: InodeId;
  source: InodeId;
  location: OpId;
}

class Oracle {
  readonly tree: VisibleTree = new Map();
  private readonly all: ReadonlyMap<InodeId, Registers>;
  private readonly seats = new Map<InodeId, Seat>();
  private readonly children = new Map<InodeId, InodeId[]>();
  private readonly links = new Map<InodeId, InodeId[]>();
  private readonly lives = new Map<InodeId, boolean>();

  constructor(all: ReadonlyMap<InodeId, Registers>) {
    this.all = all;
    this.seatAll();
    for (const [inode, { parent }] of this.seats) push(this.children, parent, inode);
    for (const [inode, registers] of all) {
      const target = targetOf(inode, registers);
      if (target !== undefined) push(this.links, target, inode);
    }
    this.show([ROOT]);
  }

  private isFolder(inode: InodeId): boolean {
    const registers = this.all.get(inode);
    if (registers === undefined) return inode === ROOT || inode === LOST_FOUND;
    return kindOf(inode, registers) === 'directory';
  }

  /** Everybody to the best place; then, as long as there is a cycle, its victim one place on. */
  private seatAll(): void {
    const rest = new Map<InodeId, Seat[]>();
    for (const [inode, registers] of this.all) {
      if (inode === ROOT) continue;
      const usable = candidatesOf(inode, registers).filter(({ parent }) => this.isFolder(parent));
      rest.set(inode, usable);
    }
    for (let cycle = findCycle(rest); cycle !== undefined; cycle = findCycle(rest)) {
      const choices = cycle.map((inode) => {
        const [, ...after] = rest.get(inode)!;
        const fallbacks = after.slice(after.findIndex(({ parent }) => !cycle!.includes(parent)));
        return { inode, fallbacks, real: fallbacks.length > 1 };
      });
      const able = choices.some(({ real }) => real) ? choices.filter(({ real }) => real) : choices;
      const victim = able.reduce((a, b) => (this.isBelow(a.inode, b.inode) ? b : a));
      rest.set(victim.inode, victim.fallbacks);
    }
    for (const [inode, [seat]] of rest) this.seats.set(inode, seat!);
    this.seats.set(LOST_FOUND, { parent: ROOT, name: LOST_FOUND_NAME });
  }

  private locationOf(inode: InodeId): OpId {
    return locationId(inode, this.all.get(inode) ?? { l: [], d: [], a: [], x: [] });
  }

  private isBelow(a: InodeId, b: InodeId): boolean {
    const order = compareOpIds(this.locationOf(a), this.locationOf(b));
    return order < 0 || (order === 0 && a < b);
  }

  private isAlive(inode: InodeId): boolean {
    const known = this.lives.get(inode);
    if (known !== undefined) return known;
    const alive = this.decideLife(inode);
    this.lives.set(inode, alive);
    return alive;
  }

  private decideLife(inode: InodeId): boolean {
    const registers = this.all.get(inode);
    if (inode === ROOT) return true;
    if (registers !== undefined && registers.d.length === 0) return false;
    const unseen = registers !== undefined && isUnseen(registers, true);
    if (this.isFolder(inode)) return unseen || this.childrenOf([inode]).length > 0;
    const target = registers === undefined ? undefined : targetOf(inode, registers);
    if (target !== undefined) return unseen && this.isLinkable(target);
    const linked = (this.links.get(inode) ?? []).some((link) => this.isAlive(link));
    return registers !== undefined && isUnseen(registers, !linked);
  }

  private isLinkable(inode: InodeId): boolean {
    const kind = this.all.get(inode)?.d.at(-1)?.value.kind;
    return kind !== undefined && kind !== 'directory' && kind !== 'link' && inode !== ROOT;
  }

  private childrenOf(group: readonly InodeId[]): InodeId[] {
    return group.flatMap((folder) => this.children.get(folder) ?? []).filter((child) => this.isAlive(child));
  }

  /** Shows the union of some folders of one name as their first. */
  private show(group: readonly InodeId[]): void {
    const byName = new Map<string, Child[]>();
    for (const inode of this.childrenOf(group)) {
      const source = targetOf(inode, this.all.get(inode) ?? EMPTY) ?? inode;
      push(byName, this.seats.get(inode)!.name, { inode, source, location: this.locationOf(inode) });
    }
    const entries = new Map<string, Dentry>();
    this.tree.set(group[0]!, entries);
    for (const [name, children] of byName) {
      children.sort((a, b) => (this.isBelow(a.inode, b.inode) ? -1 : 1));
      const folders = children.filter(({ inode }) => this.isFolder(inode)).map(({ inode }) => inode);
      if (folders.length > 0) {
        entries.set(name, { inode: folders[0]!, kind: 'directory' });
        this.show(folders);
      }
      const given = new Set<string>();
      for (const { version, dentry } of this.contentsOf(children)) {
        const free = (option: string) => !byName.has(option) && !given.has(option);
        const chosen = entries.has(name) ? firstOf(conflictNames(name, version), free) : name;
        given.add(chosen);
        entries.set(chosen, dentry);
      }
    }
  }

  /** Each content once: the winners of all children, then what lost. */
  private contentsOf(children: readonly Child[]): { version: OpId; dentry: Dentry }[] {
    const found: { version: OpId; data: Data; dentry: Dentry }[] = [];
    for (const { inode, source, location } of children) {
      const data = this.all.get(source)?.d.at(-1)?.value;
      if (data === undefined || this.isFolder(inode)) continue;
      const dentry = { inode: source, kind: data.kind as Dentry['kind'] };
      found.push({ version: location, data, dentry: source === inode ? dentry : { ...dentry, by: inode } });
    }
    const losers = children.flatMap((child) => this.losersAt(child));
    found.push(...losers.sort((a, b) => compareOpIds(a.version, b.version)));
    return found.filter(({ data }, i) => {
      return found.findIndex((other) => contentKey(other.data) === contentKey(data)) === i;
    });
  }

  private losersAt({ inode, source }: Child): { version: OpId; data: Data; dentry: Dentry }[] {
    const owners = [inode];
    const links = (this.links.get(source) ?? []).filter((link) => this.isAlive(link));
    const first = links.reduce((a, b) => (this.isBelow(b, a) ? b : a), inode);
    if (source !== inode && !this.isAlive(source) && first === inode) owners.push(source);
    return owners.flatMap((owner) =>
      losersOf(this.all.get(owner) ?? EMPTY).map(({ id, value }) => {
        const kind = value.kind as Dentry['kind'];
        return { version: id, data: value, dentry: { inode: conflictInode(owner, id), kind, by: inode } };
      }),
    );
  }
}

const EMPTY: Registers = { l: [], d: [], a: [], x: [] };

/** Any cycle of folders, each going to the first of its places. */
function findCycle(places: ReadonlyMap<InodeId, readonly Seat[]>): InodeId[] | undefined {
  const done = new Set<InodeId>();
  for (const start of places.keys()) {
    const path: InodeId[] = [];
    let inode: InodeId | undefined = start;
    while (inode !== undefined && !done.has(inode)) {
      if (path.includes(inode)) return path.slice(path.indexOf(inode));
      path.push(inode);
      inode = places.get(inode)?.[0]?.parent;
    }
    for (const seen of path) done.add(seen);
  }
  return undefined;
}

function firstOf(names: Iterable<string>, accept: (name: string) => boolean): string {
  for (const name of names) if (accept(name)) return name;
  return '';
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
