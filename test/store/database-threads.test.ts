import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { openDatabase } from '../../src/store/index.js';
import { inspectDatabaseFile } from '../../src/store/lmdb-inspection.js';

const writer = new URL('./database-writer.js', import.meta.url);

describe('database of several threads', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wormhole-threads-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('shows each batch whole, in the order of the commits, and those of all threads', async () => {
    const database = openDatabase(folder);
    const workers = ['a', 'b'].map(
      (name) => new Worker(writer, { workerData: { folder, name, batches: 150, from: 0 } }),
    );
    const ends = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    let running = true;
    const finished = Promise.all(ends).then(() => {
      running = false;
    });
    const table = database.table('counters');
    const seen = { a: 0, b: 0, main: 0 };
    while (running) {
      database.refresh();
      for (const name of ['a', 'b'] as const) {
        const left = Number(table.get(`${name}/left`) ?? 0);
        const right = Number(table.get(`${name}/right`) ?? 0);
        assert.equal(left, right, 'half a batch was seen');
        assert.ok(left >= seen[name], 'a commit was seen and then not');
        seen[name] = left;
      }
      seen.main++;
      const value = Buffer.from(`${seen.main}`);
      await database.write([{ table: 'counters', key: 'main', value }]);
      assert.equal(String(table.get('main')), `${seen.main}`);
    }
    await finished;
    database.refresh();
    assert.equal(String(table.get('a/left')), '150');
    assert.equal(String(table.get('b/right')), '150');
    assert.ok(seen.main > 1);
    await database.close();
    const damage = inspectDatabaseFile(join(folder, 'data.mdb'), { tables: ['counters'], long: true });
    assert.equal(damage, undefined);
  });

  it('sees what another thread committed before it was asked, without waiting for a turn of the loop', async () => {
    const database = openDatabase(folder);
    const table = database.table('counters');
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(writer, { workerData: { folder, name: 'a', batches: 20, from: 0, shared } });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    for (let seen = 0; seen < 20; ) {
      Atomics.wait(shared, 0, seen, 10_000);
      const committed = Atomics.load(shared, 0);
      assert.ok(committed > seen, 'the writer is late');
      database.refresh();
      assert.ok(Number(table.get('a/left')) >= committed);
      seen = committed;
    }
    await ended;
    await database.close();
  });

  it('loses nothing that was acknowledged when the process is killed', async () => {
    let acknowledged = 0;
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [fileURLToPath(writer), folder, `${acknowledged}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const start = acknowledged;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line);
        if (acknowledged === start + 30 + round * 7) child.kill('SIGKILL');
      }
      await ended;
      assert.ok(acknowledged >= start + 30, 'it was killed before it had done anything');
      const damage = inspectDatabaseFile(join(folder, 'data.mdb'), { tables: ['counters'], long: true });
      assert.equal(damage, undefined);
      const database = openDatabase(folder);
      const table = database.table('counters');
      const left = Number(table.get('process/left'));
      assert.ok(left >= acknowledged);
      assert.equal(left, Number(table.get('process/right')));
      assert.ok(Number(table.get('process/queued')) >= acknowledged);
      acknowledged = left;
      await database.close();
    }
  });
});
