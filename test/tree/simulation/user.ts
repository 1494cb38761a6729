import { WormholeError } from '../../../src/base/index.js';
import { type Entry, type InodeId, LOST_FOUND, type Node, ROOT, type Tree } from '../../../src/tree/index.js';
import type { Numbers } from './numbers.js';
import type { SimulatedPod } from './pod.js';
import type { Record } from './record.js';

const VERBS = {
  file: 8,
  folder: 5,
  symlink: 1,
  write: 10,
  rename: 7,
  move: 9,
  exchange: 1,
  unlink: 5,
  rmdir: 2,
  remove: 2,
  link: 3,
  chmod: 1,
  conflict: 5,
} as const;
type Verb = keyof typeof VERBS;

const NAMES = ['a', 'b.txt', 'c', 'A', '.rc', 'lost+found', 'café', 'cafe\u0301'];
const PAGE = 1_000;

interface Place extends Entry {
  parent: InodeId;
  node: Node;
}

/** Somebody at a pod, who does one thing after another to what the pod shows. */
export class User {
  readonly pod: SimulatedPod;
  private readonly numbers: Numbers;
  private readonly record: Record;

  constructor(pod: SimulatedPod, numbers: Numbers, record: Record) {
    this.pod = pod;
    this.numbers = numbers;
    this.record = record;
  }

  /** One operation. @returns what it was */
  act(): string {
    const verb = this.numbers.weighted(VERBS);
    const places = this.places();
    return this.attempt(verb, () => this.do(verb, places));
  }

  /** Names of the folders at the top. */
  folders(): string[] {
    const places = this.children(ROOT);
    return places
      .filter(({ kind, inode }) => kind === 'directory' && inode !== LOST_FOUND)
      .map(({ name }) => name);
  }

  /** Moves one of them into another. @returns what it was */
  moveInto(name: string, into: string): string {
    const places = this.children(ROOT);
    const [from, to] = [name, into].map((wanted) => places.find((place) => place.name === wanted));
    if (from === undefined || to === undefined) return 'move nothing';
    return this.attempt('move', () => this.move(from, to.inode, name, {}));
  }

  /** What POSIX forbids is refused with its code, anything else is a fault. */
  private attempt(verb: string, act: () => string): string {
    try {
      return `${verb} ${act()}`;
    } catch (error) {
      if (error instanceof WormholeError && error.code !== 'internal')
        return `${verb} refused: ${error.code}`;
      throw new Error(`${verb} failed`, { cause: error });
    }
  }

  private get tree(): Tree {
    return this.pod.tree;
  }

  private do(verb: Verb, places: Place[]): string {
    const folder = this.folder(places);
    const name = this.numbers.pick(NAMES);
    if (verb === 'file') return this.make(folder, name, 'file');
    if (verb === 'symlink') return this.make(folder, name, 'symlink');
    if (verb === 'folder') {
      this.tree.create(folder, name, { kind: 'directory', size: 0, content: '', mode: 0o755 }, {});
      return this.path(folder, name);
    }
    const conflicts = places.filter((place) => place.name.includes('(conflict'));
    const from = verb === 'conflict' ? conflicts : places;
    if (from.length === 0) return 'nothing';
    return this.doTo(verb, this.numbers.pick(from), folder, name, places);
  }

  private doTo(verb: Verb, at: Place, folder: InodeId, name: string, places: Place[]): string {
    const path = this.path(at.parent, at.name);
    switch (verb) {
      case 'write':
        return this.write(at);
      case 'rename':
        return this.move(at, at.parent, name, {});
      case 'move':
        return this.move(at, folder, this.numbers.once(3) ? name : at.name, {});
      case 'exchange': {
        const other = this.numbers.pick(places);
        return this.move(at, other.parent, other.name, { exchange: true });
      }
      case 'unlink':
        return this.unlink(at);
      case 'rmdir':
        this.tree.rmdir(at.parent, at.name);
        return path;
      case 'remove':
        this.removeAll(at);
        return path;
      case 'link':
        this.record.touch(at.node, this.pod);
        this.tree.link(at.node.id, folder, name);
        return `${path} at ${this.path(folder, name)}`;
      case 'chmod':
        this.tree.setAttributes(at.node.id, { mode: this.numbers.below(0o777) });
        return path;
      case 'conflict':
        if (this.numbers.once(2)) return this.unlink(at);
        return this.numbers.once(2) ? this.move(at, folder, name, {}) : this.write(at);
      default:
        throw new RangeError(verb);
    }
  }

  private make(folder: InodeId, name: string, kind: 'file' | 'symlink'): string {
    const content = this.record.content(this.numbers);
    const { id } = this.tree.create(folder, name, { kind, size: content.length, content, mode: 0o644 }, {});
    this.record.wrote(id, content, this.pod);
    return `${this.path(folder, name)} ${content}`;
  }

  private write({ parent, name, node }: Place): string {
    if (node.kind !== 'file') return 'nothing';
    const content = this.record.content(this.numbers);
    const { id } = this.tree.setData(node.id, { size: content.length, mtime: 1n, content }, node.versions);
    this.record.wrote(id, content, this.pod);
    this.record.removed(node.content, content);
    return `${this.path(parent, name)} ${content}`;
  }

  private move(at: Place, folder: InodeId, name: string, flags: { exchange?: boolean }): string {
    const over = this.tree.lookup(folder, name);
    this.touchAll(at);
    const { moved, replaced } = this.tree.rename(at.parent, at.name, folder, name, flags);
    this.record.touch(moved, this.pod);
    // A save by rename: what was there is replaced, and whatever else had its bytes goes on having them.
    if (!flags.exchange && over !== undefined && over.content !== moved.content)
      this.record.removed(over.content, at.node.content);
    if (replaced !== undefined) this.record.removed(replaced.content, at.node.content);
    return `${this.path(at.parent, at.name)} to ${this.path(folder, name)}${flags.exchange ? ' exchanged' : ''}`;
  }

  private unlink(at: Place): string {
    this.tree.unlink(at.parent, at.name);
    this.record.removed(at.node.content);
    return `${this.path(at.parent, at.name)} ${at.node.content}`;
  }

  /** `rm -rf`, entry by entry. */
  private removeAll(at: Place): void {
    if (at.kind !== 'directory') {
      this.unlink(at);
      return;
    }
    for (const child of this.children(at.inode)) this.removeAll(child);
    this.tree.rmdir(at.parent, at.name);
  }

  private touchAll(at: Place): void {
    this.record.touch(at.node, this.pod);
    if (at.kind !== 'directory') return;
    for (const child of this.children(at.inode)) this.touchAll(child);
  }

  private folder(places: readonly Place[]): InodeId {
    const folders = places.filter(({ kind, inode }) => kind === 'directory' && inode !== LOST_FOUND);
    return this.numbers.pick([ROOT, ROOT, ...folders.map(({ inode }) => inode)]);
  }

  private places(): Place[] {
    const places = this.children(ROOT);
    for (const { kind, inode } of places) {
      if (places.length > PAGE) throw new Error('folders lie in each other');
      if (kind === 'directory') places.push(...this.children(inode));
    }
    return places;
  }

  private children(parent: InodeId): Place[] {
    return this.tree.list(parent, undefined, PAGE).map((entry) => {
      const node = this.tree.node(entry.inode);
      if (node === undefined) throw new Error(`${entry.name} is listed, and there is no such node`);
      return { ...entry, parent, node };
    });
  }

  private path(parent: InodeId, name: string): string {
    const folder = this.tree.pathOf(parent);
    return folder === '/' ? `/${name}` : `${folder}/${name}`;
  }
}
