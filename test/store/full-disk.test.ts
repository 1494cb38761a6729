import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WormholeError } from '../../src/base/index.js';
import { type Database, openDatabase, openRecordLog, openStore } from '../../src/store/index.js';
import { withSmallDisk } from './tmpfs.js';

const filler = fileURLToPath(new URL('./database-filler.js', import.meta.url));
const mebibyte = 1024 * 1024;
const isFull = (error: unknown) => error instanceof WormholeError && error.code === 'full';

async function fill(folder: string, leaveBytes: number): Promise<string> {
  const { bavail, bsize } = await statfs(folder);
  const path = join(folder, 'filler');
  await writeFile(path, Buffer.alloc(bavail * bsize - leaveBytes));
  return path;
}

describe('a full disk', () => {
  it('refuses a batch, harms nothing, and takes batches again when there is space', async (context) => {
    const reason = await withSmallDisk(8 * mebibyte, async (folder) => {
      const database = openDatabase(join(folder, 'database'));
      const value = Buffer.alloc(100_000, 1);
      database.writeNow((batch) => batch.table('t').put('kept', value));
      const filler = await fill(folder, 2 * mebibyte);
      let stored = 0;
      assert.throws(() => {
        for (; ; stored++) database.writeNow((batch) => batch.table('t').put(`k${stored}`, value));
      }, isFull);
      assert.ok(stored > 5);
      const large = [{ table: 't', key: 'large', value: Buffer.alloc(500_000) }];
      await assert.rejects(database.write(large), isFull);
      await Promise.all([
        assert.rejects(database.write(large), isFull),
        assert.rejects(database.write(large), isFull),
      ]);
      assert.deepEqual(Buffer.from(database.table('t').get('kept') ?? []), value);
      assert.equal(database.table('t').count(), stored + 1);
      database.writeNow((batch) => batch.table('t').remove('k0'));
      await database.write([{ table: 't', key: 'k1' }]);
      await rm(filler);
      await goesOn(database, value, stored - 1);
      await database.close();
      const again = openDatabase(join(folder, 'database'));
      assert.equal(again.table('t').count(), stored + 1);
      await again.close();
    });
    if (reason !== undefined) context.skip(reason);
  });

  // When a write of LMDB's own fails, it says so on stderr, and spoils memory.
  it('refuses batches in a large file before LMDB writes them', async (context) => {
    const reason = await withSmallDisk(48 * mebibyte, async (folder) => {
      const child = spawn(process.execPath, [filler, folder], { stdio: ['ignore', 'inherit', 'pipe'] });
      const said: Buffer[] = [];
      child.stderr.on('data', (bytes: Buffer) => said.push(bytes));
      const [code, signal] = await once(child, 'close');
      assert.deepEqual([code ?? signal, Buffer.concat(said).toString()], [0, '']);
    });
    if (reason !== undefined) context.skip(reason);
  });

  async function goesOn(database: Database, value: Buffer, count: number) {
    assert.equal(database.table('t').count(), count);
    database.writeNow((batch) => batch.table('t').put('after', value));
    await database.write([{ table: 't', key: 'after too', value }]);
    assert.equal(database.table('t').count(), count + 2);
  }

  it('refuses a record, and takes records again when there is space', async (context) => {
    const reason = await withSmallDisk(2 * mebibyte, async (folder) => {
      const { log } = await openRecordLog(join(folder, 'log'), { segmentBytes: 300_000 });
      const filler = await fill(folder, mebibyte);
      const appendAll = () => {
        for (;;) log.append(Buffer.alloc(5000, log.next));
      };
      assert.throws(appendAll, isFull);
      const count = log.next;
      assert.throws(() => log.append(Buffer.alloc(50_000)), isFull);
      await log.sync();
      await log.dropBefore(10);
      await rm(filler);
      assert.equal(log.append(Buffer.alloc(50_000)), count);
      await log.close();
      const again = await openRecordLog(join(folder, 'log'));
      assert.equal(again.condition.tornBytes, 0);
      const records = [...again.log.read(0)];
      assert.equal(records.at(-1)?.number, count);
      assert.ok(
        records
          .slice(0, -1)
          .every(({ number, record }) => record.length === 5000 && record[9] === number % 256),
      );
      await again.log.close();
    });
    if (reason !== undefined) context.skip(reason);
  });

  it('lets nothing be made, whatever is left, and says so', async (context) => {
    for (const left of [0, 4096, 12_288, 40_960, 200_000]) {
      const reason = await withSmallDisk(2 * mebibyte, async (folder) => {
        await fill(folder, left);
        const opened = await openStore(join(folder, 'store')).catch((error) => assert.ok(isFull(error)));
        opened?.close();
        assert.throws(() => openDatabase(join(folder, 'database')), isFull);
        await rm(join(folder, 'filler'));
        const database = openDatabase(join(folder, 'database'));
        database.writeNow((batch) => batch.table('t').put('a', Buffer.from('1')));
        await database.close();
        (await openStore(join(folder, 'store'))).close();
      });
      if (reason !== undefined) return context.skip(reason);
    }
  });
});
