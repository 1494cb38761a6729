import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCbor } from '../../../src/base/cbor.js';
import type { Database } from '../../../src/store/index.js';
import type { IndexChange } from '../../../src/tree/engine/indexer.js';
import { readMeta } from '../../../src/tree/index/database-tables.js';
import { makeIndexer } from '../../../src/tree/index/indexer.js';
import { setAttributes } from '../../../src/tree/operations/change.js';
import { create } from '../../../src/tree/operations/create.js';
import { unlink } from '../../../src/tree/operations/remove.js';
import { rename } from '../../../src/tree/operations/rename.js';
import { type InodeId, type Operation, ROOT } from '../../../src/tree/schema.js';
import { Bench, data, ME, Registry, withDatabase } from './fixture.js';

/** The worker's side in this thread: a document in memory and the index of it. */
class Side {
  readonly registry = new Registry();
  private readonly indexer;
  private counter = 1_000;
  private seq = 0;

  constructor(database: Database) {
    this.indexer = makeIndexer(database, this.registry);
  }

  /** What somebody else did. */
  remote(
    fill: (registry: Registry) => void,
    touched: InodeId[],
  ): { remote: true; seq: number; change: IndexChange } {
    fill(this.registry);
    return { remote: true, seq: this.seq, change: this.update(touched, 5n) };
  }

  /** What an operation does where there is no conflict: the last value of each register. */
  local(operations: Operation[]): { remote: false; seq: number; change: IndexChange } {
    const touched: InodeId[] = [];
    for (const { seq, writes } of operations) {
      this.seq = seq;
      for (const { inode, l, d, a, x } of writes) {
        touched.push(inode);
        const id = () => `${++this.counter}@${ME}`;
        if (l !== undefined) this.registry.put(inode, 'l', id(), l, 'all');
        if (d !== undefined) this.registry.put(inode, 'd', id(), d, 'all');
        if (a !== undefined) this.registry.put(inode, 'a', id(), a, 'all');
        if (x !== undefined) {
          const now = this.registry.read(inode);
          const saw = [...(now?.l ?? []), ...(now?.d ?? [])].map((value) => value.id);
          this.registry.put(inode, 'x', id(), { saw });
        }
      }
    }
    const last = operations.at(-1);
    return { remote: false, seq: this.seq, change: this.update(touched, last?.time ?? 0n) };
  }

  rebuild(): void {
    this.indexer.rebuild({ heads: ['rebuilt'], seq: this.seq, time: 6n });
  }

  private update(touched: InodeId[], time: bigint): IndexChange {
    return this.indexer.update({
      touched,
      known: new Map(),
      heads: [`h${this.counter++}`],
      seq: this.seq,
      time,
    });
  }
}

function withSides(work: (bench: Bench, side: Side, database: Database) => void): Promise<void> {
  return withDatabase((database) => {
    const side = new Side(database);
    side.rebuild();
    database.refresh();
    work(new Bench(database), side, database);
  });
}

function echo(bench: Bench, what: { remote: boolean; seq: number; change: IndexChange }) {
  return bench.overlay.echo({ heads: [], ...what });
}

test('what the index shows is not held any more, and nothing looks different', () =>
  withSides((b, side) => {
    b.run((view) => create(view, ROOT, 'd', data('directory'), {}));
    b.run((view) => create(view, b.id('/d'), 'f', data('file', 'c1'), { mode: 0o600 }));
    b.run((view) => create(view, ROOT, 'gone', data('file', 'c2'), {}));
    const first = b.operations.splice(0);
    b.run((view) => unlink(view, ROOT, 'gone'));
    const second = b.operations.splice(0);
    const shown = b.lines();
    assert.equal(b.overlay.depth, 4);

    assert.deepEqual(echo(b, side.local(first)), { inodes: [], names: [] });
    assert.equal(b.overlay.depth, 1);
    assert.deepEqual(b.lines(), shown, 'the younger operation still lies over the index');
    assert.deepEqual(echo(b, side.local(second)), { inodes: [], names: [] });
    assert.deepEqual(b.lines(), shown);
    assert.deepEqual([b.overlay.depth, b.overlay.echoed], [0, 4]);
    assert.deepEqual([...b.overlay.tables.heldRows()], []);
    assert.deepEqual([...b.overlay.tables.heldNames()], []);
    const { files, directories, bytes } = b.overlay.counts();
    assert.deepEqual({ files, directories, bytes }, { files: 1, directories: 1, bytes: 2 });
  }));

