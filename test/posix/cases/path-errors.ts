import fs from 'node:fs';
import { join } from 'node:path';
import { fails, type PosixCase } from '../case.js';
import type { SystemCalls, User } from '../system-calls.js';

const NOBODY: User = { uid: 65534, gid: 65534 };
const LONG = 'x'.repeat(256);
const FIFO = fs.constants.S_IFIFO | 0o644;
const O_PATH_ONLY_RDONLY = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;
const KEEP = [0, 0x3ffffffe];

interface PathCall {
  name: string;
  /** The call on a path; `folder` holds `file`, `dir` and `link` for those that need a second path. */
  make(path: string, folder: string): [name: string, ...parameters: unknown[]];
  /** What it acts on; `new`: on what is not there. */
  on: 'file' | 'dir' | 'link' | 'new';
}

const CALLS: PathCall[] = [
  { name: 'open', on: 'file', make: (path) => ['touch', path, O_PATH_ONLY_RDONLY] },
  { name: 'open for writing', on: 'file', make: (path) => ['touch', path, fs.constants.O_WRONLY] },
  { name: 'stat', on: 'file', make: (path) => ['stat', path] },
  { name: 'lstat', on: 'file', make: (path) => ['lstat', path] },
  { name: 'chmod', on: 'file', make: (path) => ['chmod', path, 0o600] },
  { name: 'chown', on: 'file', make: (path) => ['chown', path, -1, -1] },
  { name: 'lchown', on: 'file', make: (path) => ['lchown', path, -1, -1] },
  { name: 'utimensat', on: 'file', make: (path) => ['utimens', path, [1, 1], [1, 1]] },
  { name: 'truncate', on: 'file', make: (path) => ['truncate', path, 3] },
  { name: 'unlink', on: 'file', make: (path) => ['unlink', path] },
  { name: 'rmdir', on: 'dir', make: (path) => ['rmdir', path] },
  { name: 'readdir', on: 'dir', make: (path) => ['names', path] },
  { name: 'readlink', on: 'link', make: (path) => ['readlink', path] },
  { name: 'getxattr', on: 'file', make: (path) => ['getxattr', path, 'user.a'] },
  { name: 'setxattr', on: 'file', make: (path) => ['setxattr', path, 'user.b', Buffer.from('1')] },
  { name: 'statfs', on: 'file', make: (path) => ['statvfs', path] },
  { name: 'rename from', on: 'file', make: (path, folder) => ['rename', path, `${folder}/target`] },
  { name: 'link from', on: 'file', make: (path, folder) => ['linkat', path, `${folder}/target`, 0] },
  { name: 'open with O_CREAT', on: 'new', make: (path) => ['creat', path, 0o644] },
  { name: 'mkdir', on: 'new', make: (path) => ['mkdir', path, 0o755] },
  { name: 'mknod', on: 'new', make: (path) => ['mknod', path, FIFO] },
  { name: 'symlink', on: 'new', make: (path) => ['symlink', 'x', path] },
  { name: 'link to', on: 'new', make: (path, folder) => ['linkat', `${folder}/file`, path, 0] },
  { name: 'rename to', on: 'new', make: (path, folder) => ['rename', `${folder}/file`, path] },
];

interface Condition {
  name: string;
  code: string;
  path(folder: string, call: PathCall): string;
  as?: User;
  only?: (call: PathCall) => boolean;
}

const CONDITIONS: Condition[] = [
  { name: 'a part of the path is a file', code: 'ENOTDIR', path: (folder) => `${folder}/file/x` },
  { name: 'a part of the path is missing', code: 'ENOENT', path: (folder) => `${folder}/none/x` },
  { name: 'a name is too long', code: 'ENAMETOOLONG', path: (folder) => `${folder}/${LONG}` },
  {
    name: 'the path is too long',
    code: 'ENAMETOOLONG',
    path: (folder) => `${folder}/${'dir/../'.repeat(600)}x`,
  },
  { name: 'links in the path go in a circle', code: 'ELOOP', path: (folder) => `${folder}/loop/x` },
  {
    name: 'a folder on the way may not be searched',
    code: 'EACCES',
    path: (folder, { on }) => `${folder}/closed/${on}`,
    as: NOBODY,
  },
  {
    name: 'what it acts on is missing',
    code: 'ENOENT',
    path: (folder) => `${folder}/none`,
    only: ({ on }) => on !== 'new',
  },
  {
    name: 'the folder may not be written',
    code: 'EACCES',
    path: (folder, { on }) => `${folder}/unwritable/${on}`,
    as: NOBODY,
    only: ({ on, name }) => on === 'new' || ['unlink', 'rmdir', 'rename from'].includes(name),
  },
];

