/** The document in its thread, with the real index, log and database: what the tree builds upon. */
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { silentLog, WormholeError } from '../../../src/base/index.js';
import type { EngineClient, EngineEvents, EngineOptions } from '../../../src/tree/engine/client.js';
import { encodeSnapshot } from '../../../src/tree/engine/snapshot.js';
import { startEngine } from '../../../src/tree/engine/start.js';
import type { Operation } from '../../../src/tree/schema.js';
import { created, NETWORK, operation, podId, withFolder } from './rig.js';

interface Started {
  engine: EngineClient;
  echoes: EngineEvents['echo'][];
  changes: Uint8Array[];
  states: string[];
}

const running: EngineClient[] = [];
afterEach(async () => {
  for (const engine of running.splice(0)) await engine.close();
});

function start(folder: string, options: Partial<EngineOptions> = {}): Started {
  const engine = startEngine({
    folder: join(folder, 'document'),
    database: join(folder, 'index'),
    podId: podId('aa'),
    podName: 'pod-aa',
    network: NETWORK,
    founder: true,
    log: silentLog,
    ...options,
  });
  running.push(engine);
  const started: Started = { engine, echoes: [], changes: [], states: [] };
  engine.events.on('echo', (echo) => started.echoes.push(echo));
  engine.events.on('changes', ({ changes }) => started.changes.push(...changes));
  engine.events.on('state', ({ state }) => started.states.push(state));
  return started;
}

function files(from: number, to: number): Operation[] {
  return Array.from({ length: to - from + 1 }, (_, i) => {
    const n = from + i;
    const inode = `b${Math.floor(n / 256)}/${(n % 256).toString(16).padStart(2, '0')}`;
    return operation(n, [created(inode, `file-${n}`, `c${n}`)], 0);
  });
}

/** The thread itself: a test may kill it, nobody else. */
function threadOf(engine: EngineClient): Worker {
  return (engine as unknown as { worker: Worker }).worker;
}

const hasCode = (code: string) => (error: unknown) => error instanceof WormholeError && error.code === code;

test('operations given before the thread is ready are committed in groups, echoed and durable', () =>
  withFolder(async (folder) => {
    const { engine, echoes, changes, states } = start(folder);
    engine.apply(files(1, 600));
    assert.equal(engine.pending, 600);
    const heads = await engine.commit();
    assert.deepEqual(engine.heads(), heads);
    assert.equal(heads.length, 1);
    assert.equal(engine.pending, 0);
    assert.equal(echoes.at(-1)?.seq, 600);
    const names = new Set(echoes.flatMap(({ change }) => change.names.map(({ name }) => name)));
    assert.equal(names.size, 600);
    assert.ok(changes.length <= 8, `${changes.length} changes: they were not grouped`);
    assert.deepEqual(states, ['ready']);
    await engine.close();
    engine.apply(files(601, 601));
    await assert.rejects(engine.commit(), hasCode('closed'));
  }));

test('a close applies what is queued; the next start knows it', () =>
  withFolder(async (folder) => {
    const first = start(folder);
    await first.engine.ready;
    first.engine.apply(files(1, 3));
    await first.engine.close();
    const second = start(folder);
    assert.equal((await second.engine.ready).appliedSeq, 3);
    second.engine.apply(files(1, 4));
    await second.engine.commit();
    assert.equal(second.echoes.at(-1)?.seq, 4);
    assert.deepEqual(second.echoes.at(-1)?.change.names, [
      { parent: 'root/0', name: 'file-4', before: null },
    ]);
    await second.engine.close();
  }));

test('two pods: push, sync, acknowledge', () =>
  withFolder(async (folder) => {
    const a = start(join(folder, 'a'));
    const b = start(join(folder, 'b'), { founder: false, podId: podId('bb'), podName: 'pod-bb' });
    assert.deepEqual((await b.engine.ready).heads, []);
    b.engine.apply([operation(1, [created('bb/00', 'early', 'c')], 0)]);
    a.engine.apply(files(1, 5));
    await a.engine.commit();
    await converse(a.engine, b.engine);
    await b.engine.commit();
    await converse(a.engine, b.engine);
    assert.deepEqual(a.engine.heads(), b.engine.heads());
    assert.deepEqual(b.states, ['waiting', 'ready']);
    const before = a.changes.length;
    a.engine.apply(files(6, 6));
    const heads = await a.engine.commit();
    assert.equal(await b.engine.contains(heads), false);
    assert.deepEqual(await b.engine.applyChanges(a.changes.slice(before)), heads);
    assert.equal(await b.engine.contains(heads), true);
    assert.deepEqual(b.echoes.at(-1)?.change.names, [{ parent: 'root/0', name: 'file-6', before: null }]);
    assert.equal(b.echoes.at(-1)?.remote, true);
    await assert.rejects(b.engine.applyChanges([new Uint8Array(9)]), hasCode('protocol'));
    await assert.rejects(b.engine.receive('aa', new Uint8Array(9)), hasCode('protocol'));
    await b.engine.disconnect('aa');
    assert.equal(await a.engine.snapshotForPeer(), undefined);
    await a.engine.close();
    await b.engine.close();
  }));