test('names that were looked up in vain appear when somebody else makes them', () =>
  withSides((b, side) => {
    assert.equal(b.at('/new'), undefined);
    const different = echo(
      b,
      side.remote((registry) => registry.file('x/00', 10, ROOT, 'new', 'c1'), ['x/00']),
    );
    assert.deepEqual(different.names, [{ parent: ROOT, name: 'new', before: null }]);
    assert.deepEqual(different.inodes.sort(), [ROOT, 'x/00']);
    assert.equal(b.at('/new')?.content, 'c1');
    echo(
      b,
      side.remote((registry) => registry.put('x/00', 'd', '30@bb', data('file', 'c2'), 'all'), ['x/00']),
    );
    assert.equal(b.at('/new')?.content, 'c2');
  }));

test('a remote change below a pending operation is seen at once', () =>
  withSides((b, side) => {
    echo(
      b,
      side.remote((registry) => registry.file('x/00', 10, ROOT, 'f', 'c1'), ['x/00']),
    );
    b.run((view) => rename(view, { parent: ROOT, name: 'f' }, { parent: ROOT, name: 'g' }, {}));
    b.run((view) => setAttributes(view, 'x/00', { mode: 0o600 }));
    echo(
      b,
      side.remote((registry) => registry.put('x/00', 'd', '30@bb', data('file', 'c2'), 'all'), ['x/00']),
    );
    assert.deepEqual(b.lines(), ['/g file c2'], 'under the name that the pending rename gave it');
    assert.equal(b.overlay.depth, 2);
    assert.deepEqual(echo(b, side.local(b.operations)), { inodes: [], names: [] });
    assert.deepEqual(b.lines(), ['/g file c2']);
    assert.deepEqual([...b.overlay.tables.heldRows()], []);
  }));

test('who made a name that somebody else made too is told what it shows now', () =>
  withSides((b, side) => {
    b.run((view) => create(view, ROOT, 'f', data('file', 'cmine'), {}));
    const { names } = echo(
      b,
      side.remote((registry) => registry.file('x/00', 10, ROOT, 'f', 'ctheirs'), ['x/00']),
    );
    assert.ok(names.some(({ parent, name }) => parent === ROOT && name === 'f'));
    assert.equal(b.at('/f')?.content, 'ctheirs', 'the older one keeps the name');
    assert.equal(b.lines().length, 2);
    const later = echo(b, side.local(b.operations));
    assert.ok(!later.names.some(({ name }) => name === 'f'));
    assert.equal(b.lines().length, 2);
  }));

test('a move that waits and one from elsewhere make no circle', () =>
  withSides((b, side) => {
    const both = (registry: Registry) =>
      void registry.folder('x/00', 10, ROOT, 'x').folder('x/01', 12, ROOT, 'y');
    echo(b, side.remote(both, ['x/00', 'x/01']));
    b.run((view) => rename(view, { parent: ROOT, name: 'x' }, { parent: 'x/01', name: 'x' }, {}));
    const previous = { parent: ROOT, name: 'y' };
    const move = (registry: Registry) =>
      void registry.put('x/01', 'l', '20@bb', { parent: 'x/00', name: 'y', previous }, 'all');
    echo(b, side.remote(move, ['x/01']));
    const shown = ['/x directory', '/x/y directory'];
    assert.deepEqual(b.lines(), shown, 'the later one is undone');
    echo(b, side.local(b.operations));
    assert.deepEqual(b.lines(), shown);
    assert.equal(b.overlay.counts().directories, 2);
  }));

