import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { WormholeError } from '../../../src/base/index.js';
import { openRecordLog, systemLogDisk } from '../../../src/store/open-record-log.js';
import { automerge } from '../../../src/tree/engine/automerge.js';
import { encodeChangeRecord } from '../../../src/tree/engine/change-record.js';
import { loadDocument } from '../../../src/tree/engine/load.js';
import type { Heads } from '../../../src/tree/schema.js';
import {
  converse,
  created,
  file,
  MemoryIndexer,
  NETWORK,
  openPod,
  operation,
  type Pod,
  withFolder,
} from './rig.js';

const ACTOR = 'cc'.repeat(10);

/** Writes files `one/00`, `one/01`, … as one operation each. */
function write(pod: Pod, ...numbers: number[]): void {
  for (const n of numbers) pod.apply(created(`one/${n.toString(16).padStart(2, '0')}`, `file-${n}`, `c${n}`));
}

/** What a crash of the process leaves: the files as they are now. */
async function crash(folder: string, to: string): Promise<void> {
  await cp(join(folder, 'document'), join(to, 'document'), { recursive: true });
}

async function logFile(folder: string, log = 'changes-0'): Promise<string> {
  const names = (await readdir(join(folder, 'document', log))).sort();
  return join(folder, 'document', log, names.at(-1) ?? '');
}

test('what was applied survives the death of the process, once', () =>
  withFolder(async (folder) => {
    const pod = await openPod(join(folder, 'a'));
    write(pod, 1, 2, 3);
    await crash(join(folder, 'a'), join(folder, 'b'));
    const again = await openPod(join(folder, 'b'));
    assert.equal(again.engine.appliedSeq, 3);
    assert.deepEqual(again.engine.durable, { heads: (await settled(pod)).heads, seq: 3 });
    assert.equal(again.engine.condition, undefined);
    // The journal hands over what it has, from the beginning: nothing of it goes in twice.
    again.engine.apply([1, 2, 3].map((n) => operation(n, [created(`one/0${n}`, `file-${n}`, `c${n}`)])));
    assert.deepEqual((await settled(again)).heads, pod.engine.durable.heads);
    await pod.close();
    await again.close();
  }));

test('the document is the same after a clean stop, with and without a snapshot', () =>
  withFolder(async (folder) => {
    let pod = await openPod(folder);
    write(pod, 1);
    for (const snapshot of [false, true, false, true]) {
      write(pod, pod.engine.appliedSeq + 1);
      if (snapshot) await pod.engine.snapshot();
      write(pod, pod.engine.appliedSeq + 1);
      const { heads, seq } = await settled(pod);
      const rows = [...pod.indexer.reader.all()]
        .map(({ inode }) => inode)
        .map((inode) => [inode, pod.read(inode)]);
      await pod.close();
      pod = await openPod(folder);
      assert.deepEqual(pod.engine.durable, { heads, seq });
      assert.equal(pod.engine.condition, undefined);
      assert.deepEqual(
        [...pod.indexer.reader.all()].map(({ inode }) => inode).map((inode) => [inode, pod.read(inode)]),
        rows,
      );
    }
    await pod.close();
  }));

test('a crash between a snapshot and the dropping of its records loses and doubles nothing', () =>
  withFolder(async (folder) => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    const pod = await openPod(a);
    write(pod, 1, 2);
    await crash(a, b); // the log with all records
    await pod.engine.snapshot();
    await cp(join(a, 'document', 'snapshot'), join(b, 'document', 'snapshot'));
    write(pod, 3);
    const again = await openPod(b);
    assert.equal(again.engine.condition, undefined);
    assert.equal(again.engine.appliedSeq, 2);
    again.apply(created('one/03', 'file-3', 'c3'));
    assert.equal((await settled(again)).seq, 3);
    await again.close();
    await pod.close();
  }));

test('a log that lost its end to a power cut, after a snapshot, goes on where the snapshot ends', () =>
  withFolder(async (folder) => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    const pod = await openPod(a);
    write(pod, 1);
    await pod.engine.settle();
    await crash(a, b);
    write(pod, 2, 3);
    await pod.engine.snapshot();
    await cp(join(a, 'document', 'snapshot'), join(b, 'document', 'snapshot'));
    let again = await openPod(b);
    assert.equal(again.engine.appliedSeq, 3);
    write(again, 4);
    const { heads } = await settled(again);
    await again.close();
    again = await openPod(b);
    assert.equal(again.engine.appliedSeq, 4, 'the record after the snapshot was not skipped');
    assert.deepEqual(again.engine.durable.heads, heads);
    await again.close();
    await pod.close();
  }));

