import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.js';
import { LOST_FOUND, type NewEntry, ROOT, type TreeEvents } from '../../src/tree/index.js';
import { DIRECTORY, exchange, file, lines, withTrees } from './fixture.js';

test('what was done is seen at once, after the echo, and after a restart', () =>
  withTrees(async (folder, open) => {
    let tree = await open(folder);
    const docs = tree.create(ROOT, 'docs', DIRECTORY, { uid: 5 });
    const note = tree.create(docs.id, 'note', file(), {});
    const written = tree.setData(note.id, { size: 3, mtime: 7n, content: 'cabc' }, note.versions);
    tree.link(note.id, ROOT, 'other');
    tree.rename(docs.id, 'note', docs.id, 'letter');
    const expected = ['/docs directory', '/docs/letter file cabc', '/other file cabc'];
    assert.deepEqual(lines(tree), expected);
    assert.deepEqual([written.size, written.mtime], [3, 7n]);
    const shown = { files: 1, directories: 1, bytes: 3, conflicts: 0, ignored: 0 };
    const { pendingOperations, ...counts } = tree.counts();
    assert.deepEqual(counts, shown);
    assert.ok(pendingOperations > 0);

    const heads = await tree.commit();
    assert.deepEqual(tree.heads(), heads);
    assert.equal(await tree.contains(heads), true);
    assert.deepEqual(lines(tree), expected);
    assert.deepEqual(tree.counts(), { ...shown, pendingOperations: 0 });
    assert.equal(tree.resolvePath('/docs')?.uid, 5);
    assert.equal(tree.pathOf(note.id), '/docs/letter');
    const { parent = '', name = '', mtime = 0n } = tree.node(note.id) ?? {};
    const named = {
      inode: note.id,
      content: 'cabc',
      size: 3,
      seat: { parent, name },
      mtimeMs: Number(mtime) / 1e6,
    };
    assert.deepEqual(tree.contents(undefined, 10), [named]);
    assert.deepEqual(tree.contents(note.id, 10), []);
    await tree.close();

    tree = await open(folder);
    assert.deepEqual(lines(tree), expected);
    assert.deepEqual(await tree.commit(), heads);
    assert.deepEqual(lines(tree), expected);
    await tree.close();
  }));

test('operations that were never handed to the document come back after a restart', () =>
  withTrees(async (folder, open) => {
    const stuck = { beforePublish: () => new Promise<void>(() => {}) };
    let tree = await open(folder);
    tree.create(ROOT, 'first', file('c1'), {});
    await tree.commit();
    await tree.close();

    tree = await open(folder, 'a', stuck);
    for (let n = 0; n < 50; n++) tree.create(ROOT, `f${n}`, file(`c${n}`), {});
    tree.unlink(ROOT, 'first');
    tree.unlink(ROOT, 'f7');
    const expected = lines(tree);
    assert.equal(expected.length, 49);
    await tree.flush();
    await tree.close();

    tree = await open(folder);
    assert.deepEqual(lines(tree), expected, 'before the document has loaded');
    await tree.commit();
    assert.deepEqual(lines(tree), expected, 'once it has them');
    assert.equal(tree.counts().pendingOperations, 0);
    await tree.close();
  }));

test('contents are durable before the document names them', () =>
  withTrees(async (folder, open) => {
    const asked: string[][] = [];
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tree = await open(folder, 'a', {
      beforePublish: (contents) => {
        asked.push(contents);
        return gate;
      },
    });
    const before = await tree.commit();
    tree.create(ROOT, 'f', file('cabc'), {});
    const committed = tree.commit();
    const first = await Promise.race([committed, new Promise((resolve) => setTimeout(resolve, 100, 'held'))]);
    assert.equal(first, 'held');
    assert.deepEqual(asked, [['cabc']]);
    assert.deepEqual(tree.heads(), before);
    release();
    assert.notDeepEqual(await committed, before);
    await tree.close();
  }));

