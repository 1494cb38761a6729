import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { beginUnflushed, markUnflushed, openDatabase } from '../../src/store/index.js';
import { withSmallDisk } from './tmpfs.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wormhole-unflushed-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Fills a database as a process would that dies before it closes it. */
async function leaveUnclosed(path: string): Promise<void> {
  beginUnflushed(path, ['t'], () => assert.fail('nothing to remove'));
  const database = openDatabase(path, { flushed: false });
  markUnflushed(path);
  database.writeNow((batch) => batch.table('t').put('key', Buffer.from('value')));
  await database.close();
}

function reopen(path: string): {
  removed: boolean;
  value: string | undefined;
  end: (between?: () => void) => Promise<void>;
} {
  let removed = false;
  const session = beginUnflushed(path, ['t'], () => {
    removed = true;
  });
  const database = openDatabase(path, { flushed: false });
  const value = database.table('t').get('key');
  const end = async (between = () => {}) => {
    await database.close();
    between();
    session.end();
  };
  return { removed, value: value === undefined ? undefined : Buffer.from(value).toString(), end };
}

test('after the death of the process alone, all is there', async () => {
  const path = join(folder, 'died');
  await leaveUnclosed(path);
  const again = reopen(path);
  assert.deepEqual([again.removed, again.value], [false, 'value']);
  await again.end();
});

test('after a start of the system without a close before, it is thrown away', async () => {
  const path = join(folder, 'rebooted');
  await leaveUnclosed(path);
  const mark = `${path}.session`;
  const there = JSON.parse(readFileSync(mark, 'utf8'));
  writeFileSync(mark, JSON.stringify({ ...there, boot: 'another' }));
  const again = reopen(path);
  assert.deepEqual([again.removed, again.value], [true, undefined]);
  await again.end();
});

test('a copy of one that was in use is thrown away', async () => {
  const path = join(folder, 'used');
  await leaveUnclosed(path);
  const copy = join(folder, 'copy');
  cpSync(path, copy, { recursive: true });
  cpSync(`${path}.session`, `${copy}.session`);
  const again = reopen(copy);
  assert.equal(again.removed, true);
  await again.end();
});

test('one that was closed whole is good anywhere', async () => {
  const path = join(folder, 'closed');
  await leaveUnclosed(path);
  await reopen(path).end();
  assert.equal(readFileSync(`${path}.session`, 'utf8').trim(), 'closed');
  const copy = join(folder, 'moved');
  cpSync(path, copy, { recursive: true });
  const again = reopen(copy);
  assert.deepEqual([again.removed, again.value], [false, 'value']);
  await again.end();
});

test('a disk that has become read-only keeps nobody from closing, nor the next use from what is there', async (context) => {
  const skipped = await withSmallDisk(8 * 1024 * 1024, async (disk) => {
    const remount = (how: string) => execFileSync('mount', ['-o', `remount,${how}`, disk]);
    const path = join(disk, 'index');
    await leaveUnclosed(path);
    const again = reopen(path);
    assert.equal(again.removed, false);
    // Where a file is still open for writing, the disk stays writable.
    await again.end(() => remount('ro'));
    assert.throws(() => unlinkSync(`${path}.session`), { code: 'EROFS' });
    remount('rw');
    const last = reopen(path);
    assert.deepEqual([last.removed, last.value], [false, 'value']);
    await last.end();
  });
  if (skipped !== undefined) context.skip(skipped);
});