test('flipped, cut and zeroed logs load a whole prefix, and say when something is gone', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    const prefixes: Heads[] = [[], (await settled(pod)).heads];
    for (let n = 1; n <= 3; n++) {
      write(pod, n);
      prefixes.push((await settled(pod)).heads);
    }
    await pod.close();
    const path = await logFile(folder);
    const whole = await readFile(path);
    const known = new Set(prefixes.map((heads) => heads.join()));
    let said = 0;
    for (let at = 0; at < whole.length; at += 97) {
      for (const damage of ['flip', 'cut', 'zero'] as const) {
        const broken = damage === 'cut' ? whole.subarray(0, at) : Buffer.from(whole);
        if (damage === 'flip') broken[at] = (broken[at] ?? 0) ^ 16;
        if (damage === 'zero') broken.fill(0, at, Math.min(at + 40, broken.length));
        const target = join(folder, 'broken');
        await rm(target, { recursive: true, force: true });
        await cp(join(folder, 'document'), target, { recursive: true });
        await writeFile(path.replace(join(folder, 'document'), target), broken);
        const loaded = await loadDocument(target, ACTOR, { network: NETWORK });
        const heads = loaded.document.heads();
        assert.ok(known.has(heads.join()), `${damage} at ${at} gave a tree that never was`);
        if (loaded.condition !== undefined) said++;
        await loaded.log.close();
        loaded.document.free();
        // The second start finds a sound store again.
        const second = await loadDocument(target, ACTOR, { network: NETWORK });
        assert.deepEqual(second.document.heads(), heads);
        assert.equal(second.condition, undefined);
        await second.log.close();
        second.document.free();
      }
    }
    assert.ok(said > 0, 'damage before the tail was never reported');
  }));

test('a record that is not in the log, although all others are sound, is missed: the heads tell', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    write(pod, 1);
    await pod.close();
    const lost = 'ab'.repeat(32);
    const { log } = await openRecordLog(join(folder, 'document', 'changes-0'));
    log.append(encodeChangeRecord({ changes: [], seq: 1, heads: [lost] }));
    await log.close();
    const again = await openPod(folder);
    assert.equal(again.engine.condition?.kind, 'damaged');
    assert.ok(again.engine.condition?.missing.includes(lost));
    assert.equal(again.read('one/01')?.l[0]?.value.name, 'file-1');
    await again.close();
  }));

test('a flipped snapshot is noticed, set aside, and what is missing comes back from a peer', () =>
  withFolder(async (folder) => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    const pod = await openPod(a);
    const peer = await openPod(b, { name: 'bb' });
    write(pod, 1, 2, 3);
    await pod.engine.snapshot();
    write(pod, 4);
    await converse(pod, peer);
    const { heads } = pod.engine.durable;
    const { indexer } = pod;
    await pod.close();
    const path = join(a, 'document', 'snapshot');
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const again = await openPod(a, { indexer });
    assert.equal(again.engine.condition?.kind, 'damaged');
    assert.ok((again.engine.condition?.missing.length ?? 0) > 0);
    assert.equal(again.engine.founded, false, 'a founder never begins a second document');
    assert.equal(await again.engine.contains(again.engine.condition?.missing ?? []), false);
    await converse(again, peer);
    assert.deepEqual(again.engine.durable.heads, heads);
    assert.equal(await again.engine.contains(again.engine.condition?.missing ?? []), true);
    assert.ok((await readdir(join(a, 'document'))).some((name) => name.startsWith('snapshot.damaged-')));
    await again.close();
    await peer.close();
  }));

test('a document that is behind its index says so, and the index follows the document', () =>
  withFolder(async (folder) => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    const pod = await openPod(a);
    write(pod, 1);
    await pod.engine.settle();
    await crash(a, b);
    write(pod, 2);
    const { heads } = await settled(pod);
    await pod.close();
    const again = await openPod(b, { indexer: pod.indexer });
    assert.equal(again.engine.condition?.kind, 'behind');
    assert.deepEqual(again.engine.condition?.missing, heads);
    assert.equal(again.indexer.calls.at(-1)?.kind, 'rebuild');
    assert.deepEqual([...again.indexer.rows.keys()], ['one/01']);
    assert.equal(again.engine.appliedSeq, 1, 'the journal has the rest');
    await again.close();
  }));

