import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolve } from '../../../src/tree/resolver/resolve.js';
import type { Effects, Row, Seat, Tables } from '../../../src/tree/resolver/tables.js';
import { viewNode } from '../../../src/tree/resolver/view.js';
import {
  type Attributes,
  type Data,
  type InodeId,
  type Location,
  type OpId,
  type Registers,
  ROOT,
} from '../../../src/tree/schema.js';
import { MemoryTables } from './memory-tables.js';

// What one change may touch does not grow with the tree; and what it tells, and which times it moves.

const ACTOR = '00'.repeat(10);

/** Tables that count what is asked of them. */
class CountingTables extends MemoryTables {
  reads = 0;
  written: string[] = [];

  override row(inode: InodeId): Row | undefined {
    this.reads++;
    return super.row(inode);
  }

  override *seated(parent: InodeId, name?: string): Iterable<{ name: string; inode: InodeId }> {
    for (const seat of super.seated(parent, name)) {
      this.reads++;
      yield seat;
    }
  }

  override putRow(inode: InodeId, row: Row): void {
    this.written.push(`row ${inode}`);
    super.putRow(inode, row);
  }

  override putSeat(seat: Seat, inode: InodeId): void {
    this.written.push(`+seat ${seat.parent}/${seat.name}`);
    super.putSeat(seat, inode);
  }

  override removeSeat(seat: Seat, inode: InodeId): void {
    this.written.push(`-seat ${seat.parent}/${seat.name}`);
    super.removeSeat(seat, inode);
  }

  override putDentry(...entry: Parameters<Tables['putDentry']>): void {
    this.written.push(`+dentry ${entry[0]}/${entry[1]}`);
    super.putDentry(...entry);
  }

  override removeDentry(parent: InodeId, name: string): void {
    this.written.push(`-dentry ${parent}/${name}`);
    super.removeDentry(parent, name);
  }
}

/** One pod's registers, each with one value. */
class Writer {
  readonly tables = new CountingTables();
  private readonly registers = new Map<InodeId, Registers>();
  private counter = 0;
  time = 0n;

  write(inode: InodeId, values: { l?: Location; d?: Partial<Data>; a?: Attributes; saw?: boolean }): Effects {
    const old = this.registers.get(inode) ?? { l: [], d: [], a: [], x: [] };
    const { l, d, a, saw } = values;
    const data = { kind: 'file', size: 1, mtime: 7n, content: 'c', mode: 0o644, ...d } as const;
    const next: Registers = {
      l: l === undefined ? old.l : [{ id: this.id(), value: l }],
      d: d === undefined ? old.d : [{ id: this.id(), value: data }],
      a: a === undefined ? old.a : [{ id: this.id(), value: a }],
      x: saw ? [{ id: this.id(), value: { saw: [...old.l, ...old.d].map(({ id }) => id) } }] : old.x,
    };
    this.registers.set(inode, next);
    this.tables.reads = 0;
    this.tables.written = [];
    return resolve(this.tables, [{ inode, registers: next }], { time: ++this.time });
  }

  private id(): OpId {
    return `${++this.counter}@${ACTOR}`;
  }
}

function full(files: number): Writer {
  const writer = new Writer();
  writer.write('a/0', { l: { parent: ROOT, name: 'd' }, d: { kind: 'directory' } });
  writer.write('a/1', { l: { parent: ROOT, name: 'e' }, d: { kind: 'directory' } });
  for (let i = 0; i < files; i++) writer.write(`f/${i}`, { l: { parent: 'a/0', name: `n${i}` }, d: {} });
  return writer;
}

test('a create touches two rows and one name, and tells so', () => {
  const writer = full(100);
  const { inodes, names, counts } = writer.write('g/0', {
    l: { parent: 'a/0', name: 'new' },
    d: { size: 9 },
  });
  assert.deepEqual(writer.tables.written, ['+seat a/0/new', '+dentry a/0/new', 'row g/0', 'row a/0']);
  assert.ok(writer.tables.reads <= 4, `${writer.tables.reads} reads`);
  assert.deepEqual(inodes, ['g/0', 'a/0']);
  assert.deepEqual(names, [{ parent: 'a/0', name: 'new' }]);
  assert.deepEqual(counts, { files: 1, directories: 0, bytes: 9, conflicts: 0, ignored: 0 });
});

