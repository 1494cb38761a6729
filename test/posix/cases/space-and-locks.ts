import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { fails, type PosixCase, pattern } from '../case.js';
import type { StatResult, SystemCalls } from '../system-calls.js';

const { O_RDONLY, O_RDWR, O_CREAT } = fs.constants;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 0x10;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const [LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN] = [1, 2, 4, 8];
const [F_RDLCK, F_WRLCK, F_UNLCK] = [0, 1, 2];
const NOW = [0, 0x3fffffff];
const OMIT = [0, 0x3ffffffe];
const SIZE = 300_000;

/** A case on one file of patterned bytes that the caller has open for reading and writing. */
function onFile(
  name: string,
  run: (system: SystemCalls, descriptor: number, path: string, bytes: Buffer) => void,
): PosixCase {
  return {
    name,
    needs: ['python3'],
    run(folder, system) {
      const [path, bytes] = [join(folder, 'f'), pattern(SIZE)];
      fs.writeFileSync(path, bytes);
      const descriptor = system.call<number>('open', path, O_RDWR);
      try {
        run(system, descriptor, path, bytes);
      } finally {
        system.call('close', descriptor);
      }
    },
  };
}

const spaceCases: PosixCase[] = [
  onFile('fallocate grows a file by zeros', (system, descriptor, path, bytes) => {
    system.call('fallocate', descriptor, 0, SIZE - 10, 1_010);
    assert.deepEqual(fs.readFileSync(path), Buffer.concat([bytes, Buffer.alloc(1_000)]));
  }),
  onFile('fallocate within a file changes nothing', (system, descriptor, path, bytes) => {
    system.call('fallocate', descriptor, 0, 0, 1_000);
    system.call('fallocate', descriptor, KEEP_SIZE, SIZE, 50_000);
    assert.deepEqual(fs.readFileSync(path), bytes);
  }),
  onFile('a punched hole reads as zeros, and the size stays', (system, descriptor, path, bytes) => {
    system.call('fallocate', descriptor, PUNCH_HOLE | KEEP_SIZE, 1_000, 150_000);
    bytes.fill(0, 1_000, 151_000);
    assert.deepEqual(fs.readFileSync(path), bytes);
    system.call('fallocate', descriptor, PUNCH_HOLE | KEEP_SIZE, SIZE - 5, 1_000_000);
    bytes.fill(0, SIZE - 5);
    assert.deepEqual(fs.readFileSync(path), bytes);
    fails(() => system.call('fallocate', descriptor, PUNCH_HOLE, 0, 10), 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL');
  }),
  onFile(
    'a zeroed range reads as zeros, and makes the file longer unless told not to',
    (system, descriptor, path, bytes) => {
      system.call('fallocate', descriptor, ZERO_RANGE | KEEP_SIZE, SIZE - 100, 200);
      bytes.fill(0, SIZE - 100);
      assert.deepEqual(fs.readFileSync(path), bytes);
      system.call('fallocate', descriptor, ZERO_RANGE, SIZE - 200, 300);
      bytes.fill(0, SIZE - 200);
      assert.deepEqual(fs.readFileSync(path), Buffer.concat([bytes, Buffer.alloc(100)]));
    },
  ),
  onFile('fallocate of nothing, or through a reader, fails', (system, descriptor, path) => {
    fails(() => system.call('fallocate', descriptor, 0, 0, 0), 'EINVAL');
    fails(() => system.call('fallocate', descriptor, 0, -1, 10), 'EINVAL');
    const reader = system.call<number>('open', path, O_RDONLY);
    fails(() => system.call('fallocate', reader, 0, 0, 10), 'EBADF');
    system.call('close', reader);
  }),
  onFile('copy_file_range copies any range', (system, descriptor, path, bytes) => {
    const target = system.call<number>('open', `${path}.copy`, O_RDWR | O_CREAT, 0o644);
    for (const [from, to, count] of [
      [0, 0, 200_000],
      [100_000, 7, 50_000],
      [SIZE - 10, 250_000, 100],
    ] as const)
      system.call('copy_file_range', descriptor, target, count, from, to);
    const expected = Buffer.alloc(250_010);
    bytes.copy(expected, 0, 0, 200_000);
    bytes.copy(expected, 7, 100_000, 150_000);
    bytes.copy(expected, 250_000, SIZE - 10);
    assert.deepEqual(fs.readFileSync(`${path}.copy`), expected);
    assert.equal(system.call('copy_file_range', descriptor, target, 100, SIZE, 0), 0);
    fails(() => system.call('copy_file_range', descriptor, descriptor, 100, 0, 50), 'EINVAL');
    system.call('close', target);
  }),
  onFile('lseek finds data before holes, and nothing behind the end', (system, descriptor) => {
    assert.equal(system.call('lseek', descriptor, 10, SEEK_DATA), 10);
    const hole = system.call<number>('lseek', descriptor, 10, SEEK_HOLE);
    assert.ok(hole > 10 && hole <= SIZE, String(hole));
    fails(() => system.call('lseek', descriptor, SIZE, SEEK_DATA), 'ENXIO');
    fails(() => system.call('lseek', descriptor, SIZE + 1, SEEK_HOLE), 'ENXIO');
  }),
];

const lockCases: PosixCase[] = [
  onFile('flock: many share, one excludes, and letting go lets in', (system, one, path) => {
    const other = system.call<number>('open', path, O_RDWR);
    system.call('flock', one, LOCK_SH);
    system.call('flock', other, LOCK_SH | LOCK_NB);
    fails(() => system.call('flock', other, LOCK_EX | LOCK_NB), 'EAGAIN');
    system.call('flock', one, LOCK_UN);
    system.call('flock', other, LOCK_EX | LOCK_NB);
    fails(() => system.call('flock', one, LOCK_SH | LOCK_NB), 'EAGAIN');
    system.call('close', other);
    system.call('flock', one, LOCK_EX | LOCK_NB);
  }),
  onFile('record locks: ranges that do not meet do not exclude', (system, descriptor, path) => {
    system.call('lock', descriptor, F_WRLCK, 0, 10);
    assert.equal(system.call('lock_in_child', path, F_WRLCK, 10, 10), true);
    assert.equal(system.call('lock_in_child', path, F_RDLCK, 9, 1), false);
    system.call('lock', descriptor, F_UNLCK, 0, 10);
    assert.equal(system.call('lock_in_child', path, F_WRLCK, 0, 10), true);
  }),
  onFile('record locks: readers share, and a lock is changed in part', (system, descriptor, path) => {
    system.call('lock', descriptor, F_RDLCK, 0, 100);
    assert.equal(system.call('lock_in_child', path, F_RDLCK, 0, 100), true);
    assert.equal(system.call('lock_in_child', path, F_WRLCK, 0, 100), false);
    system.call('lock', descriptor, F_UNLCK, 40, 20);
    assert.equal(system.call('lock_in_child', path, F_WRLCK, 40, 20), true);
    assert.equal(system.call('lock_in_child', path, F_WRLCK, 39, 2), false);
  }),
  onFile(
    'record locks go with any descriptor of the file that their process closes',
    (system, descriptor, path) => {
      system.call('lock', descriptor, F_WRLCK, 0, 0);
      assert.equal(system.call('lock_in_child', path, F_WRLCK, 1_000_000, 1), false);
      system.call('close', system.call('open', path, O_RDONLY));
      assert.equal(system.call('lock_in_child', path, F_WRLCK, 0, 1), true);
    },
  ),
];

const timeCases: PosixCase[] = [
  onFile('utimensat leaves the time that is omitted, and takes the clock for now', (system, _, path) => {
    const mtime = () => BigInt(system.call<StatResult>('stat', path).st_mtime_ns);
    system.call('utimens', path, OMIT, [1_000_000_000, 123_456_789]);
    assert.equal(mtime(), 1_000_000_000_123_456_789n);
    system.call('utimens', path, [5, 5], OMIT);
    assert.equal(mtime(), 1_000_000_000_123_456_789n);
    const before = BigInt(Date.now() - 2_000) * 1_000_000n;
    system.call('utimens', path, OMIT, NOW);
    assert.ok(mtime() > before);
    fails(() => system.call('utimens', path, OMIT, [1, 1_000_000_000]), 'EINVAL');
  }),
  onFile(
    'futimens sets the time through a descriptor, also of a file without a name',
    (system, descriptor, path) => {
      system.call('futimens', descriptor, [1, 2], [3, 4]);
      assert.equal(system.call<StatResult>('stat', path).st_mtime_ns, '3000000004');
      system.call('unlink', path);
      system.call('futimens', descriptor, OMIT, [5, 6]);
      assert.equal(system.call<StatResult>('fstat', descriptor).st_mtime_ns, '5000000006');
    },
  ),
  onFile(
    'attributes and content of a file without a name change through its descriptor',
    (system, descriptor, path) => {
      system.call('unlink', path);
      system.call('fchmod', descriptor, 0o640);
      system.call('setxattr', descriptor, 'user.a', Buffer.from('1'));
      assert.deepEqual(system.call('getxattr', descriptor, 'user.a'), Buffer.from('1'));
      system.call('removexattr', descriptor, 'user.a');
      assert.deepEqual(system.call('listxattr', descriptor), []);
      for (const size of [10, 10, 0, 0, 5]) system.call('ftruncate', descriptor, size);
      const { st_size, st_nlink, st_mode } = system.call<StatResult>('fstat', descriptor);
      assert.deepEqual([st_size, st_nlink, st_mode & 0o7777], [5, 0, 0o640]);
    },
  ),
];

/** Space without bytes, locks between processes, times in every form, files without a name. */
export const spaceAndLockCases: PosixCase[] = [...spaceCases, ...lockCases, ...timeCases];