test('two pods end with the same tree, whatever they did apart', () =>
  withTrees(async (folder, open) => {
    const a = await open(`${folder}/a`, 'a');
    const b = await open(`${folder}/b`, 'b');
    const docs = a.create(ROOT, 'docs', DIRECTORY, {});
    const shared = a.create(docs.id, 'shared', file('c0'), {});
    await a.commit();
    await exchange(a, b);
    assert.deepEqual(lines(b), lines(a));

    // Apart: both write one file, both make one name, one renames the folder, one deletes and one moves.
    const seenByB = b.node(shared.id);
    assert.ok(seenByB);
    a.setData(shared.id, { size: 2, mtime: 1n, content: 'cA' }, shared.versions);
    b.setData(shared.id, { size: 2, mtime: 2n, content: 'cB' }, seenByB.versions);
    a.create(ROOT, 'new', file('cnewA'), {});
    b.create(ROOT, 'new', file('cnewB'), {});
    a.rename(ROOT, 'docs', ROOT, 'papers');
    b.create(docs.id, 'inside', file('cin'), {});
    const changed: string[] = [];
    b.events.on('changed', ({ names }) => changed.push(...names.map(({ name }) => name)));
    await Promise.all([a.commit(), b.commit()]);
    await exchange(a, b);
    await Promise.all([a.commit(), b.commit()]);

    assert.deepEqual(lines(b), lines(a));
    const all = lines(a).join('\n');
    for (const part of ['cA', 'cB', 'cnewA', 'cnewB', '/papers/inside file cin']) {
      assert.ok(all.includes(part), `${part} is missing in\n${all}`);
    }
    assert.equal(a.counts().conflicts, 2);
    assert.deepEqual(b.counts(), a.counts());
    assert.ok(
      changed.includes('papers') && changed.includes('docs') && changed.includes('new'),
      changed.join(),
    );
  }));

test('a joiner works before its first sync, and what it did is kept', () =>
  withTrees(async (folder, open) => {
    const a = await open(`${folder}/a`, 'a');
    a.create(ROOT, 'fromA', file('cA'), {});
    await a.commit();
    const b = await open(`${folder}/b`, 'b');
    assert.deepEqual(lines(b), []);
    b.create(ROOT, 'fromB', file('cB'), {});
    assert.deepEqual(lines(b), ['/fromB file cB']);
    await exchange(a, b);
    await b.commit();
    await exchange(a, b);
    assert.deepEqual(lines(b), ['/fromA file cA', '/fromB file cB']);
    assert.deepEqual(lines(a), lines(b));
  }));

test('a write through a file opened before its creation was echoed makes no conflict', () =>
  withTrees(async (folder, open) => {
    const tree = await open(folder);
    const made = tree.create(ROOT, 'f', file(), {});
    await tree.commit();
    tree.setData(made.id, { size: 1, mtime: 1n, content: 'c1' }, made.versions);
    assert.deepEqual(lines(tree), ['/f file c1']);
    const second = tree.node(made.id);
    await tree.commit();
    assert.deepEqual(lines(tree), ['/f file c1']);
    tree.setData(made.id, { size: 1, mtime: 1n, content: 'c2' }, second?.versions ?? []);
    await tree.commit();
    assert.deepEqual(lines(tree), ['/f file c2']);
    tree.unlink(ROOT, 'f');
    await tree.commit();
    assert.deepEqual(lines(tree), []);
    await tree.close();
  }));

test('a closed tree refuses, and lost+found takes nothing', () =>
  withTrees(async (folder, open) => {
    const tree = await open(folder);
    assert.throws(() => tree.create(LOST_FOUND, 'x', file(), {}), { code: 'not-found' });
    assert.throws(() => tree.setAttributes('b/00', { mode: 0 }), { code: 'not-found' });
    await tree.close();
    await tree.close();
    assert.throws(() => tree.create(ROOT, 'x', file(), {}), { code: 'closed' });
  }));