test('an edit touches one row and no name', () => {
  const writer = full(100);
  const { inodes, names, counts } = writer.write('f/5', { d: { size: 4, content: 'new' } });
  assert.deepEqual(writer.tables.written, ['row f/5']);
  assert.deepEqual({ inodes, names }, { inodes: ['f/5'], names: [] });
  assert.equal(counts.bytes, 3);
});

test('a folder of many files is renamed by one entry', () => {
  const writer = full(1_000);
  const { names } = writer.write('a/0', {
    l: { parent: 'a/1', name: 'moved', previous: { parent: ROOT, name: 'd' } },
  });
  assert.deepEqual(writer.tables.written, [
    `-seat ${ROOT}/d`,
    '+seat a/1/moved',
    `-dentry ${ROOT}/d`,
    '+dentry a/1/moved',
    'row a/0',
    `row ${ROOT}`,
    'row a/1',
  ]);
  assert.ok(writer.tables.reads <= 10, `${writer.tables.reads} reads`);
  assert.deepEqual(names, [
    { parent: ROOT, name: 'd' },
    { parent: 'a/1', name: 'moved' },
  ]);
});

test('a removed file leaves nothing that a later one of its name would meet', () => {
  const writer = full(1);
  for (let i = 0; i < 50; i++) {
    writer.write(`j/${i}`, { l: { parent: 'a/0', name: 'journal' }, d: {} });
    assert.ok(writer.tables.reads <= 4, `${writer.tables.reads} reads`);
    writer.write(`j/${i}`, { saw: true });
    assert.ok(writer.tables.reads <= 4, `${writer.tables.reads} reads`);
  }
});

test('times: ctime by any change, a folder by its entries, by hand as set', () => {
  const writer = full(1);
  const node = (inode: InodeId) => viewNode(writer.tables, inode)!;
  writer.time = 99n;
  writer.write('f/0', { d: { mtime: 50n } });
  assert.deepEqual([node('f/0').mtime, node('f/0').ctime], [50n, 100n]);
  assert.ok(node('a/0').mtime < 100n, 'an edit is no change of the folder');
  writer.write('f/0', { a: { mtime: 3n } });
  assert.deepEqual([node('f/0').mtime, node('f/0').ctime], [3n, 101n]);
  writer.write('g/0', { l: { parent: 'a/0', name: 'new' }, d: {} });
  assert.deepEqual([node('a/0').mtime, node('a/0').ctime], [102n, 102n]);
  writer.write('a/0', { a: { mtime: 3n } });
  assert.deepEqual([node('a/0').mtime, node('a/0').ctime], [3n, 103n]);
  writer.write('g/0', { saw: true });
  assert.equal(node('a/0').mtime, 104n);
});

test('a link and its removal move the ctime of the file', () => {
  const writer = full(1);
  writer.time = 99n;
  writer.write('l/0', { l: { parent: ROOT, name: 'link' }, d: { kind: 'link', content: 'f/0' } });
  const { ctime, nlink } = viewNode(writer.tables, 'f/0')!;
  assert.deepEqual({ ctime, nlink }, { ctime: 100n, nlink: 2 });
});

test('the times of local operations go by inode', () => {
  const tables = new MemoryTables();
  const registers: Registers = {
    l: [{ id: `1@${ACTOR}`, value: { parent: ROOT, name: 'a' } }],
    d: [{ id: `2@${ACTOR}`, value: { kind: 'file', size: 0, mtime: 1n, content: '', mode: 0 } }],
    a: [],
    x: [],
  };
  resolve(tables, [{ inode: 'f/0', registers }], {
    time: 5n,
    timesOf: (inode) => (inode === 'f/0' ? { last: 3n } : undefined),
  });
  assert.equal(viewNode(tables, 'f/0')?.ctime, 3n);
  assert.equal(viewNode(tables, ROOT)?.mtime, 3n);
});
