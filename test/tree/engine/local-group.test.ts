/** Nothing vanishes that nobody removed: what a write does to the values beside the one it is meant for. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { derivedInode } from '../../../src/tree/engine/allocator.js';
import { automerge } from '../../../src/tree/engine/automerge.js';
import type { OpId, Registers } from '../../../src/tree/schema.js';
import { converse, created, file, openPod, operation, type Pod, withFolder } from './rig.js';

const F = 'one/00';

interface Two {
  a: Pod;
  b: Pod;
}

/** Two pods with one file `f` that both edited: `a` sees its own `from-a` beside `from-b`. */
async function conflicted(folder: string): Promise<Two & { ofA: OpId; ofB: OpId }> {
  const a = await openPod(join(folder, 'a'));
  const b = await openPod(join(folder, 'b'), { name: 'bb' });
  a.apply(created(F, 'f', 'base'));
  await converse(a, b);
  const base = ids(a, 'd');
  a.apply({ inode: F, d: file('from-a'), replaces: base });
  b.apply({ inode: F, d: file('from-b'), replaces: base });
  await converse(a, b);
  const [ofA, ofB] = ['from-a', 'from-b'].map((content) => idOf(a, content));
  assert.ok(ofA !== undefined && ofB !== undefined);
  return { a, b, ofA, ofB };
}

function ids(pod: Pod, register: 'l' | 'd'): OpId[] {
  return (pod.read(F)?.[register] ?? []).map(({ id }) => id);
}

function idOf(pod: Pod, content: string): OpId | undefined {
  return pod.read(F)?.d.find(({ value }) => value.content === content)?.id;
}

function contents(registers: Registers | undefined): string[] {
  return (registers?.d ?? []).map(({ value }) => value.content);
}

async function close({ a, b }: Two): Promise<void> {
  await a.close();
  await b.close();
}

test('a write replaces what its user saw', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.apply(created(F, 'f', 'base'));
    a.apply({ inode: F, d: file('next'), replaces: ids(a, 'd') });
    assert.deepEqual(contents(a.read(F)), ['next']);
    assert.deepEqual([...a.indexer.rows.keys()], [F]);
    await a.close();
  }));

test('a write on the winner makes the loser a file of its own, where it was shown', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    a.indexer.places.set(`${F}~${ofA}`, { parent: 'root/0', name: 'f (conflict, a)' });
    a.apply({ inode: F, d: file('next'), replaces: [ofB] });
    assert.deepEqual(contents(a.read(F)), ['next']);
    const made = a.read(derivedInode(ofA));
    assert.deepEqual(contents(made), ['from-a'], 'this pod wrote it, but saw it lose: it is not its to drop');
    assert.deepEqual(made?.l[0]?.value, { parent: 'root/0', name: 'f (conflict, a)' });
    assert.ok(a.indexer.rows.has(derivedInode(ofA)), 'the index heard of it');
    await close({ a, b });
  }));

test('a write that saw both values leaves nothing behind', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    a.apply({ inode: F, d: file('both'), replaces: [ofA, ofB] });
    assert.deepEqual(contents(a.read(F)), ['both']);
    assert.equal(a.read(derivedInode(ofA)), undefined);
    assert.equal(a.read(derivedInode(ofB)), undefined);
    await close({ a, b });
  }));

test('a value that came in unseen is kept beside the write, under the name of a conflict', () =>
  withFolder(async (folder) => {
    const a = await openPod(join(folder, 'a'));
    const b = await openPod(join(folder, 'b'), { name: 'bb' });
    a.apply(created(F, 'f.txt', 'base'));
    await converse(a, b);
    const seen = ids(a, 'd');
    b.apply({ inode: F, d: file('unseen'), replaces: seen });
    await converse(a, b);
    const unseen = idOf(a, 'unseen') ?? '';
    a.apply({ inode: F, d: file('mine'), replaces: seen });
    assert.deepEqual(contents(a.read(F)), ['mine']);
    const made = a.read(derivedInode(unseen));
    assert.deepEqual(contents(made), ['unseen']);
    assert.match(made?.l[0]?.value.name ?? '', /^f \(conflict, pod-bb \w{8}\)\.txt$/);
    await close({ a, b });
  }));

test('own values that were still pending are replaced without their ids', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.apply(created(F, 'f', 'v1'));
    // Both were made before any echo: the second saw the first's value, but knows no id of it.
    a.engine.apply([operation(2, [{ inode: F, d: file('v2'), replaces: [] }], 0)]);
    assert.deepEqual(contents(a.read(F)), ['v2']);
    assert.deepEqual([...a.indexer.rows.keys()], [F]);
    await a.close();
  }));

