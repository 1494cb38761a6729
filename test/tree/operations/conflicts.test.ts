import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../../../src/store/index.js';
import { makeIndexer } from '../../../src/tree/index/indexer.js';
import { setAttributes, setData } from '../../../src/tree/operations/change.js';
import { create, link } from '../../../src/tree/operations/create.js';
import { rmdir, unlink } from '../../../src/tree/operations/remove.js';
import { rename } from '../../../src/tree/operations/rename.js';
import { ROOT } from '../../../src/tree/schema.js';
import { Bench, data, OTHER, Registry, withDatabase } from '../index/fixture.js';

const SECOND = '88888888880000000001';

/** A tree as it came from elsewhere, indexed. */
async function merged(fill: (registry: Registry) => void, work: (bench: Bench) => void): Promise<void> {
  await withDatabase((database: Database) => {
    const registry = new Registry();
    fill(registry);
    makeIndexer(database, registry).rebuild({ heads: ['h'], seq: 0, time: 9n });
    database.refresh();
    work(new Bench(database));
  });
}

/** One file with a winner and a losing value. */
function edited(registry: Registry): void {
  registry.file('b/00', 10, ROOT, 'f', 'c-first', OTHER);
  registry.put('b/00', 'd', `20@${SECOND}`, data('file', 'c-second'));
}

/** What stands beside `f`. */
function loserName(b: Bench): string {
  const line = b.lines().find((one) => one.includes('conflict'));
  assert.ok(line, 'no conflict is shown');
  return line.slice(1, line.indexOf(' file'));
}

test('the losing value is shown, can be deleted, and the winner stays', () =>
  merged(edited, (b) => {
    const name = loserName(b);
    assert.equal(b.at(`/${name}`)?.content, 'c-first');
    const { gone, writes } = b.run((view) => unlink(view, ROOT, name));
    assert.equal(gone, true);
    assert.deepEqual(
      writes.map(({ inode, replaces }) => [inode, replaces]),
      [['b/00', [`20@${SECOND}`, `11@${OTHER}`]]],
    );
    assert.deepEqual(b.lines(), ['/f file c-second']);
  }));

test('when the winner is deleted the losing value stays', () =>
  merged(edited, (b) => {
    const name = loserName(b);
    b.run((view) => unlink(view, ROOT, 'f'));
    assert.deepEqual(b.lines(), [`/${name} file c-first`]);
    assert.equal(b.at(`/${name}`)?.conflictOf, undefined, 'it became an inode of its own');
  }));

test('the losing value can be moved away, written, marked and linked: it becomes a file of its own', () =>
  merged(
    (registry) => {
      for (const n of [1, 2, 3, 4]) {
        registry.folder(`b/a${n}`, n * 100, ROOT, `d${n}`);
        registry.file(`b/0${n}`, n * 100 + 10, `b/a${n}`, 'f', `c-first${n}`);
        registry.put(`b/0${n}`, 'd', `${n * 100 + 20}@${SECOND}`, data('file', `c-second${n}`));
      }
    },
    (b) => {
      const losers = ['d1', 'd2', 'd3', 'd4'].map((folder) => {
        const names = [...b.overlay.tables.dentries(b.id(`/${folder}`), 'f', 1)].map(({ name }) => name);
        return { parent: b.id(`/${folder}`), name: names[0] ?? '', path: `/${folder}/${names[0]}` };
      });
      const [one, two, three, four] = losers as [
        (typeof losers)[0],
        (typeof losers)[0],
        (typeof losers)[0],
        (typeof losers)[0],
      ];
      b.run((view) => rename(view, one, { parent: ROOT, name: 'moved' }, {}));
      const node = b.at(two.path);
      assert.ok(node?.conflictOf);
      b.run((view) => setData(view, node.id, { size: 5, mtime: 7n, content: 'c-new' }, node.versions));
      b.run((view) => setAttributes(view, b.id(three.path), { mode: 0o600 }));
      b.run((view) => link(view, b.id(four.path), ROOT, 'other'));
      assert.deepEqual(
        b
          .lines()
          .filter((line) => !line.endsWith('directory'))
          .sort(),
        [
          '/d1/f file c-second1',
          `${two.path} file c-new`,
          `${three.path} file c-first3`,
          `${four.path} file c-first4`,
          '/d2/f file c-second2',
          '/d3/f file c-second3',
          '/d4/f file c-second4',
          '/moved file c-first1',
          '/other file c-first4',
        ].sort(),
      );
      assert.equal(b.at(three.path)?.mode, 0o600);
      assert.equal(b.id('/other'), b.id(four.path));
      for (const path of ['/moved', two.path, three.path, four.path]) {
        assert.equal(b.at(path)?.conflictOf, undefined, path);
      }
    },
  ));

test('a losing value renamed over its own winner is what remains', () =>
  merged(edited, (b) => {
    const name = loserName(b);
    const { inode } = b.run((view) => rename(view, { parent: ROOT, name }, { parent: ROOT, name: 'f' }, {}));
    assert.equal(inode, 'b/00');
    assert.deepEqual(b.lines(), ['/f file c-first']);
  }));

test('winner and losing value can be exchanged', () =>
  merged(edited, (b) => {
    const name = loserName(b);
    b.run((view) => rename(view, { parent: ROOT, name }, { parent: ROOT, name: 'f' }, { exchange: true }));
    assert.equal(b.at('/f')?.content, 'c-first');
    assert.equal(b.at(`/${name}`)?.content, 'c-second');
  }));

test('a write by one who saw only the winner leaves the losing value beside it', () =>
  merged(edited, (b) => {
    const name = loserName(b);
    b.run((view) => setData(view, 'b/00', { size: 1, mtime: 3n, content: 'c-third' }, [`20@${SECOND}`]));
    assert.deepEqual(b.lines().sort(), [`/f file c-third`, `/${name} file c-first`].sort());
  }));

