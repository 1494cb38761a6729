import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WormholeError } from '../../src/base/index.js';
import {
  decodeBatchForget,
  decodeCreate,
  decodeForget,
  decodeFsyncFlags,
  decodeHandle,
  decodeHeader,
  decodeInit,
  decodeInterrupt,
  decodeLink,
  decodeMkdir,
  decodeMknod,
  decodeName,
  decodeOpen,
  decodeRead,
  decodeRename,
  decodeSetattr,
  decodeSetxattr,
  decodeSymlink,
  decodeWrite,
  decodeXattrSize,
  makeRequestBuffer,
} from '../../src/mount/protocol/requests.js';
import fc from '../property.js';
import { type Field, packRequest } from './fields.js';

/** A request as it lies in the reused buffer: behind it are the remains of a longer one. */
function received(...body: Field[]) {
  const request = packRequest({ opcode: 99 }, ...body);
  const bytes = Buffer.alloc(8192, 0x58);
  request.copy(bytes);
  return { ...makeRequestBuffer(bytes), length: request.length };
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof WormholeError && error.code === code;
}

test('the header', () => {
  const bytes = packRequest({
    opcode: 15,
    unique: 2 ** 40 + 6,
    node: 2 ** 33 + 1,
    uid: 1000,
    gid: 100,
    pid: 4242,
  });
  assert.deepEqual(decodeHeader(makeRequestBuffer(bytes).view, bytes.length), {
    length: 40,
    opcode: 15,
    unique: 2 ** 40 + 6,
    node: 2 ** 33 + 1,
    uid: 1000,
    gid: 100,
    pid: 4242,
  });
  assert.throws(() => decodeHeader(makeRequestBuffer(bytes).view, 39), failsWith('protocol'));
  assert.throws(() => decodeHeader(makeRequestBuffer(bytes).view, 41), failsWith('protocol'));
});

test('numbers', () => {
  const init = received(
    ['u32', 7],
    ['u32', 45],
    ['u32', 131072],
    ['u32', 0x73fffffb],
    ['bytes', Buffer.alloc(48)],
  );
  assert.deepEqual(decodeInit(init.view, init.length), {
    major: 7,
    minor: 45,
    maxReadahead: 131072,
    flags: 0x73fffffb,
  });

  const forget = received(['u64', 2 ** 32 + 3]);
  assert.equal(decodeForget(forget.view, forget.length), 2 ** 32 + 3);

  const batch = received(['u32', 2], ['u32', 0], ['u64', 5], ['u64', 1], ['u64', 6], ['u64', 9]);
  const forgotten: number[][] = [];
  decodeBatchForget(batch.view, batch.length, (node, lookups) => forgotten.push([node, lookups]));
  assert.deepEqual(forgotten, [
    [5, 1],
    [6, 9],
  ]);
  const lying = received(['u32', 3], ['u32', 0], ['u64', 5], ['u64', 1], ['u64', 6], ['u64', 9]);
  assert.throws(() => decodeBatchForget(lying.view, lying.length, () => {}), failsWith('protocol'));

  const open = received(['u32', 0o2001], ['u32', 1]);
  assert.deepEqual(decodeOpen(open.view, open.length), { flags: 0o2001, openFlags: 1 });

  const read = received(
    ['u64', 8],
    ['u64', 2 ** 41],
    ['u32', 131072],
    ['u32', 0],
    ['u64', 0],
    ['u32', 0],
    ['u32', 0],
  );
  assert.deepEqual(decodeRead(read.view, read.length), { handle: 8, offset: 2 ** 41, size: 131072 });

  const fsync = received(['u64', 77], ['u32', 1], ['u32', 0]);
  assert.equal(decodeHandle(fsync.view, fsync.length), 77);
  assert.equal(decodeFsyncFlags(fsync.view, fsync.length), 1);

  const interrupt = received(['u64', 123456]);
  assert.equal(decodeInterrupt(interrupt.view, interrupt.length), 123456);
});

test('SETATTR', () => {
  const request = received(
    ['u32', 0x3f],
    ['u32', 0],
    ['u64', 12],
    ['u64', 2 ** 35],
    ['u64', 99],
    ['i64', 1],
    ['i64', -2],
    ['i64', 3],
    ['u32', 4],
    ['u32', 500_000_000],
    ['u32', 6],
    ['u32', 0o100644],
    ['u32', 0],
    ['u32', 1000],
    ['u32', 1001],
    ['u32', 0],
  );
  assert.deepEqual(decodeSetattr(request.view, request.length), {
    valid: 0x3f,
    handle: 12,
    size: 2 ** 35,
    mtime: -1_500_000_000n,
    mode: 0o100644,
    uid: 1000,
    gid: 1001,
  });
});