test('of two values, an own pending one is replaced and a foreign one is not', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    // seq 2 wrote from-a; the next operation was made before that was echoed and before b's came.
    a.engine.apply([operation(3, [{ inode: F, d: file('next'), replaces: [] }], 1)]);
    assert.deepEqual(contents(a.read(F)), ['next']);
    assert.equal(a.read(derivedInode(ofA)), undefined);
    assert.deepEqual(contents(a.read(derivedInode(ofB))), ['from-b']);
    await close({ a, b });
  }));

test('an operation replayed after a restart still knows what was pending', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.apply(created(F, 'f', 'v1'));
    await a.close();
    const again = await openPod(folder);
    assert.equal(again.engine.appliedSeq, 1);
    again.engine.apply([operation(2, [{ inode: F, d: file('v2'), replaces: [] }], 0)]);
    assert.deepEqual(contents(again.read(F)), ['v2']);
    assert.deepEqual(
      [...again.indexer.reader.all()].map(({ inode }) => inode),
      [F],
    );
    await again.close();
  }));

test('equal bytes never become a second file', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    a.apply({ inode: F, d: file('from-a'), replaces: [ofB] });
    assert.equal(a.read(derivedInode(ofA)), undefined);
    assert.deepEqual(contents(a.read(F)), ['from-a']);
    await close({ a, b });
  }));

test('two pods that make the same loser real make one file', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    for (const pod of [a, b]) {
      pod.indexer.places.set(`${F}~${ofA}`, { parent: 'root/0', name: 'f (conflict)' });
      pod.apply({ inode: F, d: file('same'), replaces: [ofB] });
    }
    await converse(a, b);
    const made = a.read(derivedInode(ofA));
    assert.deepEqual(new Set(contents(made)), new Set(['from-a']));
    assert.deepEqual(new Set(made?.l.map(({ value }) => value.name)), new Set(['f (conflict)']));
    assert.deepEqual(made, b.read(derivedInode(ofA)));
    await close({ a, b });
  }));

test('removing the winner leaves the loser as a file, and the inode is dead', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    a.apply({ inode: F, x: { saw: [...ids(a, 'l'), ofA, ofB] }, replaces: [ofB] });
    assert.deepEqual(contents(a.read(derivedInode(ofA))), ['from-a']);
    assert.deepEqual(new Set(a.read(F)?.x[0]?.value.saw), new Set([...ids(a, 'l'), ofA, ofB]));
    await close({ a, b });
  }));

test('a delete does not see an edit that came in meanwhile', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    a.apply({ inode: F, x: { saw: [...ids(a, 'l'), ofA] } });
    const registers = a.read(F);
    assert.ok(!registers?.x[0]?.value.saw.includes(ofB));
    assert.equal(a.read(derivedInode(ofB)), undefined, 'it lives on under its own name');
    await close({ a, b });
  }));

test('a delete sees own values that were pending', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.apply(created(F, 'f', 'v1'));
    a.engine.apply([operation(2, [{ inode: F, x: { saw: [] } }], 0)]);
    assert.deepEqual(new Set(a.read(F)?.x[0]?.value.saw), new Set([...ids(a, 'l'), ...ids(a, 'd')]));
    await a.close();
  }));

test('a moved file with a loser: the loser stays where it was, when that is asked for', () =>
  withFolder(async (folder) => {
    const { a, b, ofA, ofB } = await conflicted(folder);
    a.indexer.places.set(`${F}~${ofA}`, { parent: 'root/0', name: 'f (conflict)' });
    const l = { parent: 'root/0', name: 'g', previous: { parent: 'root/0', name: 'f' } };
    a.apply({ inode: F, l, replaces: [ofB] });
    assert.deepEqual(contents(a.read(F)), ['from-b']);
    assert.equal(a.read(F)?.l[0]?.value.name, 'g');
    assert.equal(a.read(derivedInode(ofA))?.l[0]?.value.name, 'f (conflict)');
    await close({ a, b });
  }));

test('what came and went within a group never was', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.apply(created(F, 'f', 'old'));
    const target = ids(a, 'd');
    a.engine.apply([
      operation(2, [created('one/01', '.f.tmp', 'new')], 1),
      operation(
        3,
        [
          { inode: F, d: file('new'), replaces: target },
          { inode: 'one/01', x: { saw: [] } },
        ],
        1,
      ),
    ]);
    assert.deepEqual(contents(a.read(F)), ['new']);
    assert.equal(a.read('one/01'), undefined);
    const [change] = a.sent.slice(-1);
    await a.engine.settle();
    assert.ok(change === undefined || automerge.decodeChange(change).ops.length >= 1);
    assert.equal(automerge.decodeChange(a.sent.at(-1) as Uint8Array).ops.length, 1);
    assert.deepEqual(
      a.indexer.calls.at(-1)?.touched.sort(),
      [F, 'one/01'],
      'the index forgets the temporary file',
    );
    await a.close();
  }));

