import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../../src/base/index.js';
import { type Database, openDatabase } from '../../../src/store/index.js';
import { InodeAllocator } from '../../../src/tree/engine/allocator.js';
import { Overlay } from '../../../src/tree/index/overlay.js';
import { provisionalActor } from '../../../src/tree/operations/patch.js';
import type { View } from '../../../src/tree/operations/view.js';
import { lookupName, viewNode } from '../../../src/tree/resolver/view.js';
import {
  type InodeId,
  KINDS,
  type Kind,
  type Operation,
  type Registers,
  type RegisterWrite,
  ROOT,
} from '../../../src/tree/schema.js';
import type { Node } from '../../../src/tree/tree.js';

export const PREFIX = 'aaaaaaaaaaaaaaaa';
/** The actor of this pod in tests, and how its ids begin. */
export const POD = '0102030405';
export const ME = `${POD}0000000001`;
export const OTHER = '99999999990000000001';

export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'wormhole-tree-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function withDatabase(work: (database: Database) => void | Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const database = openDatabase(folder);
    try {
      await work(database);
    } finally {
      await database.close();
    }
  });
}

/** Applies operations to an overlay one after the other, as the façade does, without journal and engine. */
export class Bench {
  readonly overlay: Overlay;
  readonly view: View;
  readonly operations: Operation[] = [];
  private seq: number;

  constructor(database: Database, prefix = PREFIX) {
    this.overlay = new Overlay(database, provisionalActor(POD.padEnd(64, '0'), 'me'), silentLog);
    this.seq = this.overlay.echoed;
    const allocator = new InodeAllocator(prefix);
    this.view = {
      tables: this.overlay.tables,
      node: (id) => viewNode(this.overlay.tables, id),
      allocate: () => allocator.next(),
      allocateSeveral: (count) => allocator.several(count),
      time: 1n,
    };
  }

  run<T extends { writes: RegisterWrite[] }>(decide: (view: View) => T): T {
    this.view.time++;
    const decided = decide(this.view);
    const { writes } = decided;
    const operation = { seq: ++this.seq, seen: this.overlay.echoed, time: this.view.time, writes };
    this.operations.push(operation);
    this.overlay.apply(operation);
    return decided;
  }

  at(path: string): Node | undefined {
    let node: Node | undefined = viewNode(this.overlay.tables, ROOT);
    for (const name of path.split('/').filter((part) => part !== '')) {
      node = node === undefined ? undefined : lookupName(this.overlay.tables, node.id, name);
    }
    return node;
  }

  id(path: string): InodeId {
    const node = this.at(path);
    if (node === undefined) throw new Error(`there is no ${path}`);
    return node.id;
  }

  /** The whole tree as lines `path kind content`. */
  lines(folder = '', id: InodeId = ROOT): string[] {
    const lines: string[] = [];
    for (const { name, dentry } of this.overlay.tables.dentries(id, undefined, 1_000)) {
      const node = viewNode(this.overlay.tables, dentry.inode);
      lines.push(`${folder}/${name} ${node?.kind ?? 'gone'} ${node?.content ?? ''}`.trimEnd());
      if (dentry.kind === 'directory') lines.push(...this.lines(`${folder}/${name}`, dentry.inode));
    }
    return lines;
  }
}

export function data(kind: Kind = 'file', content = '', size = content.length) {
  return { kind, size, mtime: 5n, content, mode: kind === 'directory' ? 0o755 : 0o644 };
}

/** A document in memory: what the engine's reader gives, for the indexer. */
export class Registry {
  readonly map = new Map<InodeId, Registers>();

  read(inode: InodeId): Registers | undefined {
    return this.map.get(inode);
  }

  *all(): Iterable<{ inode: InodeId; registers: Registers }> {
    for (const [inode, registers] of this.map) yield { inode, registers };
  }

  /** A value of a register; `replaces`: the ids it overwrites (else it is concurrent). */
  put<R extends keyof Registers>(
    inode: InodeId,
    register: R,
    id: string,
    value: Registers[R][number]['value'],
    replaces: string[] | 'all' = [],
  ): this {
    const before = this.map.get(inode) ?? { l: [], d: [], a: [], x: [] };
    const kept = (before[register] as Registers[R]).filter(
      (other) => replaces !== 'all' && !replaces.includes(other.id),
    );
    const values = [...kept, { id, value }].sort(
      (a, b) => Number.parseInt(a.id, 10) - Number.parseInt(b.id, 10),
    );
    this.map.set(inode, { ...before, [register]: values });
    return this;
  }

  file(inode: InodeId, counter: number, parent: InodeId, name: string, content: string, actor = OTHER): this {
    this.put(inode, 'l', `${counter}@${actor}`, { parent, name });
    return this.put(inode, 'd', `${counter + 1}@${actor}`, data('file', content));
  }

  folder(inode: InodeId, counter: number, parent: InodeId, name: string, actor = OTHER): this {
    this.put(inode, 'l', `${counter}@${actor}`, { parent, name });
    return this.put(inode, 'd', `${counter + 1}@${actor}`, data('directory'));
  }
}

export const ALL_KINDS = KINDS;