test('what was removed here and renamed elsewhere is listed only with its node', () =>
  withSides((b, side) => {
    echo(
      b,
      side.remote((registry) => registry.file('x/00', 10, ROOT, 'f', 'c1'), ['x/00']),
    );
    b.run((view) => unlink(view, ROOT, 'f'));
    const renamed = { parent: ROOT, name: 'g', previous: { parent: ROOT, name: 'f' } };
    const { names } = echo(
      b,
      side.remote((registry) => registry.put('x/00', 'l', '20@bb', renamed, 'all'), ['x/00']),
    );
    assert.deepEqual(b.lines(), ['/g file c1'], 'the rename did not know of the removal');
    assert.ok(names.some(({ name }) => name === 'g'));
  }));

test('below many pending operations a remote change is seen some batches later, below very many when they are fewer', () =>
  withSides((b, side) => {
    const make = (from: number, to: number) => {
      for (let n = from; n < to; n++) b.run((view) => create(view, ROOT, `f${n}`, data('file', `c${n}`), {}));
    };
    const others = (name: string, inode: string) =>
      echo(
        b,
        side.remote((registry) => registry.file(inode, 10, ROOT, name, 'ctheirs'), [inode]),
      );
    make(0, 600);
    others('f599', 'x/00');
    assert.equal(b.at('/f599')?.content, 'c599');
    let batches = 1;
    while (b.at('/f599')?.content === 'c599') others(`other-${++batches}`, `x/${batches + 10}`);
    assert.equal(batches, 5, 'each of them pays for 128');

    make(600, 3_000);
    others('f2999', 'x/01');
    for (let n = 0; n < 100; n++) echo(b, side.local([]));
    assert.equal(b.at('/f2999')?.content, 'c2999');
    const { names } = echo(b, side.local(b.operations.slice(0, 2_500)));
    assert.ok(names.some(({ name }) => name === 'f2999'));
    assert.equal(b.at('/f2999')?.content, 'ctheirs');
    assert.equal(b.overlay.counts().files, 3_000 + batches + 1);
  }));

test('an index that is built again is taken over whole, and the old one goes bit by bit', () =>
  withSides((b, side, database) => {
    for (let n = 0; n < 600; n++) side.registry.file(`x/${n}`, 10 + n, ROOT, `f${n}`, `c${n}`);
    const before = readMeta(database).generation;
    side.rebuild();
    database.refresh();
    assert.notEqual(readMeta(database).generation, before);
    assert.deepEqual(b.lines(), [], 'nobody told the readers yet');
    b.run((view) => create(view, ROOT, 'mine', data(), {}));
    echo(b, side.local(b.operations));
    assert.equal(b.lines().length, 601);
    side.rebuild();
    const rows = () => database.table(`index-rows-1-${before ^ 1}`).count();
    assert.equal(rows(), 602);
    for (let n = 0; n < 30; n++)
      echo(
        b,
        side.remote(() => {}, []),
      );
    assert.equal(rows(), 0);
    assert.equal(b.lines().length, 601);
    assert.equal(b.overlay.counts().files, 601);
  }));

test('an index of another form counts as none', () =>
  withSides((_, side, database) => {
    assert.deepEqual(readMeta(database).heads, ['rebuilt']);
    const { generation } = readMeta(database);
    database.writeNow((batch) => {
      const stamp = { version: 99, heads: ['x'], seq: 9, generation, counts: {} };
      batch.table('index-meta').put('stamp', encodeCbor(stamp));
    });
    assert.deepEqual([readMeta(database).heads, readMeta(database).seq], [[], 0]);
    assert.deepEqual(makeIndexer(database, side.registry).stamp(), { heads: [], seq: 0 });
  }));

test('an operation that names what a pending one made knows only its provisional id', () =>
  withSides((b) => {
    b.run((view) => create(view, ROOT, 'f', data('file', 'c1'), {}));
    const versions = b.at('/f')?.versions ?? [];
    assert.equal(versions.length, 1);
    b.run((view) => create(view, ROOT, 'g', data('file', 'c1'), {}));
    assert.notDeepEqual(b.at('/g')?.versions, versions);
  }));
