import { contentKey, isFolder, targetOf } from '../../../src/tree/resolver/registers.js';
import { type Dentry, parseConflictInode, type Row, type Tables } from '../../../src/tree/resolver/tables.js';
import { primaryOf } from '../../../src/tree/resolver/view.js';
import { type InodeId, LOST_FOUND, type Registers, ROOT } from '../../../src/tree/schema.js';
import { visibleTree } from './oracle.js';

/**
 * Checks that the tables show what the registers in their rows say, by working it all out a second time: slow, for
 * tests and `fsck`. `inodes`: all that have rows. @returns what is wrong, one sentence each; empty when all is well
 */
export function checkTree(tables: Tables, inodes: Iterable<InodeId>): string[] {
  const rows = new Map<InodeId, Row>();
  for (const inode of new Set([...inodes, ROOT, LOST_FOUND])) {
    const row = tables.row(inode);
    if (row !== undefined) rows.set(inode, row);
  }
  const entries = readEntries(tables, rows);
  return [
    ...checkEntries(entries, rows),
    ...checkReachable(entries, rows),
    ...checkOnce(tables, entries, rows),
    ...checkContents(entries, rows),
    ...checkCounts(entries, rows),
  ];
}

type Entries = Map<InodeId, Map<string, Dentry>>;

function readEntries(tables: Tables, rows: ReadonlyMap<InodeId, Row>): Entries {
  const entries: Entries = new Map();
  for (const folder of [ROOT, ...rows.keys()]) {
    const names = new Map<string, Dentry>();
    for (const { name, dentry } of tables.dentries(folder, undefined, Number.POSITIVE_INFINITY))
      names.set(name, dentry);
    if (names.size > 0) entries.set(folder, names);
  }
  return entries;
}

/** The same names, with the same inodes behind them, as the second opinion has. */
function checkEntries(entries: Entries, rows: ReadonlyMap<InodeId, Row>): string[] {
  const registers = new Map<InodeId, Registers>();
  for (const [inode, row] of rows) if (inode !== LOST_FOUND) registers.set(inode, row.registers);
  const expected = visibleTree(registers);
  const problems: string[] = [];
  for (const folder of new Set([...expected.keys(), ...entries.keys()])) {
    const [should, has] = [expected.get(folder), entries.get(folder)];
    for (const name of new Set([...(should?.keys() ?? []), ...(has?.keys() ?? [])])) {
      const [a, b] = [describe(should?.get(name)), describe(has?.get(name))];
      if (a !== b) problems.push(`${folder} / ${name} shows ${b}, but the registers say ${a}`);
    }
  }
  return problems;
}

function describe(dentry: Dentry | undefined): string {
  if (dentry === undefined) return 'nothing';
  return `${dentry.kind} ${dentry.inode}${dentry.by === undefined ? '' : ` by ${dentry.by}`}`;
}

/** Every folder with entries hangs below the root, once. */
function checkReachable(entries: Entries, rows: ReadonlyMap<InodeId, Row>): string[] {
  const problems: string[] = [];
  const seen = new Set<InodeId>([ROOT]);
  for (const folder of seen) {
    for (const [name, { inode, kind }] of entries.get(folder) ?? []) {
      if (kind !== 'directory') continue;
      if (seen.has(inode))
        problems.push(`the folder ${inode} is in the tree twice, again as ${folder} / ${name}`);
      seen.add(inode);
    }
  }
  for (const folder of entries.keys()) {
    if (!seen.has(folder)) problems.push(`the entries of ${folder} are not reachable from the root`);
  }
  for (const [inode, row] of rows) {
    if (row.alive && isFolder(inode, row) && row.mergedInto === undefined && !seen.has(inode))
      problems.push(`the living folder ${inode} is not reachable from the root`);
  }
  return problems;
}

/** Every living inode makes one name, or is a member of one that does. */
function checkOnce(tables: Tables, entries: Entries, rows: ReadonlyMap<InodeId, Row>): string[] {
  const makers = new Map<InodeId, number>();
  for (const names of entries.values()) {
    for (const { inode, by } of names.values()) {
      if (parseConflictInode(inode) !== undefined) continue;
      const maker = by ?? inode;
      makers.set(maker, (makers.get(maker) ?? 0) + 1);
    }
  }
  const problems: string[] = [];
  for (const [inode, row] of rows) {
    if (inode === ROOT) continue;
    const names = makers.get(primaryOf(tables, inode)) ?? 0;
    const own = makers.get(inode) ?? 0;
    if (row.alive && names !== 1) problems.push(`the living inode ${inode} makes ${names} names`);
    if (own > 0 && (!row.alive || row.mergedInto !== undefined))
      problems.push(`${inode} makes a name it must not`);
    if (row.mergedInto !== undefined && !rows.get(row.mergedInto)?.members.includes(inode))
      problems.push(`${row.mergedInto} does not know its member ${inode}`);
  }
  return problems;
}

/** Every value of a living file, the losing ones too, can be read somewhere. */
function checkContents(entries: Entries, rows: ReadonlyMap<InodeId, Row>): string[] {
  const visible = new Set<string>();
  for (const names of entries.values()) {
    for (const { inode } of names.values()) {
      const virtual = parseConflictInode(inode);
      const values = rows.get(virtual?.inode ?? inode)?.registers.d ?? [];
      const data = virtual === undefined ? values.at(-1) : values.find(({ id }) => id === virtual.version);
      if (data !== undefined) visible.add(contentKey(data.value));
    }
  }
  const problems: string[] = [];
  for (const [inode, row] of rows) {
    if (!row.alive || isFolder(inode, row)) continue;
    for (const { id, value } of row.registers.d) {
      if (value.kind === 'directory' || value.kind === 'link' || visible.has(contentKey(value))) continue;
      problems.push(`the value ${id} of ${inode} is not visible`);
    }
  }
  return problems;
}

function checkCounts(entries: Entries, rows: ReadonlyMap<InodeId, Row>): string[] {
  const names = new Map<InodeId, number>();
  const subfolders = new Map<InodeId, number>();
  for (const [folder, children] of entries) {
    for (const { inode, kind } of children.values()) {
      names.set(inode, (names.get(inode) ?? 0) + 1);
      if (kind === 'directory') subfolders.set(folder, (subfolders.get(folder) ?? 0) + 1);
    }
  }
  const links = new Map<InodeId, number>();
  for (const [inode, row] of rows) {
    const target = targetOf(inode, row.registers);
    if (row.alive && target !== undefined) links.set(target, (links.get(target) ?? 0) + 1);
  }
  const problems: string[] = [];
  for (const [inode, row] of rows) {
    const expected = [names.get(inode) ?? 0, subfolders.get(inode) ?? 0, links.get(inode) ?? 0];
    const counted = [row.names, row.subfolders, row.links];
    if (counted.join() !== expected.join())
      problems.push(`${inode} counts ${counted} names, subfolders and links, but has ${expected}`);
  }
  return problems;
}
