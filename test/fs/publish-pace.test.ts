import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publishPauseMs } from '../../src/fs/publish-pace.js';

test('a file that is held open and written is published soon when that is little, seldom when it is much', () => {
  const pause = (publishBytes: number, publicationMs: number) =>
    publishPauseMs({ content: { publishBytes }, publicationMs }, 5_000);
  assert.equal(pause(4096, 0), 5_000);
  assert.equal(pause(100_000_000, 10), 5_000);
  assert.equal(pause(500_000_000, 0), 20_000, 'a fifth of the time');
  assert.equal(pause(4096, 3_000), 12_000, 'a slow disk was measured');
  const awaited = (publishBytes: number, publicationMs: number) =>
    publishPauseMs({ content: { publishBytes }, publicationMs }, 5_000, true);
  assert.equal(awaited(500_000_000, 0), 750, 'others wait for the first part of it');
  assert.equal(awaited(500_000_000, 10), 20_000, 'and then it is as large as ever');
  assert.equal(awaited(4096, 0), 5_000);
  assert.equal(pause(1e12, 1e9), 60_000, 'and at least once a minute');
});
