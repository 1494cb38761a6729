/** Bulk copies into and out of the tree, on the real store and tree. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, systemClock } from '../../src/base/index.js';
import { type ContentStore, openContentStore } from '../../src/content/index.js';
import { exportTree, importFolder, openFileSystem, type WormholeFileSystem } from '../../src/fs/index.js';
import { type Database, openDatabase } from '../../src/store/index.js';
import { type InodeId, ROOT, type Tree } from '../../src/tree/index.js';
import { fingerprint } from '../system/pods.js';
import { DIRECTORY, open } from '../tree/fixture.js';

let folder: string;
let database: Database;
let content: ContentStore;
let tree: Tree;
let fileSystem: WormholeFileSystem;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wormhole-transfer-'));
  database = openDatabase(join(folder, 'database'));
  content = await openContentStore({
    folder: join(folder, 'content'),
    database,
    log: silentLog,
    namesDurable: () => tree.flush(),
  });
  tree = await open(join(folder, 'tree'), 'a', { beforePublish: () => content.flush() });
  fileSystem = openFileSystem({
    tree,
    content,
    invalidator: { inode: () => {}, entry: () => {}, everything: () => {} },
    podId: '61'.repeat(32),
    storeFolder: folder,
    clock: systemClock,
    log: silentLog,
  });
});

after(async () => {
  await fileSystem.close();
  await tree.close();
  await content.close();
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const options = () => ({ progress: () => {}, signal: new AbortController().signal });
const parts = () => ({ tree, content, fileSystem });

async function makeSource(name: string): Promise<string> {
  const source = join(folder, name);
  for (let i = 0; i < 30; i++) {
    await mkdir(join(source, `d${i}`, 'below'), { recursive: true });
    for (let j = 0; j < 10; j++) await writeFile(join(source, `d${i}`, 'below', `f${j}`), `file ${i} ${j}`);
  }
  await writeFile(join(source, 'empty'), '');
  await writeFile(join(source, 'large'), Buffer.alloc(3_000_000, 'large '));
  await writeFile(join(source, 'd0', 'run.sh'), '#!/bin/sh\n');
  await chmod(join(source, 'd0', 'run.sh'), 0o755);
  await utimes(join(source, 'd0', 'run.sh'), 1_700_000_000, 1_700_000_000.25);
  await symlink('../empty', join(source, 'd0', 'link'));
  return source;
}

function newFolder(name: string): InodeId {
  return tree.create(ROOT, name, DIRECTORY, {}).id;
}

test('what goes in comes out the same, with modes, times and links', async () => {
  const source = await makeSource('source');
  const imported = await importFolder(parts(), source, newFolder('in'), options());
  assert.deepEqual([imported.files, imported.folders, imported.leftCount], [304, 60, 0]);
  const script = tree.resolvePath('/in/d0/run.sh');
  assert.deepEqual([script?.mode, script?.mtime], [0o755, 1_700_000_000_250_000_000n]);
  const out = join(folder, 'out');
  const node = tree.resolvePath('/in');
  assert.ok(node !== undefined);
  const exported = await exportTree(parts(), node, out, options());
  assert.deepEqual([exported.files, exported.bytes, exported.leftCount], [304, imported.bytes, 0]);
  assert.deepEqual(fingerprint(out), fingerprint(source));
  // Entries of a batch are one operation in the document too.
  await tree.commit();
  assert.deepEqual((await exportTree(parts(), node, out, options())).already, 304);
});

test('a second run goes on, replaces nothing and says what differs', async () => {
  const source = await makeSource('again');
  const target = newFolder('again');
  const abort = new AbortController();
  const progress = () => {};
  const cut = importFolder(parts(), source, target, { progress, signal: abort.signal });
  abort.abort();
  await assert.rejects(cut, { code: 'interrupted' });
  const first = await importFolder(parts(), source, target, options());
  assert.equal(first.files + first.already, 304);
  await writeFile(join(source, 'empty'), 'not any more');
  await writeFile(join(source, 'large'), Buffer.alloc(3_000_000, 'other '));
  await writeFile(join(source, 'fresh'), 'new');
  const second = await importFolder(parts(), source, target, options());
  assert.deepEqual([second.files, second.already, second.leftCount], [1, 302, 2]);
  assert.deepEqual(second.left.map(({ path }) => path).sort(), [
    join(source, 'empty'),
    join(source, 'large'),
  ]);
  assert.equal(tree.resolvePath('/again/empty')?.size, 0);
  assert.deepEqual(
    tree.list(target, undefined, 100).filter(({ name }) => name.startsWith('.wh-')),
    [],
  );
});

test('an export leaves alone what is there under the same names', async () => {
  const out = join(folder, 'taken');
  await mkdir(join(out, 'd1'), { recursive: true });
  await writeFile(join(out, 'd1', 'below'), 'a file where a folder should be');
  await writeFile(join(out, 'empty'), 'mine');
  const node = tree.resolvePath('/in');
  assert.ok(node !== undefined);
  const { leftCount, files } = await exportTree(parts(), node, out, options());
  assert.deepEqual([leftCount, files], [2, 293]);
  assert.equal(await readFile(join(out, 'empty'), 'utf8'), 'mine');
});