test('a damaged index is built again from the document', () =>
  withTrees(async (folder, open) => {
    const first = await open(folder);
    first.create(ROOT, 'd', DIRECTORY, {});
    first.create(ROOT, 'f', file('c1'), {});
    await first.commit();
    const expected = lines(first);
    await first.close();
    await writeFile(`${folder}/index/data.mdb`, Buffer.alloc(65_536, 0x3c));

    const states: string[] = [];
    const second = await open(folder);
    second.events.on('engine', ({ state }) => states.push(state));
    assert.deepEqual(lines(second), expected, 'it is there when the tree is');
    assert.equal(second.counts().files, 1);
    while (states.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(states, ['ready']);
    second.create(ROOT, 'g', file('c2'), {});
    await second.commit();
    assert.equal(lines(second).length, 3);
  }));

test('many changes from elsewhere hold nobody up for long', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`, 'a'), await open(`${folder}/b`, 'b')];
    for (let n = 0; n < 2_000; n++) a.create(ROOT, `f${n}`, file(`c${n}`), {});
    await a.commit();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    let told = 0;
    b.events.on('changed', ({ names, everything }) => {
      told += everything ? 2_000 : names.length;
    });
    delay.enable();
    const started = process.cpuUsage();
    await exchange(a, b);
    while (b.counts().files < 2_000) await new Promise((resolve) => setTimeout(resolve, 10));
    delay.disable();
    const { user, system } = process.cpuUsage(started);
    assert.ok(told >= 2_000, `told of ${told} names`);
    // On a machine that others use too, what counts is that the loop was free most of the time.
    const longest = delay.max / 1e6;
    assert.ok(longest < 50 + (user + system) / 1e3 / 4, `held up for ${longest} ms`);
  }));

test('a losing value that was opened can be written after somebody else made it a file of its own', () =>
  withTrees(async (folder, open) => {
    const [a, b] = [await open(`${folder}/a`, 'a'), await open(`${folder}/b`, 'b')];
    const made = a.create(ROOT, 'f', file('c0'), {});
    await a.commit();
    await exchange(a, b);
    for (const tree of [a, b]) {
      const { versions } = tree.node(made.id) ?? assert.fail('not there');
      tree.setData(made.id, { size: 2, mtime: 1n, content: tree === a ? 'cA' : 'cB' }, versions);
      await tree.commit();
    }
    await exchange(a, b);
    const loser = a.list(ROOT, undefined, 10).find(({ name }) => name.includes('conflict'));
    const opened = a.node(loser?.inode ?? '') ?? assert.fail('no conflict is shown');
    assert.equal(opened.conflictOf, made.id);
    const winner = b.node(made.id) ?? assert.fail('not there');
    b.setData(made.id, { size: 2, mtime: 2n, content: 'cC' }, winner.versions);
    await b.commit();
    await exchange(a, b);
    assert.equal(a.node(opened.id)?.name, opened.name, 'it is still found by the id it was opened with');
    const written = a.setData(opened.id, { size: 2, mtime: 3n, content: 'cD' }, opened.versions);
    assert.notEqual(written.id, opened.id);
    await a.commit();
    await exchange(a, b);
    assert.deepEqual(lines(a).sort(), [`/${opened.name} file cD`, '/f file cC'].sort());
    assert.deepEqual(lines(b), lines(a));
  }));

test('what keeps operations from the document is told, and that it is over', () =>
  withTrees(async (folder, open) => {
    let fails = false;
    const beforePublish = async () => {
      if (fails) throw new Error('no space for chunks');
    };
    const tree = await open(folder, 'a', { beforePublish });
    await tree.commit();
    const told: string[] = [];
    tree.events.on('engine', ({ state, reason }) => {
      told.push(`${state} ${reason ?? ''}`.trim());
      fails = false;
    });
    fails = true;
    tree.create(ROOT, 'f', file('c1'), {});
    await tree.commit();
    assert.ok(told.includes('failed no space for chunks'), told.join());
    assert.equal(told.at(-1), 'ready');
  }));

test('a batch makes folders and what is in them as one operation, all or nothing', () =>
  withTrees(async (folder, open) => {
    const tree = await open(folder);
    const entry = (parent: string | number, name: string, data: NewEntry['data'] = file('c1')) => {
      return { parent, name, data, attributes: {} };
    };
    const many = Array.from({ length: 200 }, (_, i) => entry(1, `f${i}`));
    const made = tree.createMany([
      { ...entry(ROOT, 'top', DIRECTORY), attributes: { uid: 7 } },
      entry(0, 'below', DIRECTORY),
      ...many,
    ]);
    assert.equal(made.length, 202);
    assert.equal(tree.node(made[0] ?? '')?.uid, 7);
    assert.equal(tree.pathOf(made[2] ?? ''), '/top/below/f0');
    assert.equal(tree.counts().pendingOperations, 1);
    for (const [refused, code] of [
      [[entry(ROOT, 'x'), entry(ROOT, 'top')], 'exists'],
      [[entry(ROOT, 'x'), entry(ROOT, 'x')], 'exists'],
      [[entry(ROOT, 'x'), entry(0, 'y')], 'not-a-directory'],
      [[entry(1, 'y'), entry(ROOT, 'x', DIRECTORY)], 'not-a-directory'],
      [[entry(ROOT, 'x'), entry(ROOT, 'a/b')], 'invalid'],
      [Array.from({ length: 257 }, (_, i) => entry(ROOT, `x${i}`)), 'invalid'],
    ] as const) {
      assert.throws(() => tree.createMany(refused), { code });
    }
    assert.deepEqual(
      tree.list(ROOT, undefined, 10).map(({ name }) => name),
      ['top'],
    );
    await tree.commit();
    assert.equal(lines(tree).length, 202);
    await tree.close();
    const again = await open(folder);
    assert.equal(lines(again).length, 202);
  }));

test('a folder’s time holds as often as it is set, until an entry changes', () =>
  withTrees(async (folder, open) => {
    const a = await open(`${folder}/a`);
    const b = await open(`${folder}/b`, 'b');
    const docs = a.create(ROOT, 'docs', DIRECTORY, {});
    const times = () => [a.node(docs.id)?.mtime, b.node(docs.id)?.mtime];
    const settle = async () => {
      await a.commit();
      await exchange(a, b);
      await b.commit();
    };
    a.setAttributes(docs.id, { mtime: 7n });
    await settle();
    assert.deepEqual(times(), [7n, 7n]);

    a.create(docs.id, 'one', file('c1'), {});
    await settle();
    assert.ok(times().every((time) => time !== undefined && time > 7n));
    a.setAttributes(docs.id, { mode: 0o700 });
    await settle();
    assert.ok(
      times().every((time) => time !== undefined && time > 7n),
      'a mode sets no time',
    );

    // As rsync does it: set, changed, set to the same.
    a.setAttributes(docs.id, { mtime: 7n });
    a.create(docs.id, 'two', file('c2'), {});
    a.setAttributes(docs.id, { mtime: 7n });
    assert.equal(a.node(docs.id)?.mtime, 7n);
    await settle();
    assert.deepEqual(times(), [7n, 7n]);
    a.create(docs.id, 'three', file('c3'), {});
    await settle();
    a.setAttributes(docs.id, { mtime: 7n });
    await settle();
    assert.deepEqual(times(), [7n, 7n]);
    assert.equal(b.node(docs.id)?.mode, 0o700);
  }));

test('a folder’s time set by hand holds over what is done in its folders afterwards', () =>
  withTrees(async (folder, open) => {
    const tree = await open(folder);
    const docs = tree.create(ROOT, 'docs', DIRECTORY, {});
    const inner = tree.create(docs.id, 'inner', DIRECTORY, {});
    tree.setAttributes(docs.id, { mtime: 7n });
    tree.create(inner.id, 'one', file('c1'), {});
    tree.setAttributes(inner.id, { mtime: 8n });
    assert.deepEqual([tree.node(docs.id)?.mtime, tree.node(inner.id)?.mtime], [7n, 8n]);
    await tree.commit();
    assert.deepEqual([tree.node(docs.id)?.mtime, tree.node(inner.id)?.mtime], [7n, 8n]);
  }));

test('a bulk of others comes in parts: it is seen whole at once, and every name is told', () =>
  withTrees(async (folder, open) => {
    const a = await open(`${folder}/a`);
    const b = await open(`${folder}/b`, 'b');
    const shared = a.create(ROOT, 'shared', DIRECTORY, {}).id;
    const old = a.create(shared, 'old', file('old'), {}).id;
    await a.commit();
    await exchange(a, b);
    assert.equal(b.lookup(shared, 'missing 0'), undefined);
    assert.equal(b.node(old)?.content, 'old');
    const count = LIMITS.echoEntriesMax;
    for (let at = 0; at < count; at += 256) {
      const batch = Array.from({ length: 256 }, (_, i) => ({
        name: `missing ${at + i}`,
        data: file(`c${at + i}`),
      }));
      a.createMany(batch.map((entry) => ({ ...entry, parent: shared, attributes: {} })));
    }
    a.setData(old, { size: 3, mtime: 1n, content: 'new' }, a.node(old)?.versions ?? []);
    await a.commit();

    const told: TreeEvents['changed'][] = [];
    let [seenAtFirst, contentAtFirst]: [number, string | undefined] = [0, ''];
    b.events.on('changed', (change) => {
      if (told.push(change) > 1) return;
      seenAtFirst = b.list(shared, undefined, 2 * count).length;
      contentAtFirst = b.node(old)?.content;
      assert.ok(b.lookup(shared, `missing ${count - 1}`), 'nothing that was looked for before is remembered');
    });
    await exchange(a, b);
    assert.deepEqual([seenAtFirst, contentAtFirst], [count + 1, 'new']);
    assert.ok(told.length > 2, 'in parts');
    for (const { inodes, names, of } of told) {
      assert.ok(inodes.length + names.length <= LIMITS.echoEntriesMax);
      assert.ok((of ?? 0) > 2 * count, 'each says how much there is in all');
    }
    const names = told.flatMap((change) => change.names).filter(({ parent }) => parent === shared);
    assert.equal(new Set(names.map(({ name }) => name)).size, count);
    assert.ok(names.every(({ before }) => before === null));
    assert.deepEqual(
      told.flatMap(({ contents }) => contents ?? []),
      [old],
    );
  }));
