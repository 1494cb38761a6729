import assert from 'node:assert/strict';
import { resolve } from '../../../src/tree/resolver/resolve.js';
import type { Counts, Dentry, Effects, Row } from '../../../src/tree/resolver/tables.js';
import { parseConflictInode } from '../../../src/tree/resolver/tables.js';
import { viewNode } from '../../../src/tree/resolver/view.js';
import { type InodeId, LOST_FOUND, type Registers, ROOT } from '../../../src/tree/schema.js';
import type { Node } from '../../../src/tree/tree.js';
import { checkTree } from './check.js';
import { MemoryTables } from './memory-tables.js';

/** All that shows: path → what is there. Times are this machine's own and left out. */
export function dump(tables: MemoryTables): Map<string, string> {
  const lines = new Map<string, string>();
  const visit = (folder: InodeId, path: string, depth: number) => {
    assert.ok(depth < 100, `${path} is too deep: a cycle?`);
    for (const { name, dentry } of tables.dentries(folder, undefined, 1_000)) {
      const node = viewNode(tables, dentry.inode);
      assert.ok(node !== undefined, `${path}/${name} names ${dentry.inode}, which is not visible`);
      lines.set(`${path}/${name}`, `${node.kind} ${node.id} ${node.content} ${node.size} x${node.nlink}`);
      if (node.kind === 'directory') visit(node.id, `${path}/${name}`, depth + 1);
    }
  };
  visit(ROOT, '', 0);
  return lines;
}

/** Only names and contents: what the user sees. */
export function look(tables: MemoryTables): { [path: string]: string } {
  const seen: { [path: string]: string } = {};
  for (const [path, line] of dump(tables)) {
    const [kind, , content] = line.split(' ');
    seen[path] = kind === 'directory' ? '/' : (content ?? '');
  }
  return seen;
}

/** The whole state of the tables but for times, comparable. */
export function state(tables: MemoryTables): unknown {
  const rows = [...tables.rows].map(([inode, row]): [InodeId, unknown] => [inode, stateOf(inode, row)]);
  const seats = [...tables.seats].flatMap(([parent, names]) =>
    [...names].flatMap(([name, inodes]) => [...inodes].map((inode) => `${parent} ${name} ${inode}`)),
  );
  return {
    rows: new Map(rows.filter(([, row]) => row !== undefined).sort(([a], [b]) => (a < b ? -1 : 1))),
    seats: seats.sort(),
    dentries: new Map(
      [...tables.folders]
        .filter(([, names]) => names.size > 0)
        .map(([folder, names]): [InodeId, Map<string, Dentry>] => [folder, new Map([...names].sort())])
        .sort(),
    ),
  };
}

function stateOf(inode: InodeId, row: Row): unknown {
  const { ctime, mtime, seat, ...rest } = row;
  if (inode === ROOT && rest.registers.d.length === 0 && rest.subfolders === 0) return undefined;
  // Where a dead file sits is kept up to date only when it rises again.
  const kind = row.registers.d.at(-1)?.value.kind;
  return row.alive || kind === 'directory' ? { seat, ...rest } : rest;
}

/** Tables that are checked as they change: effects and counts must tell the difference. */
export class WatchedTables {
  readonly tables = new MemoryTables();
  readonly counts: Counts = { files: 0, directories: 0, bytes: 0, conflicts: 0, ignored: 0 };
  private time = 0n;

  resolve(changes: { inode: InodeId; registers: Registers | undefined }[], watch = true): Effects {
    const before = watch ? picture(this.tables) : undefined;
    this.time++;
    const effects = resolve(this.tables, changes, { time: this.time });
    for (const key of Object.keys(this.counts) as (keyof Counts)[]) this.counts[key] += effects.counts[key];
    if (before !== undefined) {
      compareEffects(before, picture(this.tables), effects);
      assert.deepEqual(this.counts, recount(this.tables), 'the counts differ from a recount');
    }
    return effects;
  }

  check(): void {
    assert.deepEqual(checkTree(this.tables, this.tables.rows.keys()), []);
  }
}

interface Picture {
  names: Map<string, string>;
  nodes: Map<InodeId, Node | undefined>;
}

function picture(tables: MemoryTables): Picture {
  const names = new Map<string, string>();
  const nodes = new Map<InodeId, Node | undefined>();
  for (const [folder, entries] of tables.folders) {
    for (const [name, { inode, by }] of entries) {
      names.set(`${folder}\0${name}`, `${inode} ${by ?? ''}`);
      if (!nodes.has(inode)) nodes.set(inode, viewNode(tables, inode));
    }
  }
  nodes.set(ROOT, viewNode(tables, ROOT));
  return { names, nodes };
}

function compareEffects(before: Picture, after: Picture, effects: Effects): void {
  const told = new Set(effects.names.map(({ parent, name }) => `${parent}\0${name}`));
  for (const name of new Set([...before.names.keys(), ...after.names.keys()])) {
    if (before.names.get(name) !== after.names.get(name)) assert.ok(told.has(name), `${name} changed untold`);
  }
  const toldInodes = new Set(effects.inodes);
  for (const inode of new Set([...before.nodes.keys(), ...after.nodes.keys()])) {
    const [a, b] = [before.nodes.get(inode), after.nodes.get(inode)];
    if (toldInodes.has(inode)) continue;
    // Another place of the same name's folder or a shadow's owner's ctime show elsewhere.
    const plain = (node: Node | undefined) => node && { ...node, ctime: 0n, parent: '', name: '' };
    assert.deepEqual(plain(b), plain(a), `${inode} changed untold`);
  }
}

function recount(tables: MemoryTables): Counts {
  const counts: Counts = { files: 0, directories: 0, bytes: 0, conflicts: 0, ignored: 0 };
  const seen = new Set<InodeId>();
  for (const entries of tables.folders.values()) {
    for (const [name, { inode, kind, by }] of entries) {
      const virtual = parseConflictInode(inode) !== undefined;
      if (virtual || tables.rows.get(by ?? inode)?.seat?.name !== name) counts.conflicts++;
      if (virtual || seen.has(inode) || inode === LOST_FOUND) continue;
      seen.add(inode);
      if (kind === 'directory') counts.directories++;
      else {
        counts.files++;
        counts.bytes += viewNode(tables, inode)?.size ?? 0;
      }
    }
  }
  for (const [inode, row] of tables.rows) {
    if (inode !== ROOT && inode !== LOST_FOUND && row.registers.d.length === 0) counts.ignored++;
  }
  return counts;
}
