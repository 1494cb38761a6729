import assert from 'node:assert/strict';
import { constants as C } from 'node:fs';
import { numbers } from './case.js';
import type { Call, Outcome, SystemCalls, User } from './system-calls.js';

/** Few names, so that steps meet: files, folders, links and what is missing trade places all the time. */
const PATHS = [
  ...['a', 'b', 'c', 'd', 'e', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/c', 'e/a', 'e/d', 'e/d/b', 'l', 'l/a'],
  ...['a/', 'd/', 'l/', 'd/.', 'd/..', 'none/a'],
];
const TARGETS = ['a', 'd', 'd/a', '../a', '../d', 'l', 'none', '.', 'x'.repeat(300)];
const NAMES = ['user.a', 'user.b', 'user.long-name'];
const NOBODY: User = { uid: 65534, gid: 65534, umask: 0o022 };
const MEMBER: User = { uid: 1234, gid: 4321, groups: [4321, 99], umask: 0o007 };
const NANOSECONDS_NOW = 0x3fffffff;
const NANOSECONDS_OMIT = 0x3ffffffe;
const SLOTS = 4;

type Next = (below: number) => number;

interface World {
  next: Next;
  pick<T>(list: readonly T[]): T;
  path(): string;
  bytes(): Buffer;
  offset(): number;
  mode(): number;
  time(): [number, number];
}

function worldOf(seed: number, folder: string): World {
  // Seeds next to each other would begin with the same number.
  const next = numbers(Math.imul(seed + 1, 2_654_435_761) & 0x7fffffff);
  const pick = <T>(list: readonly T[]) => list[next(list.length)]!;
  return {
    next,
    pick,
    path: () => `${folder}/${pick(PATHS)}`,
    bytes: () => Buffer.alloc(pick([0, 1, 7, 100, 4096, 5000, 70_000]), 97 + next(26)),
    offset: () => pick([0, 0, 1, 50, 4095, 4096, 10_000, 131_072]),
    mode: () =>
      pick([
        0o644, 0o600, 0o755, 0o777, 0o000, 0o400, 0o4755, 0o2755, 0o2777, 0o1777, 0o6711, 0o444, 0o700, 0o666,
      ]),
    time: () =>
      pick<[number, number]>([
        [0, NANOSECONDS_NOW],
        [0, NANOSECONDS_OMIT],
        [1_000_000_000, next(999_999_999)],
        [next(1_400_000_000), 999_999_999],
        [-1000, 5],
      ]),
  };
}

type Step = [weight: number, make: (world: World) => [name: string, ...parameters: unknown[]]];

const openFlags = (w: World) =>
  w.pick([C.O_RDONLY, C.O_WRONLY, C.O_RDWR, C.O_RDWR]) |
  w.pick([0, C.O_CREAT, C.O_CREAT, C.O_CREAT | C.O_EXCL, C.O_TRUNC, C.O_CREAT | C.O_TRUNC]) |
  w.pick([0, 0, 0, C.O_APPEND, C.O_NOFOLLOW, C.O_DIRECTORY, C.O_SYNC]) |
  C.O_NONBLOCK;

/** A chown that sets neither is the kernel's own affair on a mount (docs/posix.md). */
const owners = (uid: number, gid: number) => [uid, uid === -1 && gid === -1 ? 4321 : gid];

/** What a program may do to a folder. */
const STEPS: readonly Step[] = [
  [10, (w) => ['slot_open', w.next(SLOTS), w.path(), openFlags(w), w.mode()]],
  [6, (w) => ['slot', w.next(SLOTS), 'write', w.bytes()]],
  [5, (w) => ['slot', w.next(SLOTS), 'pwrite', w.bytes(), w.offset()]],
  [4, (w) => ['slot', w.next(SLOTS), 'read', 10_000]],
  [4, (w) => ['slot', w.next(SLOTS), 'pread', 10_000, w.offset()]],
  [3, (w) => ['slot', w.next(SLOTS), 'ftruncate', w.offset()]],
  [3, (w) => ['slot', w.next(SLOTS), 'fstat']],
  [2, (w) => ['slot', w.next(SLOTS), 'lseek', w.offset(), w.next(3)]],
  [2, (w) => ['slot', w.next(SLOTS), 'fchmod', w.mode()]],
  [1, (w) => ['slot', w.next(SLOTS), 'fsync']],
  [2, (w) => ['slot', w.next(SLOTS), 'fallocate', w.pick([0, 1, 3, 0x10, 0x11]), w.offset(), w.offset()]],
  [2, (w) => ['slot', w.next(SLOTS), 'futimens', w.time(), w.time()]],
  [1, (w) => ['slot', w.next(SLOTS), 'setxattr', w.pick(NAMES), w.bytes().subarray(0, 1000)]],
  [3, (w) => ['slot', w.next(SLOTS), 'close']],
  [6, (w) => ['write_all', w.path(), w.bytes()]],
  [3, (w) => ['write_all', w.path(), w.bytes(), C.O_CREAT | C.O_WRONLY | C.O_APPEND]],
  [4, (w) => ['read_all', w.path()]],
  [3, (w) => ['truncate', w.path(), w.offset()]],
  [8, (w) => ['mkdir', w.path(), w.mode()]],
  [3, (w) => ['rmdir', w.path()]],
  [5, (w) => ['unlink', w.path()]],
  [9, (w) => ['rename', w.path(), w.path()]],
  [4, (w) => ['renameat2', w.path(), w.path(), w.pick([1, 2, 2, 3, 8])]],
  [6, (w) => ['linkat', w.path(), w.path(), w.pick([0, 0x400])]],
  [4, (w) => ['symlink', w.pick(TARGETS), w.path()]],
  [2, (w) => ['readlink', w.path()]],
  [2, (w) => ['mknod', w.path(), w.pick([C.S_IFREG, C.S_IFIFO]) | 0o640]],
  [1, (w) => ['bind', w.path()]],
  [4, (w) => ['stat', w.path()]],
  [4, (w) => ['lstat', w.path()]],
  [2, (w) => ['names', w.path()]],
  [2, (w) => ['access', w.path(), w.next(8)]],
  [4, (w) => ['chmod', w.path(), w.mode()]],
  [2, (w) => ['chown', w.path(), ...owners(w.pick([-1, 0, 1234, 65534]), w.pick([-1, 0, 4321, 65534]))]],
  [1, (w) => ['lchown', w.path(), ...owners(w.pick([-1, 0, 1234]), w.pick([-1, 0, 4321]))]],
  [4, (w) => ['utimens', w.path(), w.time(), w.time(), w.next(2) === 1]],
  [3, (w) => ['setxattr', w.path(), w.pick(NAMES), w.bytes().subarray(0, 1000), w.next(3)]],
  [2, (w) => ['getxattr', w.path(), w.pick(NAMES)]],
  [1, (w) => ['removexattr', w.path(), w.pick(NAMES)]],
];

/** The same steps for the same seed, in whatever folder. Half of them by root, the others by two users. */
export function stepsOf(seed: number, count: number, folder: string): Call[] {
  const world = worldOf(seed, folder);
  const all = STEPS.flatMap(([weight, make]) => Array.from({ length: weight }, () => make));
  return Array.from({ length: count }, () => {
    const [name, ...parameters] = world.pick(all)(world);
    const as = world.pick([undefined, undefined, NOBODY, MEMBER]);
    return { name, arguments: parameters, ...(as === undefined ? {} : { as }) };
  });
}

/** What two file systems must agree on of an outcome. */
function comparable(outcome: Outcome | undefined): unknown {
  const value = outcome !== undefined && 'value' in outcome ? outcome.value : undefined;
  if (value === null || typeof value !== 'object' || !('st_mode' in value)) return outcome;
  const { st_mode, st_nlink, st_uid, st_gid, st_rdev, st_size } = value as Record<string, number>;
  const isFolder = ((st_mode ?? 0) & C.S_IFMT) === C.S_IFDIR;
  return { st_mode, st_nlink, st_uid, st_gid, st_rdev, ...(isFolder ? {} : { st_size }) };
}

/**
 * Does the same in two empty folders and compares every outcome, then all that is there.
 * @throws AssertionError that names the seed and the first step that differs
 */
export function compareFolders(
  system: SystemCalls,
  seed: number,
  count: number,
  plain: string,
  other: string,
): void {
  const outcomes = [plain, other].map((parent) => {
    // Links to `..` lead out of it.
    const folder = `${parent}/top`;
    const prepare: Call[] = [
      { name: 'mkdir', arguments: [folder, 0o777] },
      { name: 'chmod', arguments: [folder, 0o777] },
      { name: 'mkdir', arguments: [`${folder}/d`, 0o755] },
      { name: 'chmod', arguments: [`${folder}/d`, 0o777] },
    ];
    const end: Call[] = [
      { name: 'tree', arguments: [folder] },
      { name: 'slots_close', arguments: [] },
      { name: 'tree', arguments: [folder] },
    ];
    return system.many([...prepare, ...stepsOf(seed, count, folder), ...end]).slice(prepare.length);
  });
  const [expected = [], found = []] = outcomes;
  const steps = stepsOf(seed, count, '');
  for (const [index, outcome] of expected.entries()) {
    const at = index < count ? `step ${index}: ${describe(steps[index]!)}` : 'the trees at the end';
    assert.deepEqual(
      comparable(found[index]),
      comparable(outcome),
      `seed ${seed}, ${at}: the other folder (first) and the plain one (second) differ`,
    );
  }
}

function describe({ name, arguments: parameters, as }: Call): string {
  const shown = parameters.map((each) => (Buffer.isBuffer(each) ? `${each.length} bytes` : String(each)));
  return `${name}(${shown.join(', ')})${as === undefined ? '' : ` as ${as.uid}`}`;
}
