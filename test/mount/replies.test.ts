import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stat } from '../../src/fs/index.js';
import { DirectoryPacker } from '../../src/mount/protocol/directory.js';
import {
  encodeAttrOut,
  encodeEntry,
  encodeHeader,
  encodeInit,
  encodeInvalidateEntry,
  encodeInvalidateInode,
  encodeNegativeEntry,
  encodeOpen,
  encodeStatfs,
} from '../../src/mount/protocol/replies.js';
import fc from '../property.js';
import { type Field, pack } from './fields.js';

const stat: Stat = {
  inode: 'x/1',
  ino: 2 ** 52 + 9,
  mode: 0o100644,
  nlink: 2,
  uid: 1000,
  gid: 100,
  rdev: 259,
  size: 2 ** 40 + 1,
  blocks: 2 ** 31 + 1,
  atime: 1_700_000_000_123_456_789n,
  mtime: 1_700_000_001_000_000_001n,
  ctime: 1_700_000_002_999_999_999n,
};

const attributes: Field[] = [
  ['u64', stat.ino],
  ['u64', stat.size],
  ['u64', stat.blocks],
  ['i64', 1_700_000_000],
  ['i64', 1_700_000_001],
  ['i64', 1_700_000_002],
  ['u32', 123_456_789],
  ['u32', 1],
  ['u32', 999_999_999],
  ['u32', 0o100644],
  ['u32', 2],
  ['u32', 1000],
  ['u32', 100],
  ['u32', 259],
  ['u32', 4096],
  ['u32', 0],
];

const timeouts = { entryMs: 1_500, attributesMs: 250, negativeMs: 2_000 };