test('an index that is behind is brought up with what is new, not built anew', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    write(pod, 1, 2);
    const indexer = new MemoryIndexer();
    indexer.stamped = { ...pod.indexer.stamped };
    for (const [inode, row] of pod.indexer.rows) indexer.rows.set(inode, row);
    write(pod, 3);
    pod.apply({
      inode: 'one/01',
      d: file('later'),
      replaces: pod.read('one/01')?.d.map(({ id }) => id) ?? [],
    });
    await pod.close();
    const again = await openPod(folder, { indexer });
    assert.deepEqual(indexer.calls, [{ kind: 'update', touched: ['one/03', 'one/01'] }]);
    assert.deepEqual(indexer.rows.get('one/01')?.d[0]?.value.content, 'later');
    assert.deepEqual(indexer.stamp(), again.engine.durable);
    assert.equal(again.events.filter(({ name }) => name === 'echo').length, 1, 'the main thread hears of it');
    await again.close();
  }));

test('an index that does not take the changes is built anew', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    write(pod, 1);
    const indexer = new MemoryIndexer();
    indexer.stamped = { ...pod.indexer.stamped };
    write(pod, 2);
    await pod.close();
    indexer.failWith = new RangeError('a row that nobody understands');
    const again = await openPod(folder, { indexer });
    assert.deepEqual([...indexer.rows.keys()], ['one/01', 'one/02']);
    assert.deepEqual(indexer.stamp(), again.engine.durable);
    await again.close();
  }));

test('a store put back from a backup neither wedges sync nor undoes what was done since', () =>
  withFolder(async (folder) => {
    const [a, b, backup] = ['a', 'b', 'backup'].map((name) => join(folder, name)) as [string, string, string];
    let pod = await openPod(a);
    const peer = await openPod(b, { name: 'bb' });
    write(pod, 1);
    await converse(pod, peer);
    await pod.engine.disconnect('peer-b');
    await crash(a, backup);
    write(pod, 2);
    await converse(pod, peer);
    await pod.close();
    await rm(join(a, 'document'), { recursive: true });
    await crash(backup, a);
    pod = await openPod(a); // with the database that knows what the peer had
    pod.apply(created('new/00', 'after the restore'));
    await converse(pod, peer);
    assert.deepEqual([...pod.indexer.reader.all()].map(({ inode }) => inode).sort(), [
      'new/00',
      'one/01',
      'one/02',
    ]);
    assert.deepEqual(pod.engine.durable.heads, peer.engine.durable.heads);
    await pod.close();
    await peer.close();
  }));

test('a full disk stops nothing for good and loses nothing', () =>
  withFolder(async (folder) => {
    let full = false;
    const disk: typeof systemLogDisk = {
      ...systemLogDisk,
      write: (...parts) => {
        if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        return systemLogDisk.write(...parts);
      },
    };
    const pod = await openPod(folder, { disk });
    write(pod, 1);
    await pod.engine.settle();
    const before = pod.engine.durable;
    full = true;
    const isFull = (error: unknown) => error instanceof WormholeError && error.code === 'full';
    assert.throws(() => write(pod, 2), isFull);
    assert.equal(pod.engine.stalled, true);
    assert.equal(pod.indexer.rows.has('one/02'), false, 'the index is not ahead of the log');
    await assert.rejects(pod.engine.settle(), isFull);
    await assert.rejects(pod.engine.generate('peer'), isFull, 'a peer must not hear of it');
    assert.deepEqual(pod.engine.durable, before);
    full = false;
    pod.engine.retry();
    assert.equal(pod.engine.stalled, false);
    assert.equal((await settled(pod)).seq, 2);
    assert.ok(pod.indexer.rows.has('one/02'));
    pod.indexer.failWith = new WormholeError('full', 'the disk is full');
    assert.throws(() => write(pod, 3), isFull);
    pod.indexer.failWith = undefined;
    write(pod, 4);
    assert.deepEqual([...pod.indexer.rows.keys()], ['one/01', 'one/02', 'one/03', 'one/04']);
    await pod.close();
    const again = await openPod(folder);
    assert.equal(again.engine.appliedSeq, 4);
    await again.close();
  }));

