import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { fails, type PosixCase } from '../case.js';
import type { SystemCalls, User } from '../system-calls.js';

const OWNER: User = { uid: 1234, gid: 1234 };
const OTHER: User = { uid: 65534, gid: 65534 };
const NOREPLACE = 1;
const EXCHANGE = 2;

const KINDS = ['file', 'empty folder', 'full folder', 'symbolic link', 'FIFO', 'socket'] as const;
type Kind = (typeof KINDS)[number];

function makeKind(system: SystemCalls, path: string, kind: Kind): void {
  if (kind === 'file') fs.writeFileSync(path, 'content');
  else if (kind === 'symbolic link') fs.symlinkSync('target', path);
  else if (kind === 'FIFO') system.call('mkfifo', path);
  else if (kind === 'socket') system.call('bind', path);
  else fs.mkdirSync(path);
  if (kind === 'full folder') fs.writeFileSync(join(path, 'inner'), '');
}

const isFolder = (kind: Kind) => kind.endsWith('folder');

/** What rename(2) says of one kind over another; undefined: it works. */
function refusal(source: Kind, target: Kind): string | undefined {
  if (isFolder(source) && !isFolder(target)) return 'ENOTDIR';
  if (!isFolder(source) && isFolder(target)) return 'EISDIR';
  return target === 'full folder' ? 'ENOTEMPTY' : undefined;
}

function overCase(source: Kind, target: Kind): PosixCase {
  const code = refusal(source, target);
  return {
    name: `rename of a ${source} over a ${target}: ${code ?? 'replaces it'}`,
    needs: ['python3'],
    run(folder, system) {
      const [from, to] = [join(folder, 'from'), join(folder, 'to')];
      makeKind(system, from, source);
      makeKind(system, to, target);
      const { ino } = fs.lstatSync(from);
      if (code === undefined) {
        fs.renameSync(from, to);
        assert.equal(fs.lstatSync(to).ino, ino);
        assert.deepEqual(fs.readdirSync(folder), ['to']);
        if (source === 'full folder') assert.deepEqual(fs.readdirSync(to), ['inner']);
      } else {
        fails(() => fs.renameSync(from, to), code, code === 'ENOTEMPTY' ? 'EEXIST' : code);
        assert.equal(fs.lstatSync(from).ino, ino);
        assert.deepEqual(fs.readdirSync(folder).sort(), ['from', 'to']);
      }
    },
  };
}

function exchangeCase(source: Kind, target: Kind): PosixCase {
  return {
    name: `renameat2 exchanges a ${source} with a ${target}`,
    needs: ['python3'],
    run(folder, system) {
      fs.mkdirSync(join(folder, 'd'));
      const [one, other] = [join(folder, 'one'), join(folder, 'd', 'other')];
      makeKind(system, one, source);
      makeKind(system, other, target);
      const before = [fs.lstatSync(one).ino, fs.lstatSync(other).ino];
      system.call('renameat2', one, other, EXCHANGE);
      assert.deepEqual([fs.lstatSync(other).ino, fs.lstatSync(one).ino], before);
      const links = (isFolder(source) ? 1 : 0) + 2;
      assert.equal(fs.statSync(join(folder, 'd')).nlink, links);
      fails(() => system.call('renameat2', one, other, NOREPLACE), 'EEXIST');
    },
  };
}

const moveCases: PosixCase[] = KINDS.map((kind) => ({
  name: `a ${kind} moves to another folder, whose times and link counts follow`,
  needs: ['python3'],
  async run(folder, system) {
    for (const name of ['a', 'b']) fs.mkdirSync(join(folder, name));
    makeKind(system, join(folder, 'a', 'x'), kind);
    const look = () => ['a', 'b'].map((name) => fs.statSync(join(folder, name), { bigint: true }));
    const before = look();
    await new Promise((resolve) => setTimeout(resolve, 15));
    fs.renameSync(join(folder, 'a', 'x'), join(folder, 'b', 'y'));
    for (const [index, { mtimeNs, ctimeNs }] of look().entries()) {
      assert.ok(mtimeNs > before[index]!.mtimeNs, 'mtime');
      assert.ok(ctimeNs > before[index]!.ctimeNs, 'ctime');
    }
    const links = look().map(({ nlink }) => Number(nlink));
    assert.deepEqual(links, isFolder(kind) ? [2, 3] : [2, 2]);
  },
}));