test('names', () => {
  const create = received(['u32', 0o102], ['u32', 0o100644], ['u32', 0o22], ['u32', 1], ['text', 'grün €']);
  assert.deepEqual(decodeCreate(create, create.length), {
    flags: 0o102,
    mode: 0o100644,
    umask: 0o22,
    openFlags: 1,
    name: 'grün €',
  });
  const mkdir = received(['u32', 0o755], ['u32', 0o22], ['text', 'd']);
  assert.deepEqual(decodeMkdir(mkdir, mkdir.length), { mode: 0o755, umask: 0o22, name: 'd' });
  const mknod = received(['u32', 0o010644], ['u32', 259], ['u32', 0o22], ['u32', 0], ['text', 'f']);
  assert.deepEqual(decodeMknod(mknod, mknod.length), { mode: 0o010644, rdev: 259, umask: 0o22, name: 'f' });
  const link = received(['u64', 17], ['text', 'n']);
  assert.deepEqual(decodeLink(link, link.length), { node: 17, name: 'n' });
  const symlink = received(['text', 'name'], ['text', '../target']);
  assert.deepEqual(decodeSymlink(symlink.bytes, symlink.length), { name: 'name', target: '../target' });
  const rename = received(['u64', 3], ['text', 'a'], ['text', 'b']);
  assert.deepEqual(decodeRename(rename, rename.length, false), {
    newParent: 3,
    flags: 0,
    name: 'a',
    newName: 'b',
  });
  const rename2 = received(['u64', 3], ['u32', 2], ['u32', 0], ['text', 'a'], ['text', 'b']);
  assert.deepEqual(decodeRename(rename2, rename2.length, true), {
    newParent: 3,
    flags: 2,
    name: 'a',
    newName: 'b',
  });
});

test('names that are none', () => {
  const longest = received(['text', 'n'.repeat(255)]);
  assert.equal(decodeName(longest.bytes, longest.length, 0), 'n'.repeat(255));
  const long = received(['text', 'n'.repeat(256)]);
  assert.throws(() => decodeName(long.bytes, long.length, 0), failsWith('name-too-long'));
  const wide = received(['text', '€'.repeat(86)]);
  assert.throws(() => decodeName(wide.bytes, wide.length, 0), failsWith('name-too-long'));
  for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0x61, 0xe2, 0x82]]) {
    const bad = received(['bytes', Buffer.from([...bytes, 0])]);
    assert.throws(
      () => decodeName(bad.bytes, bad.length, 0),
      failsWith('bad-name'),
      Buffer.from(bytes).toString('hex'),
    );
  }
  const endless = received(['bytes', Buffer.from('no end')]);
  assert.throws(() => decodeName(endless.bytes, endless.length, 0), failsWith('protocol'));
});

test('a byte order mark is part of a name', () => {
  const request = received(['text', '\ufeffx']);
  assert.equal(decodeName(request.bytes, request.length, 0), '\ufeffx');
});

test('WRITE shows its data where it lies', () => {
  const data = Buffer.from('the data');
  const request = received(
    ['u64', 5],
    ['u64', 2 ** 34],
    ['u32', data.length],
    ['u32', 5],
    ['u64', 0],
    ['u32', 0o2002],
    ['u32', 0],
    ['bytes', data],
  );
  const write = decodeWrite(request, request.length);
  assert.deepEqual(
    { ...write, data: write.data.toString() },
    {
      handle: 5,
      offset: 2 ** 34,
      writeFlags: 5,
      flags: 0o2002,
      data: 'the data',
    },
  );
  assert.equal(write.data.buffer, request.bytes.buffer);
  assert.throws(() => decodeWrite(request, request.length - 1), failsWith('protocol'));
});

test('extended attributes', () => {
  const value = Buffer.from([0, 1, 255, 0]);
  const set = received(['u32', 4], ['u32', 2], ['text', 'user.x'], ['bytes', value]);
  const decoded = decodeSetxattr(set, set.length);
  assert.deepEqual(decoded, { flags: 2, name: 'user.x', value });
  set.bytes.fill(0);
  assert.deepEqual(decoded.value, value, 'the value is a copy');
  const get = received(['u32', 4096], ['u32', 0], ['text', 'user.y']);
  assert.equal(decodeXattrSize(get.view, get.length), 4096);
  assert.equal(decodeName(get.bytes, get.length, 8), 'user.y');
});

test('no bytes make a decoder do anything but answer or throw a WormholeError', () => {
  const decoders: ((buffer: ReturnType<typeof makeRequestBuffer>, length: number) => unknown)[] = [
    ({ view }, length) => decodeInit(view, length),
    ({ view }, length) => decodeBatchForget(view, length, () => {}),
    ({ view }, length) => decodeSetattr(view, length),
    ({ view }, length) => decodeRead(view, length),
    ({ bytes }, length) => decodeSymlink(bytes, length),
    (buffer, length) => decodeMknod(buffer, length),
    (buffer, length) => decodeRename(buffer, length, false),
    (buffer, length) => decodeRename(buffer, length, true),
    (buffer, length) => decodeCreate(buffer, length),
    (buffer, length) => decodeWrite(buffer, length),
    (buffer, length) => decodeSetxattr(buffer, length),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(decoders.length - 1), (body, index) => {
      const { length, ...buffer } = received(['bytes', Buffer.from(body)]);
      try {
        decoders[index]!(buffer, length);
      } catch (error) {
        assert.ok(error instanceof WormholeError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