test('of several writes to a register in one group only the last is kept; a move begins where the first did', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.apply(created(F, 'f', 'old'));
    const step = (from: string, to: string) => ({
      inode: F,
      l: { parent: 'root/0', name: to, previous: { parent: 'root/0', name: from } },
    });
    a.engine.apply([operation(2, [step('f', 'g')], 1), operation(3, [step('g', 'h')], 1)]);
    await a.engine.settle();
    assert.deepEqual(
      a.read(F)?.l.map(({ value }) => value),
      [{ parent: 'root/0', name: 'h', previous: { parent: 'root/0', name: 'f' } }],
    );
    assert.equal(automerge.decodeChange(a.sent.at(-1) as Uint8Array).ops.length, 1);
    await a.close();
  }));

for (const together of [true, false]) {
  test(`a deleted inode that is written again ${together ? 'in the same group' : 'later'} lives`, () =>
    withFolder(async (folder) => {
      const a = await openPod(folder);
      a.apply(created(F, 'f', 'old'));
      const removal = operation(2, [{ inode: F, x: { saw: [...ids(a, 'l'), ...ids(a, 'd')] } }], 1);
      // The very same values: Automerge writes nothing for them.
      const revival = operation(3, [created(F, 'f', 'old')], 1);
      if (together) a.engine.apply([removal, revival]);
      else for (const step of [removal, revival]) a.engine.apply([step]);
      const saw = a.read(F)?.x.flatMap(({ value }) => value.saw) ?? [];
      assert.deepEqual(contents(a.read(F)), ['old']);
      assert.ok([...ids(a, 'l'), ...ids(a, 'd')].some((id) => !saw.includes(id)));
      await a.close();
    }));
}

test('a group with many new files in a fresh bucket is one change of whole operations', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    const names = Array.from({ length: 20 }, (_, n) => n.toString(16).padStart(2, '0'));
    a.engine.apply(
      names.map((index, n) => operation(n + 1, [created(`new/${index}`, `file-${n}`, `c${n}`)], 0)),
    );
    await a.engine.settle();
    assert.equal(a.sent.length, 2, 'the founding and one group');
    for (const [n, index] of names.entries()) {
      assert.equal(a.read(`new/${index}`)?.l[0]?.value.name, `file-${n}`);
      assert.deepEqual(contents(a.read(`new/${index}`)), [`c${n}`]);
    }
    assert.equal(a.indexer.rows.size, 20);
    await a.close();
  }));

test('one operation that does not fit leaves the others of its group alone', () =>
  withFolder(async (folder) => {
    const a = await openPod(folder);
    a.engine.apply([
      operation(1, [created(F, 'f')], 0),
      operation(2, [created('not an inode', 'x')], 0),
      operation(3, [created('one/01', 'g')], 0),
    ]);
    assert.equal(a.engine.appliedSeq, 3);
    assert.deepEqual(
      [...a.indexer.reader.all()].map(({ inode }) => inode),
      [F, 'one/01'],
    );
    await a.close();
  }));

test('where a bucket was made twice, a value that is put again takes away what is in the other map', () =>
  withFolder(async (folder) => {
    const a = await openPod(join(folder, 'a'));
    const b = await openPod(join(folder, 'b'), { name: 'bb' });
    await converse(a, b);
    a.apply(created(F, 'f', 'from-a'));
    b.apply(created(F, 'f', 'from-b'));
    await converse(a, b);
    assert.deepEqual(contents(a.read(F)).sort(), ['from-a', 'from-b']);
    const first = a.read(F)?.d.find(({ value }) => value.content === 'from-a');
    // What is told to the index is compared with the document by the index of these tests.
    const l = { parent: 'root/0', name: 'g', previous: { parent: 'root/0', name: 'f' } };
    a.apply({ inode: F, l, d: first?.value ?? file(''), replaces: ids(a, 'd') });
    assert.deepEqual(contents(a.indexer.rows.get(F)), ['from-a']);
    await converse(a, b);
    assert.deepEqual(contents(b.read(F)), ['from-a']);
    await close({ a, b });
  }));
