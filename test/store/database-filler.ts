/** A process that fills a database in a folder of a small disk, and goes on when the disk is full. */
import assert from 'node:assert/strict';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WormholeError } from '../../src/base/index.js';
import { openDatabase } from '../../src/store/index.js';

const ROWS = 2_000;
const [folder = ''] = process.argv.slice(2);
const isFull = (error: unknown) => error instanceof WormholeError && error.code === 'full';
const value = Buffer.alloc(3_000, 1);

const database = openDatabase(join(folder, 'database'));
const putAll = (from: number) =>
  database.writeNow((batch) => {
    for (let row = from; row < from + ROWS; row++) batch.table('t').put(`${row}`, value);
  });
putAll(0);
const { bavail, bsize } = statfsSync(folder);
writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize));
const many = Array.from({ length: ROWS }, (_, row) => ({ table: 't', key: `more ${row}`, value }));
for (let attempt = 0; attempt < 5; attempt++) {
  await assert.rejects(database.write(many), isFull);
  assert.throws(() => putAll(ROWS), isFull);
}
assert.equal(database.table('t').count(), ROWS);
// A few rows can be removed all the same.
database.writeNow((batch) => batch.table('t').remove('0'));
await database.write([{ table: 't', key: '1' }]);
rmSync(join(folder, 'filler'));
putAll(ROWS);
assert.equal(database.table('t').count(), 2 * ROWS - 2);
await database.close();