test('merged folders move and go together', () =>
  merged(
    (registry) => {
      registry.folder('b/00', 10, ROOT, 'd', OTHER).file('b/01', 20, 'b/00', 'x', 'c-x', OTHER);
      registry.folder('c/00', 10, ROOT, 'd', SECOND).file('c/01', 20, 'c/00', 'y', 'c-y', SECOND);
      registry.folder('b/02', 30, ROOT, 'e');
    },
    (b) => {
      assert.deepEqual(b.lines(), ['/d directory', '/d/x file c-x', '/d/y file c-y', '/e directory']);
      // A name in a member's folder is taken, whichever member is asked.
      for (const folder of ['b/00', 'c/00']) {
        assert.throws(() => b.run((view) => create(view, folder, 'y', data(), {})), { code: 'exists' });
      }
      assert.throws(
        () => b.run((view) => rename(view, { parent: ROOT, name: 'd' }, { parent: 'c/00', name: 'd' }, {})),
        { code: 'invalid' },
      );
      const { writes } = b.run((view) =>
        rename(view, { parent: ROOT, name: 'd' }, { parent: ROOT, name: 'e' }, {}),
      );
      assert.equal(writes.length, 3);
      assert.deepEqual(b.lines(), ['/e directory', '/e/x file c-x', '/e/y file c-y']);
      assert.throws(() => b.run((view) => rmdir(view, ROOT, 'e')), { code: 'not-empty' });
      b.run((view) => unlink(view, b.id('/e'), 'x'));
      b.run((view) => unlink(view, b.id('/e'), 'y'));
      b.run((view) => rmdir(view, ROOT, 'e'));
      assert.deepEqual(b.lines(), []);
    },
  ));

test('files of equal bytes are one: for unlink, for a write, for a rename', () =>
  merged(
    (registry) => {
      for (const [n, name] of ['f', 'g', 'h', 'i'].entries()) {
        registry
          .file(`b/0${n}`, 10, ROOT, name, 'c-same', OTHER)
          .file(`c/0${n}`, 10, ROOT, name, 'c-same', SECOND);
      }
    },
    (b) => {
      assert.deepEqual(
        b.lines(),
        ['f', 'g', 'h', 'i'].map((name) => `/${name} file c-same`),
      );
      b.run((view) => unlink(view, ROOT, 'f'));
      const opened = b.at('/g');
      assert.ok(opened);
      b.run((view) => setData(view, opened.id, { size: 1, mtime: 3n, content: 'c-new' }, opened.versions));
      b.run((view) => rename(view, { parent: ROOT, name: 'h' }, { parent: ROOT, name: 'j' }, {}));
      assert.deepEqual(b.lines(), ['/g file c-new', '/i file c-same', '/j file c-same']);
      b.run((view) => rename(view, { parent: ROOT, name: 'i' }, { parent: ROOT, name: 'j' }, {}));
      assert.deepEqual(b.lines(), ['/g file c-new', '/j file c-same']);
      // Opened as the one, shown as the other meanwhile: still one file.
      const hidden = opened.id === 'b/01' ? 'c/01' : 'b/01';
      assert.equal(b.view.node(hidden), undefined);
    },
  ));

test('a file that was opened as one of two equals is written as the one that is shown', () =>
  merged(
    (registry) => {
      registry.file('b/00', 10, ROOT, 'f', 'c-same', OTHER).file('c/00', 10, ROOT, 'f', 'c-same', SECOND);
    },
    (b) => {
      const shown = b.id('/f');
      const hidden = shown === 'b/00' ? 'c/00' : 'b/00';
      const versions = [`11@${hidden === 'b/00' ? OTHER : SECOND}`];
      b.run((view) => setData(view, hidden, { size: 1, mtime: 3n, content: 'c-new' }, versions));
      assert.deepEqual(b.lines(), ['/f file c-new']);
    },
  ));

test('a file that was deleted elsewhere comes back with what was being written to it', () =>
  merged(
    (registry) => {
      registry.file('b/00', 10, ROOT, 'f', 'c-old');
      registry.put('b/00', 'x', `30@${SECOND}`, { saw: [`10@${OTHER}`, `11@${OTHER}`] });
    },
    (b) => {
      assert.deepEqual(b.lines(), []);
      b.run((view) => setData(view, 'b/00', { size: 1, mtime: 3n, content: 'c-new' }, [`11@${OTHER}`]));
      assert.deepEqual(b.lines(), ['/f file c-new']);
    },
  ));

test('a write clears the time that was set, and keeps the other attributes', () =>
  merged(
    (registry) => {
      registry.file('b/00', 10, ROOT, 'f', 'c-old');
    },
    (b) => {
      b.run((view) =>
        setAttributes(view, 'b/00', { mtime: 77n, mode: 0o600, xattrs: { 'user.a': Uint8Array.of(1) } }),
      );
      assert.equal(b.at('/f')?.mtime, 77n);
      b.run((view) => setData(view, 'b/00', { size: 1, mtime: 99n, content: 'c-new' }, [`11@${OTHER}`]));
      const node = b.at('/f');
      assert.deepEqual([node?.mtime, node?.mode, Object.keys(node?.xattrs ?? {})], [99n, 0o600, ['user.a']]);
      b.run((view) => setAttributes(view, 'b/00', { mtime: 5n }));
      b.run((view) => setAttributes(view, 'b/00', { mtime: null, uid: 3 }));
      assert.deepEqual([b.at('/f')?.mtime, b.at('/f')?.uid, b.at('/f')?.mode], [99n, 3, 0o600]);
    },
  ));