function prepare(folder: string): void {
  fs.chmodSync(folder, 0o777);
  for (const name of ['.', 'closed', 'unwritable']) {
    fs.mkdirSync(join(folder, name), { recursive: true });
    fs.writeFileSync(join(folder, name, 'file'), 'x', { mode: 0o666 });
    fs.chmodSync(join(folder, name, 'file'), 0o666);
    fs.mkdirSync(join(folder, name, 'dir'));
    fs.symlinkSync('file', join(folder, name, 'link'));
  }
  fs.symlinkSync('loop', join(folder, 'loop'));
  // An ordinary user could not remove what is in these.
  if (process.geteuid?.() !== 0) return;
  fs.chmodSync(join(folder, 'closed'), 0o600);
  fs.chmodSync(join(folder, 'unwritable'), 0o555);
  // Whoever may link or move a file must own it.
  for (const path of ['file', 'unwritable/file']) fs.chownSync(join(folder, path), 65534, 65534);
}

function conditionCase(call: PathCall, condition: Condition): PosixCase {
  return {
    name: `${call.name}: ${condition.name}: ${condition.code}`,
    needs: condition.as === undefined ? ['python3'] : ['root', 'python3'],
    run(folder, system) {
      prepare(folder);
      const [name, ...parameters] = call.make(condition.path(folder, call), folder);
      const before = fs.readdirSync(folder).sort();
      fails(() => make(system, condition.as, name, parameters), condition.code);
      if (fs.readdirSync(folder).sort().join() !== before.join()) throw new Error('it changed the folder');
    },
  };
}

function make(system: SystemCalls, as: User | undefined, name: string, parameters: unknown[]): unknown {
  return as === undefined ? system.call(name, ...parameters) : system.as(as, name, ...parameters);
}

/** Making something where anything is already. */
const EXISTING = ['file', 'dir', 'link', 'dangling', 'fifo'];
const existsCases: PosixCase[] = ['mkdir', 'mknod', 'symlink', 'link to'].map((name) => ({
  name: `${name}: something is there already: EEXIST`,
  needs: ['python3'],
  run(folder, system) {
    prepare(folder);
    fs.symlinkSync('none', join(folder, 'dangling'));
    system.call('mkfifo', join(folder, 'fifo'));
    const call = CALLS.find((each) => each.name === name);
    for (const existing of EXISTING) {
      const [operation = '', ...parameters] = call?.make(join(folder, existing), folder) ?? [];
      fails(() => system.call(operation, ...parameters), 'EEXIST');
    }
  },
}));

/** An ordinary user's rights to what root owns. */
const FOREIGN: { name: string; code: string; call: (path: string) => [string, ...unknown[]] }[] = [
  { name: 'chmod', code: 'EPERM', call: (path) => ['chmod', path, 0o777] },
  { name: 'chown to oneself', code: 'EPERM', call: (path) => ['chown', path, 65534, -1] },
  { name: 'chgrp to one\u2019s own group', code: 'EPERM', call: (path) => ['chown', path, -1, 65534] },
  { name: 'utimensat with times', code: 'EPERM', call: (path) => ['utimens', path, [1, 1], [1, 1]] },
  { name: 'utimensat with one time kept', code: 'EPERM', call: (path) => ['utimens', path, KEEP, [1, 1]] },
  { name: 'utimensat now, unwritable', code: 'EACCES', call: (path) => ['utime', path] },
  { name: 'truncate', code: 'EACCES', call: (path) => ['truncate', path, 0] },
  { name: 'open for writing', code: 'EACCES', call: (path) => ['touch', path, fs.constants.O_WRONLY] },
  {
    name: 'open with O_TRUNC',
    code: 'EACCES',
    call: (path) => ['touch', path, fs.constants.O_RDONLY | fs.constants.O_TRUNC],
  },
  { name: 'setxattr', code: 'EACCES', call: (path) => ['setxattr', path, 'user.a', Buffer.from('1')] },
  {
    name: 'setxattr trusted',
    code: 'EPERM',
    call: (path) => ['setxattr', path, 'trusted.a', Buffer.from('1')],
  },
];

const foreignCases: PosixCase[] = FOREIGN.map(({ name, code, call }) => ({
  name: `${name}: of somebody else\u2019s file: ${code}`,
  needs: ['root', 'python3'],
  run(folder, system) {
    fs.writeFileSync(join(folder, 'f'), 'content', { mode: 0o644 });
    const before = fs.statSync(join(folder, 'f'), { bigint: true });
    const [operation, ...parameters] = call(join(folder, 'f'));
    fails(() => system.as(NOBODY, operation, ...parameters), code);
    const after = fs.statSync(join(folder, 'f'), { bigint: true });
    const kept = (['mode', 'uid', 'gid', 'size', 'mtimeNs'] as const).every(
      (each) => after[each] === before[each],
    );
    if (!kept) throw new Error('it changed the file');
  },
}));

/** Every call that takes a path, against everything that can be wrong with one. */
export const pathErrorCases: PosixCase[] = [
  ...CALLS.flatMap((call) =>
    CONDITIONS.filter(({ only }) => only?.(call) ?? true).map((condition) => conditionCase(call, condition)),
  ),
  ...existsCases,
  ...foreignCases,
];
