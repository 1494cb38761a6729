import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectWrites } from '../../src/content/chunks/direct-writes.js';
import { withSmallDisk } from '../store/tmpfs.js';
import { randomBytesOf, temporaryFolder } from './helpers.js';

test('files of any length are written past the page cache, many at once, or not at all', async (t) => {
  const folder = temporaryFolder(t);
  const writes = new DirectWrites();
  const lengths = [128 * 1024, 200_001, 1024 * 1024 - 1, 4 * 1024 * 1024, ...Array(20).fill(700_003)];
  const files = lengths.map((length, i) => ({ path: join(folder, `${i}`), bytes: randomBytesOf(length, i) }));
  const done = await Promise.all(files.map(({ path, bytes }) => writes.write(path, bytes, 0o600)));
  for (const [i, { path, bytes }] of files.entries()) {
    assert.equal(existsSync(path), done[i]);
    if (!done[i]) continue;
    assert.equal(Buffer.compare(readFileSync(path), bytes), 0);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  }
  assert.equal(await writes.write(join(folder, 'small'), randomBytesOf(1000, 1), 0o600), false);
  if (done[0] === true)
    await assert.rejects(writes.write(files[0]?.path ?? '', randomBytesOf(200_000, 2), 0o600), {
      code: 'EEXIST',
    });
  else console.log('skipped: this file system knows no direct writes');
});

test('a full disk is an error, and a place is free again after it', async () => {
  const skipped = await withSmallDisk(3_000_000, async (folder) => {
    const writes = new DirectWrites();
    for (let i = 0; i < 20; i++) {
      const path = join(folder, `${i}`);
      const done = await writes.write(path, randomBytesOf(1_000_000, i), 0o600).catch((error) => error.code);
      // Where this kernel's tmpfs does not know such writes, none of them does anything.
      assert.ok(done === false || done === (i < 2 ? true : 'ENOSPC'), `${i}: ${done}`);
      if (done === false) assert.ok(!existsSync(path));
    }
  });
  if (skipped !== undefined) console.log(`skipped: ${skipped}`);
});