test('a failed fsync is never answered as durable', () =>
  withFolder(async (folder) => {
    let broken = false;
    const disk: typeof systemLogDisk = {
      ...systemLogDisk,
      sync: (fd) =>
        broken ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : systemLogDisk.sync(fd),
    };
    const pod = await openPod(folder, { disk });
    write(pod, 1);
    await pod.engine.settle();
    const before = pod.engine.durable;
    broken = true;
    write(pod, 2);
    const isIo = (error: unknown) => error instanceof WormholeError && error.code === 'io';
    await assert.rejects(pod.engine.settle(), isIo);
    broken = false;
    await assert.rejects(pod.engine.settle(), isIo, 'nor later');
    assert.deepEqual(pod.engine.durable, before);
    assert.equal(pod.sent.length, 2, 'no peer heard of it');
    await pod.close().catch(() => {});
  }));

test('new files of which only the empty log came to be before a crash are not taken for the document', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    write(pod, 1, 2);
    const { heads } = await settled(pod);
    await pod.close();
    await (await openRecordLog(join(folder, 'document', 'changes-1'))).log.close();
    for (const anew of [false, true, false]) {
      const again = await openPod(folder, { anew });
      assert.deepEqual(again.engine.durable, { heads, seq: 2 });
      assert.equal(again.engine.condition, undefined);
      await again.close();
    }
  }));

test('after a failed fsync the document goes on in new files', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    write(pod, 1, 2);
    const { heads } = await settled(pod);
    await pod.close();
    const old = await logFile(folder);
    const again = await openPod(folder, { anew: true });
    assert.deepEqual(again.engine.durable, { heads, seq: 2 });
    assert.equal(again.engine.condition, undefined);
    const before = await readFile(old);
    write(again, 3);
    await again.close();
    assert.deepEqual(await readFile(old), before);
    assert.ok((await readFile(await logFile(folder, 'changes-1'))).length > 0);
    const third = await openPod(folder);
    assert.equal(third.engine.appliedSeq, 3);
    await third.close();
  }));

test('a large remote batch that a crash cut in the middle is a prefix, without complaint', () =>
  withFolder(async (folder) => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name)) as [string, string, string];
    const pod = await openPod(a);
    for (let n = 0; n < 2500; n++)
      pod.apply({ inode: 'one/00', ...location(n), d: file(`c${n}`), replaces: [] });
    await pod.engine.settle();
    const peer = await openPod(b, { name: 'bb' });
    await peer.engine.applyChanges(pod.sent);
    await crash(b, c);
    const path = await logFile(c);
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, Math.floor(bytes.length * 0.7)));
    const cut = await openPod(c, { name: 'bb' });
    assert.equal(cut.engine.condition, undefined);
    assert.ok(cut.engine.founded && !(await cut.engine.contains(pod.engine.durable.heads)));
    await cut.engine.applyChanges(pod.sent);
    assert.deepEqual(cut.engine.durable.heads, pod.engine.durable.heads);
    for (const each of [pod, peer, cut]) await each.close();
  }));

test('a newer format is refused with its own code, and left alone', () =>
  withFolder(async (folder) => {
    const pod = await openPod(folder);
    write(pod, 1);
    await pod.engine.snapshot();
    await pod.close();
    const path = join(folder, 'document', 'snapshot');
    const { createHash } = await import('node:crypto');
    const bytes = await readFile(path);
    bytes[7] = 2;
    const body = bytes.subarray(0, -32);
    const newer = Buffer.concat([body, createHash('sha256').update(body).digest()]);
    await writeFile(path, newer);
    const refused = (error: unknown) => error instanceof WormholeError && error.code === 'newer-format';
    await assert.rejects(openPod(folder), refused);
    assert.deepEqual(await readFile(path), newer);
  }));

test('the same operations by the same actor give the same hashes: no clock is in them', () =>
  withFolder(async (folder) => {
    const heads: Heads[] = [];
    for (const name of ['a', 'b']) {
      const pod = await openPod(join(folder, name), { name: 'aa', seed: 4711 });
      write(pod, 1, 2);
      heads.push((await settled(pod)).heads);
      for (const change of pod.sent) assert.equal(automerge.decodeChange(change).time, 0);
      await pod.close();
    }
    assert.deepEqual(heads[0], heads[1]);
  }));

async function settled(pod: Pod): Promise<{ heads: Heads; seq: number }> {
  await pod.engine.settle();
  return pod.engine.durable;
}

function location(n: number): { l?: { parent: string; name: string } } {
  return n === 0 ? { l: { parent: 'root/0', name: 'one' } } : {};
}