test('a thread that dies is started again, and every operation is in the document once', () =>
  withFolder(async (folder) => {
    const { engine, echoes, states } = start(folder);
    await engine.ready;
    engine.apply(files(1, 300));
    await engine.commit();
    engine.apply(files(301, 900));
    // Many: a thread that is quick, on a machine that is slow, may have answered the first.
    const asked = Array.from({ length: 500 }, () => engine.contains(['00'.repeat(32)]));
    const killed = threadOf(engine).terminate();
    const answers = await Promise.allSettled(asked);
    const refusals = answers.filter((answer) => answer.status === 'rejected').map(({ reason }) => reason);
    assert.ok(refusals.length > 0);
    for (const refusal of refusals) assert.ok(hasCode('closed')(refusal));
    await killed;
    engine.apply(files(901, 1000));
    await engine.commit();
    assert.equal(echoes.at(-1)?.seq, 1000);
    assert.ok(states.includes('failed'));
    assert.equal(states.at(-1), 'ready');
    await engine.close();
    const again = start(folder);
    assert.equal((await again.engine.ready).appliedSeq, 1000);
    assert.equal((await again.engine.ready).condition, undefined);
    await again.engine.close();
  }));

test('a store of a newer version is refused, for good', () =>
  withFolder(async (folder) => {
    const first = start(folder);
    first.engine.apply(files(1, 1));
    await first.engine.commit();
    await first.engine.close();
    const newer = encodeSnapshot({
      header: { heads: [], seq: 0, log: 'changes-0', logNext: 0, own: { actors: [], groups: [] } },
      document: new Uint8Array(),
    });
    newer[7] = 9;
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256').update(newer.subarray(0, -32)).digest();
    await writeFile(join(folder, 'document', 'snapshot'), Buffer.concat([newer.subarray(0, -32), digest]));
    const { engine, states } = start(folder);
    await assert.rejects(engine.ready, hasCode('newer-format'));
    assert.equal(states.at(-1), 'failed');
    engine.apply(files(2, 2));
    await assert.rejects(engine.commit(), hasCode('newer-format'));
    await assert.rejects(engine.contains([]), hasCode('closed'));
    await engine.close();
  }));

test('a damaged log is reported, and work goes on', () =>
  withFolder(async (folder) => {
    const first = start(folder);
    first.engine.apply(files(1, 1));
    await first.engine.commit();
    first.engine.apply(files(2, 2));
    await first.engine.commit();
    await first.engine.close();
    const log = join(folder, 'document', 'changes-0');
    const { readdir } = await import('node:fs/promises');
    const path = join(log, (await readdir(log))[0] ?? '');
    const bytes = await readFile(path);
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await cp(join(folder, 'document'), join(folder, 'before'), { recursive: true });
    const { engine } = start(folder);
    const { condition, appliedSeq } = await engine.ready;
    assert.equal(condition?.kind, 'damaged');
    assert.equal(appliedSeq, 0);
    assert.deepEqual(await readFile(path), bytes, 'the damaged log stays for whoever wants to look');
    await engine.close();
  }));

test('a stop while the document loads is clean', () =>
  withFolder(async (folder) => {
    const { engine } = start(folder);
    engine.apply(files(1, 10));
    await engine.close();
    const again = start(folder);
    assert.equal((await again.engine.ready).appliedSeq, 10);
    await again.engine.close();
    await again.engine.close();
  }));

async function converse(a: EngineClient, b: EngineClient): Promise<void> {
  for (let quiet = 0; quiet < 2; ) {
    quiet = 0;
    for (const [from, to, by, of] of [
      [a, b, 'aa', 'bb'],
      [b, a, 'bb', 'aa'],
    ] as const) {
      const message = await from.generate(of);
      if (message === undefined) quiet++;
      else await to.receive(by, message);
    }
  }
}
