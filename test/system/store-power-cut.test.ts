import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openDatabase, openRecordLog } from '../../src/store/index.js';

const run = promisify(execFile);
const writer = fileURLToPath(new URL('./store-writer.js', import.meta.url));
const rounds = 8;
const imageBytes = 64 * 1024 * 1024;

async function mount(image: string, folder: string): Promise<void> {
  await run('mount', ['-o', 'loop', image, folder]);
}

// The store lies on a disk that is a file. When its writer is killed and the file is copied as it stands, the
// copy has what the disk had, and nothing of what was only in the page cache.
describe('a store after a power cut', () => {
  it('has all that was acknowledged, and is whole', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'wormhole-power-'));
    const [image, copy, disk, restored] = ['image', 'copy', 'disk', 'restored'].map((name) =>
      join(folder, name),
    ) as [string, string, string, string];
    await mkdir(disk);
    await mkdir(restored);
    await writeFile(image, '');
    await truncate(image, imageBytes);
    await run('mkfs.ext4', ['-q', '-F', image]);
    try {
      await mount(image, disk);
    } catch (error) {
      await rm(folder, { recursive: true });
      return context.skip(
        `no loop mount here: ${String((error as { stderr?: unknown }).stderr ?? error).trim()}`,
      );
    }
    try {
      let next = 0;
      for (let round = 0; round < rounds; round++) {
        const acknowledged = await writeUntilKilled(disk, next, 20 + round * 13);
        assert.ok(acknowledged > next, 'nothing was acknowledged before the cut');
        await copyFile(image, copy);
        await mount(copy, restored);
        try {
          await check(restored, acknowledged);
        } finally {
          await run('umount', ['-l', restored]);
        }
        next = await check(disk, acknowledged);
      }
    } finally {
      await run('umount', ['-l', disk]);
      await rm(folder, { recursive: true });
    }
  });
});

/** @returns the last number that the writer said it had made durable */
async function writeUntilKilled(disk: string, from: number, after: number): Promise<number> {
  const child = spawn(process.execPath, [writer, disk, `${from}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let acknowledged = from;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = Number(line);
    if (acknowledged >= from + after) child.kill('SIGKILL');
  }
  await ended;
  return acknowledged;
}

/** Reads everything. @returns the number that comes next */
async function check(disk: string, acknowledged: number): Promise<number> {
  const database = openDatabase(join(disk, 'database'));
  const rows = [...database.table('rows').range({})];
  assert.ok(rows.length >= acknowledged, `${rows.length} rows of ${acknowledged}`);
  for (const [index, { key, value }] of rows.entries()) {
    assert.equal(key, String(index).padStart(8, '0'));
    assert.deepEqual(Buffer.from(value), Buffer.alloc(100 + (index % 5000), index));
  }
  assert.equal(Number(database.table('state').get('count')), rows.length);
  await database.close();
  const { log, condition } = await openRecordLog(join(disk, 'log'));
  assert.equal(condition.damagedAt, undefined);
  const records = [...log.read(0)];
  assert.ok(records.length >= acknowledged, `${records.length} records of ${acknowledged}`);
  for (const [index, { record }] of records.entries()) {
    assert.deepEqual(Buffer.from(record), Buffer.alloc(100 + (index % 5000), index));
  }
  await log.close();
  return rows.length;
}
