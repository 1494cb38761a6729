import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endsByStatus } from '../../src/mount/interrupts.js';
import { parseMountInfo } from '../../src/mount/mount-table.js';

test('lines of mountinfo, with and without optional fields, with escapes', () => {
  const text = [
    '24 1 254:1 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard',
    '91 24 0:47 / /mnt/a\\040b\\134\\011ü rw,nosuid - fuse.wh wormhole:my\\040net rw,user_id=0',
    'not a line',
    '',
  ].join('\n');
  assert.deepEqual(parseMountInfo(text), [
    { device: '254:1', mountPoint: '/', type: 'ext4', source: '/dev/vda' },
    { device: '0:47', mountPoint: '/mnt/a b\\\tü', type: 'fuse.wh', source: 'wormhole:my net' },
  ]);
});

test('signals that wait for a thread or its process', () => {
  const status = (thread: number, process: number) => {
    const mask = (signal: number) =>
      (signal === 0 ? '0' : (1n << BigInt(signal - 1)).toString(16)).padStart(16, '0');
    return `Name:\tcat\nSigQ:\t0/1\nSigPnd:\t${mask(thread)}\nShdPnd:\t${mask(process)}\nSigBlk:\t${mask(9)}\n`;
  };
  for (const ending of [1, 2, 3, 9, 15]) {
    assert.equal(endsByStatus(status(ending, 0)), true);
    assert.equal(endsByStatus(status(0, ending)), true);
  }
  for (const other of [0, 10, 14, 17, 23, 28]) assert.equal(endsByStatus(status(other, other)), false);
});