/** Who may move what out of, into and over what. */
const permissionCases: PosixCase[] = [
  {
    name: 'in a sticky folder nobody but its owner, the file\u2019s owner and root renames a file',
    needs: ['root', 'python3'],
    run(folder, system) {
      fs.chmodSync(folder, 0o1777);
      system.as(OWNER, 'creat', join(folder, 'f'), 0o666);
      fails(() => system.as(OTHER, 'rename', join(folder, 'f'), join(folder, 'g')), 'EPERM', 'EACCES');
      system.as(OWNER, 'rename', join(folder, 'f'), join(folder, 'g'));
      fs.renameSync(join(folder, 'g'), join(folder, 'h'));
      fs.chownSync(folder, OTHER.uid, OTHER.gid);
      system.as(OTHER, 'rename', join(folder, 'h'), join(folder, 'i'));
      assert.deepEqual(fs.readdirSync(folder), ['i']);
    },
  },
  {
    name: 'in a sticky folder nobody renames over another\u2019s file',
    needs: ['root', 'python3'],
    run(folder, system) {
      fs.chmodSync(folder, 0o1777);
      system.as(OWNER, 'creat', join(folder, 'theirs'), 0o666);
      system.as(OTHER, 'creat', join(folder, 'mine'), 0o666);
      fails(
        () => system.as(OTHER, 'rename', join(folder, 'mine'), join(folder, 'theirs')),
        'EPERM',
        'EACCES',
      );
      fails(() => system.as(OTHER, 'unlink', join(folder, 'theirs')), 'EPERM', 'EACCES');
    },
  },
  {
    name: 'a folder that may not be written is not moved elsewhere, for its .. would change',
    needs: ['root', 'python3'],
    run(folder, system) {
      fs.chmodSync(folder, 0o777);
      for (const name of ['a', 'b', 'a/d']) fs.mkdirSync(join(folder, name));
      for (const name of ['a', 'b']) fs.chmodSync(join(folder, name), 0o777);
      fails(() => system.as(OTHER, 'rename', join(folder, 'a/d'), join(folder, 'b/d')), 'EACCES');
      system.as(OTHER, 'rename', join(folder, 'a/d'), join(folder, 'a/e'));
    },
  },
  ...['from', 'to'].map(
    (where): PosixCase => ({
      name: `rename ${where} a folder that may not be written: EACCES`,
      needs: ['root', 'python3'],
      run(folder, system) {
        for (const name of ['from', 'to']) {
          fs.mkdirSync(join(folder, name));
          fs.chmodSync(join(folder, name), name === where ? 0o755 : 0o777);
        }
        fs.writeFileSync(join(folder, 'from', 'f'), '');
        fails(() => system.as(OTHER, 'rename', join(folder, 'from/f'), join(folder, 'to/f')), 'EACCES');
        assert.deepEqual(fs.readdirSync(join(folder, 'from')), ['f']);
      },
    }),
  ),
  ...['.', '..'].map(
    (name): PosixCase => ({
      name: `rename and rmdir of ${name} are refused`,
      needs: ['root', 'python3'],
      run(folder, system) {
        fs.mkdirSync(join(folder, 'd', 'e'), { recursive: true });
        const path = `${folder}/d/e/${name}`;
        fails(() => system.call('rename', path, `${folder}/x`), 'EBUSY', 'EINVAL');
        fails(() => system.call('rename', `${folder}/d`, path), 'EBUSY', 'EINVAL', 'EEXIST');
        fails(() => system.call('rmdir', path), 'EINVAL', 'ENOTEMPTY', 'EBUSY');
      },
    }),
  ),
  {
    name: 'rename with a slash at the end takes folders only',
    needs: ['root', 'python3'],
    run(folder, system) {
      fs.mkdirSync(join(folder, 'd'));
      fs.writeFileSync(join(folder, 'f'), '');
      system.call('rename', `${folder}/d/`, `${folder}/e/`);
      fails(() => system.call('rename', `${folder}/f/`, `${folder}/g`), 'ENOTDIR');
      fails(() => system.call('rename', `${folder}/f`, `${folder}/g/`), 'ENOTDIR');
      assert.deepEqual(fs.readdirSync(folder).sort(), ['e', 'f']);
    },
  },
  {
    name: 'renameat2 refuses flags that contradict each other or are unknown',
    needs: ['root', 'python3'],
    run(folder, system) {
      fs.writeFileSync(join(folder, 'a'), '');
      fs.writeFileSync(join(folder, 'b'), '');
      for (const flags of [NOREPLACE | EXCHANGE, 64])
        fails(() => system.call('renameat2', join(folder, 'a'), join(folder, 'b'), flags), 'EINVAL');
      fails(() => system.call('renameat2', join(folder, 'a'), join(folder, 'c'), EXCHANGE), 'ENOENT');
      fs.mkdirSync(join(folder, 'd', 'e'), { recursive: true });
      fails(() => system.call('renameat2', join(folder, 'd'), join(folder, 'd/e'), EXCHANGE), 'EINVAL');
      fails(() => system.call('renameat2', join(folder, 'd/e'), join(folder, 'd'), EXCHANGE), 'EINVAL');
    },
  },
];

/** rename(2) and renameat2(2): every kind over every kind, exchanged with every kind, and by whom. */
export const renameCases: PosixCase[] = [
  ...KINDS.flatMap((source) => KINDS.map((target) => overCase(source, target))),
  ...KINDS.flatMap((source, index) => KINDS.slice(index).map((target) => exchangeCase(source, target))),
  ...moveCases,
  ...permissionCases,
];