/** What an encoder leaves in memory that was full of something else. */
function encoded(length: number, encode: (view: DataView) => void): Buffer {
  const bytes = Buffer.alloc(length + 8, 0x5a);
  encode(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  assert.equal(bytes.subarray(length).toString('latin1'), 'Z'.repeat(8), 'nothing behind the end is touched');
  return bytes.subarray(0, length);
}

test('the header of an answer, of an error, of a large number', () => {
  assert.deepEqual(
    encoded(16, (view) => encodeHeader(view, 16, -2, 2 ** 45 + 2)),
    pack(['u32', 16], ['i32', -2], ['u64', 2 ** 45 + 2]),
  );
});

test('an entry', () => {
  assert.deepEqual(
    encoded(128, (view) => encodeEntry(view, 0, 2 ** 33 + 5, stat, timeouts)),
    pack(
      ['u64', 2 ** 33 + 5],
      ['u64', 0],
      ['u64', 1],
      ['u64', 0],
      ['u32', 500_000_000],
      ['u32', 250_000_000],
      ...attributes,
    ),
  );
});

test('an entry that does not exist', () => {
  assert.deepEqual(
    encoded(128, (view) => encodeNegativeEntry(view, 0, timeouts)),
    pack(['u64', 0], ['u64', 0], ['u64', 2], ['bytes', Buffer.alloc(104)]),
  );
});

test('attributes', () => {
  assert.deepEqual(
    encoded(104, (view) => encodeAttrOut(view, 0, stat, timeouts)),
    pack(['u64', 0], ['u32', 250_000_000], ['u32', 0], ...attributes),
  );
});

test('times of any sign and grain', () => {
  const time = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
  fc.assert(
    fc.property(time, time, time, fc.boolean(), (atime, mtime, ctime, same) => {
      const times = same ? { atime: mtime, mtime, ctime: mtime } : { atime, mtime, ctime };
      const bytes = encoded(104, (view) => encodeAttrOut(view, 0, { ...stat, ...times }, timeouts));
      const read = (index: number) =>
        bytes.readBigInt64LE(16 + 24 + index * 8) * 1_000_000_000n +
        BigInt(bytes.readUInt32LE(16 + 48 + index * 4));
      assert.deepEqual([read(0), read(1), read(2)], [times.atime, times.mtime, times.ctime]);
      for (const index of [0, 1, 2]) assert.ok(bytes.readUInt32LE(16 + 48 + index * 4) < 1_000_000_000);
    }),
  );
});

test('OPEN, INIT, STATFS', () => {
  assert.deepEqual(
    encoded(16, (view) => encodeOpen(view, 0, 2 ** 32 + 1, 34)),
    pack(['u64', 2 ** 32 + 1], ['u32', 34], ['u32', 0]),
  );
  const init = {
    minor: 38,
    maxReadahead: 131072,
    flags: 0x50006029,
    maxBackground: 64,
    congestionThreshold: 48,
    maxWrite: 1 << 20,
    maxPages: 256,
  };
  assert.deepEqual(
    encoded(64, (view) => encodeInit(view, 0, init)),
    pack(
      ['u32', 7],
      ['u32', 38],
      ['u32', 131072],
      ['u32', 0x50006029],
      ['u16', 64],
      ['u16', 48],
      ['u32', 1 << 20],
      ['u32', 1],
      ['u16', 256],
      ['u16', 0],
      ['bytes', Buffer.alloc(32)],
    ),
  );
  const space = {
    blockSize: 4096,
    blocks: 2 ** 33,
    blocksFree: 5,
    blocksAvailable: 4,
    files: 3,
    filesFree: 2,
    nameMax: 255,
  };
  assert.deepEqual(
    encoded(80, (view) => encodeStatfs(view, 0, space)),
    pack(
      ['u64', 2 ** 33],
      ['u64', 5],
      ['u64', 4],
      ['u64', 3],
      ['u64', 2],
      ['u32', 4096],
      ['u32', 255],
      ['u32', 4096],
      ['bytes', Buffer.alloc(28)],
    ),
  );
});

test('notifications', () => {
  assert.deepEqual(
    encodeInvalidateInode(9, true),
    pack(['u32', 40], ['i32', 2], ['u64', 0], ['u64', 9], ['i64', 0], ['i64', 0]),
  );
  assert.deepEqual(
    encodeInvalidateInode(9, false),
    pack(['u32', 40], ['i32', 2], ['u64', 0], ['u64', 9], ['i64', -1], ['i64', 0]),
  );
  assert.deepEqual(
    encodeInvalidateEntry(3, 'né'),
    pack(['u32', 36], ['i32', 3], ['u64', 0], ['u64', 3], ['u32', 3], ['u32', 0], ['text', 'né']),
  );
});

test('entries of a folder, padded to eight bytes, until there is no room', () => {
  const bytes = Buffer.alloc(32 + 32 + 31, 0x5a);
  const packer = new DirectoryPacker(
    bytes,
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    0,
    bytes.length,
  );
  assert.ok(packer.add({ name: 'eight888', ino: 2 ** 40, type: 8, cookie: 3 }));
  assert.ok(packer.add({ name: 'é', ino: 7, type: 4, cookie: 4 }));
  assert.equal(packer.add({ name: 'third', ino: 8, type: 8, cookie: 5 }), false);
  assert.equal(packer.length, 64);
  assert.deepEqual(
    bytes.subarray(0, 64),
    pack(
      ['u64', 2 ** 40],
      ['u64', 3],
      ['u32', 8],
      ['u32', 8],
      ['bytes', Buffer.from('eight888')],
      ['u64', 7],
      ['u64', 4],
      ['u32', 2],
      ['u32', 4],
      ['bytes', Buffer.from('é\0\0\0\0\0\0')],
    ),
  );
  assert.equal(bytes.subarray(64).toString('latin1'), 'Z'.repeat(31));
});

test('entries with attributes', () => {
  const bytes = Buffer.alloc(160 + 159, 0x5a);
  const packer = new DirectoryPacker(
    bytes,
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    0,
    bytes.length,
  );
  assert.ok(packer.hasRoomFor('eight888'));
  assert.ok(packer.addWithStat({ name: 'eight888', ino: 6, type: 8, cookie: 3 }, 11, stat, timeouts));
  assert.equal(packer.hasRoomFor('eight888'), false);
  assert.equal(
    packer.addWithStat({ name: 'eight888', ino: 6, type: 8, cookie: 3 }, 11, stat, timeouts),
    false,
  );
  const entry = encoded(128, (view) => encodeEntry(view, 0, 11, stat, timeouts));
  const dirent = pack(['u64', 6], ['u64', 3], ['u32', 8], ['u32', 8], ['bytes', Buffer.from('eight888')]);
  assert.deepEqual(bytes.subarray(0, packer.length), Buffer.concat([entry, dirent]));
});

test('`.` and `..` come without a node', () => {
  const bytes = Buffer.alloc(160, 0x5a);
  const packer = new DirectoryPacker(
    bytes,
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    0,
    bytes.length,
  );
  assert.ok(packer.addWithStat({ name: '.', ino: 1, type: 4, cookie: 1 }, 0, undefined, timeouts));
  assert.deepEqual(bytes.subarray(0, 128), Buffer.alloc(128));
});
