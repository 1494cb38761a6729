import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { fails, type PosixCase, python } from '../case.js';

/** Calls renameat2 and prints the errno, 0 when it succeeded. */
const RENAMEAT2 = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
result = libc.renameat2(-100, os.fsencode(sys.argv[1]), -100, os.fsencode(sys.argv[2]), ctypes.c_uint(int(sys.argv[3])))
print(0 if result == 0 else ctypes.get_errno())
`;
const NOREPLACE = '1';
const EXCHANGE = '2';

function times(path: string): { mtime: bigint; ctime: bigint } {
  const stat = fs.lstatSync(path, { bigint: true });
  return { mtime: stat.mtimeNs, ctime: stat.ctimeNs };
}

/** The kernel's clock for file times moves in steps of some milliseconds. */
const tick = () => new Promise((resolve) => setTimeout(resolve, 15));

export const nameCases: PosixCase[] = [
  {
    name: 'rename moves a file, with its inode number and mtime, and marks its ctime',
    async run(folder) {
      const [from, to] = [join(folder, 'a'), join(folder, 'd', 'b')];
      fs.mkdirSync(join(folder, 'd'));
      fs.writeFileSync(from, 'x');
      const before = { ...times(from), ino: fs.statSync(from).ino };
      await tick();
      fs.renameSync(from, to);
      assert.equal(fs.existsSync(from), false);
      assert.equal(fs.readFileSync(to, 'utf8'), 'x');
      assert.equal(fs.statSync(to).ino, before.ino);
      assert.equal(times(to).mtime, before.mtime);
      assert.ok(times(to).ctime > before.ctime);
    },
  },
  {
    name: 'rename over a file replaces it',
    run(folder) {
      const [from, to] = [join(folder, 'a'), join(folder, 'b')];
      fs.writeFileSync(from, 'new');
      fs.writeFileSync(to, 'old');
      const { ino } = fs.statSync(from);
      fs.renameSync(from, to);
      assert.deepEqual(fs.readdirSync(folder), ['b']);
      assert.equal(fs.readFileSync(to, 'utf8'), 'new');
      assert.equal(fs.statSync(to).ino, ino);
      assert.equal(fs.statSync(to).nlink, 1);
    },
  },
  {
    name: 'rename onto itself, or onto a further name of the same file, does nothing',
    run(folder) {
      const [a, b] = [join(folder, 'a'), join(folder, 'b')];
      fs.writeFileSync(a, 'x');
      fs.linkSync(a, b);
      fs.renameSync(a, a);
      fs.renameSync(a, b);
      assert.deepEqual(fs.readdirSync(folder).sort(), ['a', 'b']);
      assert.equal(fs.statSync(a).nlink, 2);
    },
  },
  {
    name: 'rename of a folder takes all of it along',
    run(folder) {
      fs.mkdirSync(join(folder, 'a', 'deep', 'er'), { recursive: true });
      fs.writeFileSync(join(folder, 'a', 'deep', 'er', 'f'), 'x');
      fs.mkdirSync(join(folder, 'to'));
      fs.renameSync(join(folder, 'a'), join(folder, 'to', 'b'));
      assert.equal(fs.readFileSync(join(folder, 'to', 'b', 'deep', 'er', 'f'), 'utf8'), 'x');
      assert.equal(fs.statSync(join(folder, 'to', 'b', '..')).ino, fs.statSync(join(folder, 'to')).ino);
    },
  },
  {
    name: 'rename over an empty folder replaces it, over a full one fails',
    run(folder) {
      for (const name of ['a', 'b', 'full']) fs.mkdirSync(join(folder, name));
      fs.writeFileSync(join(folder, 'a', 'f'), 'x');
      fs.writeFileSync(join(folder, 'full', 'g'), 'y');
      fails(() => fs.renameSync(join(folder, 'a'), join(folder, 'full')), 'ENOTEMPTY', 'EEXIST');
      fs.renameSync(join(folder, 'a'), join(folder, 'b'));
      assert.deepEqual(fs.readdirSync(folder).sort(), ['b', 'full']);
      assert.equal(fs.readFileSync(join(folder, 'b', 'f'), 'utf8'), 'x');
    },
  },
  {
    name: 'rename of the wrong kinds, of nothing, or into the own subtree fails and changes nothing',
    run(folder) {
      fs.mkdirSync(join(folder, 'd', 'sub'), { recursive: true });
      fs.writeFileSync(join(folder, 'f'), 'x');
      fails(() => fs.renameSync(join(folder, 'd'), join(folder, 'f')), 'ENOTDIR');
      fails(() => fs.renameSync(join(folder, 'f'), join(folder, 'd')), 'EISDIR', 'ENOTEMPTY', 'EEXIST');
      fails(() => fs.renameSync(join(folder, 'none'), join(folder, 'f')), 'ENOENT');
      fails(() => fs.renameSync(join(folder, 'f'), join(folder, 'none', 'f')), 'ENOENT');
      fails(() => fs.renameSync(join(folder, 'f'), join(folder, 'f', 'g')), 'ENOTDIR');
      fails(() => fs.renameSync(join(folder, 'd'), join(folder, 'd', 'sub', 'd')), 'EINVAL');
      fails(() => fs.renameSync(join(folder, 'd'), join(folder, 'd', 'x')), 'EINVAL');
      fails(() => fs.renameSync(join(folder, 'd', 'sub'), join(folder, 'd')), 'ENOTEMPTY', 'EEXIST');
      assert.deepEqual(fs.readdirSync(folder).sort(), ['d', 'f']);
    },
  },
  {
    name: 'renameat2 with NOREPLACE keeps what is there',
    needs: ['python3'],
    run(folder) {
      fs.writeFileSync(join(folder, 'a'), 'a');
      fs.writeFileSync(join(folder, 'b'), 'b');
      const rename = (to: string) =>
        Number(python(RENAMEAT2, join(folder, 'a'), join(folder, to), NOREPLACE));
      assert.equal(rename('b'), 17);
      assert.equal(fs.readFileSync(join(folder, 'b'), 'utf8'), 'b');
      assert.equal(rename('c'), 0);
      assert.deepEqual(fs.readdirSync(folder).sort(), ['b', 'c']);
    },
  },
  {
    name: 'renameat2 with EXCHANGE swaps two names, of whatever kind',
    needs: ['python3'],
    run(folder) {
      fs.writeFileSync(join(folder, 'file'), 'x');
      fs.mkdirSync(join(folder, 'd', 'inner'), { recursive: true });
      fs.writeFileSync(join(folder, 'd', 'inner', 'g'), 'y');
      const exchange = (a: string, b: string) =>
        Number(python(RENAMEAT2, join(folder, a), join(folder, b), EXCHANGE));
      assert.equal(exchange('file', 'd/inner'), 0);
      assert.equal(fs.readFileSync(join(folder, 'd', 'inner'), 'utf8'), 'x');
      assert.equal(fs.readFileSync(join(folder, 'file', 'g'), 'utf8'), 'y');
      assert.equal(fs.statSync(join(folder, 'd')).nlink, 2);
      assert.equal(exchange('file', 'none'), 2);
      assert.equal(exchange('d', 'd/inner'), 22);
    },
  },
  {
    name: 'a folder\u2019s times move with what is made, removed and renamed in it',
    async run(folder) {
      const [one, two] = [join(folder, 'one'), join(folder, 'two')];
      fs.mkdirSync(one);
      fs.mkdirSync(two);
      const moves = async (watched: string[], act: () => void) => {
        const before = watched.map(times);
        await tick();
        act();
        watched.forEach((path, index) => {
          assert.ok(times(path).mtime > before[index]!.mtime, `${act}: mtime of ${path}`);
          assert.ok(times(path).ctime > before[index]!.ctime, `${act}: ctime of ${path}`);
        });
      };
      await moves([one], () => fs.writeFileSync(join(one, 'f'), ''));
      await moves([one], () => fs.linkSync(join(one, 'f'), join(one, 'g')));
      await moves([one], () => fs.unlinkSync(join(one, 'g')));
      await moves([one], () => fs.mkdirSync(join(one, 'd')));
      await moves([one], () => fs.rmdirSync(join(one, 'd')));
      await moves([one], () => fs.symlinkSync('x', join(one, 'l')));
      await moves([one, two], () => fs.renameSync(join(one, 'f'), join(two, 'f')));
    },
  },
  {
    name: 'a name has at most 255 bytes',
    run(folder) {
      const [longest, tooLong, wide] = ['n'.repeat(255), 'n'.repeat(256), '€'.repeat(85)];
      for (const name of [longest, wide]) {
        fs.writeFileSync(join(folder, name), 'x');
        assert.equal(fs.readFileSync(join(folder, name), 'utf8'), 'x');
      }
      assert.deepEqual(fs.readdirSync(folder).sort(), [longest, wide].sort());
      fails(() => fs.writeFileSync(join(folder, tooLong), 'x'), 'ENAMETOOLONG');
      fails(() => fs.statSync(join(folder, tooLong)), 'ENAMETOOLONG');
      fails(() => fs.mkdirSync(join(folder, `${wide}€`)), 'ENAMETOOLONG');
      fails(() => fs.renameSync(join(folder, longest), join(folder, tooLong)), 'ENAMETOOLONG');
      fails(() => fs.symlinkSync('x', join(folder, tooLong)), 'ENAMETOOLONG');
    },
  },
  {
    name: 'any character but / is good for a name, and each name is its own',
    run(folder) {
      const names = [
        ' ',
        '  ',
        '-rf',
        '.hidden',
        '..x',
        'a b',
        'a\nb',
        'a\\b',
        'a\tb',
        '*?[',
        "quo'te",
        '"',
        'end.',
        ':',
        'A',
        'a',
        'ä',
        'a\u0308',
        '名前',
        '🦆',
        '\ufeffbom',
        '\u202ertl',
        '\u0001',
        'con',
        'a;b',
        '%41',
        '~',
        '#',
      ];
      for (const name of names) fs.writeFileSync(join(folder, name), name);
      assert.deepEqual(fs.readdirSync(folder).sort(), [...names].sort());
      for (const name of names) assert.equal(fs.readFileSync(join(folder, name), 'utf8'), name);
    },
  },
  {
    name: 'unlink and rmdir each take their own kind only, and only if it is there and empty',
    run(folder) {
      fs.mkdirSync(join(folder, 'd', 'sub'), { recursive: true });
      fs.writeFileSync(join(folder, 'f'), '');
      fails(() => fs.unlinkSync(join(folder, 'd')), 'EISDIR', 'EPERM');
      fails(() => fs.unlinkSync(join(folder, 'none')), 'ENOENT');
      fails(() => fs.unlinkSync(join(folder, 'f', 'x')), 'ENOTDIR');
      fails(() => fs.rmdirSync(join(folder, 'f')), 'ENOTDIR');
      fails(() => fs.rmdirSync(join(folder, 'd')), 'ENOTEMPTY', 'EEXIST');
      fails(() => fs.rmdirSync(join(folder, 'none')), 'ENOENT');
      fs.rmdirSync(join(folder, 'd', 'sub'));
      fs.rmdirSync(join(folder, 'd'));
      fs.unlinkSync(join(folder, 'f'));
      assert.deepEqual(fs.readdirSync(folder), []);
    },
  },
  {
    name: 'mkdir fails where something is, and where there is no folder above',
    run(folder) {
      fs.mkdirSync(join(folder, 'd'));
      fs.writeFileSync(join(folder, 'f'), '');
      fs.symlinkSync('nowhere', join(folder, 'l'));
      for (const name of ['d', 'f', 'l']) fails(() => fs.mkdirSync(join(folder, name)), 'EEXIST');
      fails(() => fs.mkdirSync(join(folder, 'none', 'd')), 'ENOENT');
      fails(() => fs.mkdirSync(join(folder, 'f', 'd')), 'ENOTDIR');
    },
  },
  {
    name: 'a folder\u2019s link count tells its folders',
    run(folder) {
      const count = (name = '') => fs.statSync(join(folder, name)).nlink;
      fs.mkdirSync(join(folder, 'a'));
      assert.equal(count('a'), 2);
      fs.mkdirSync(join(folder, 'a', 'b'));
      fs.mkdirSync(join(folder, 'c'));
      fs.writeFileSync(join(folder, 'a', 'f'), '');
      assert.equal(count('a'), 3);
      assert.equal(count(), 4);
      fs.renameSync(join(folder, 'a', 'b'), join(folder, 'c', 'b'));
      assert.equal(count('a'), 2);
      assert.equal(count('c'), 3);
      fs.rmdirSync(join(folder, 'c', 'b'));
      assert.equal(count('c'), 2);
    },
  },
  {
    name: 'a deep tree is made and removed',
    run(folder) {
      const deep = join(folder, ...Array.from({ length: 40 }, (_, level) => `level-${level}`));
      fs.mkdirSync(deep, { recursive: true });
      fs.writeFileSync(join(deep, 'f'), 'bottom');
      assert.equal(fs.readFileSync(join(deep, 'f'), 'utf8'), 'bottom');
      fs.rmSync(join(folder, 'level-0'), { recursive: true });
      assert.deepEqual(fs.readdirSync(folder), []);
    },
  },
  {
    name: 'nothing can be made in a folder that was removed',
    needs: ['python3'],
    run(folder) {
      const script = `
import os, sys
d = os.open(sys.argv[1], os.O_RDONLY)
os.rmdir(sys.argv[1])
for make in (lambda: os.mkdir('x', dir_fd=d), lambda: os.open('f', os.O_CREAT | os.O_WRONLY, dir_fd=d)):
    try:
        make()
        print('made')
    except FileNotFoundError:
        print('refused')
print(os.listdir(d))
`;
      fs.mkdirSync(join(folder, 'd'));
      assert.equal(python(script, join(folder, 'd')), 'refused\nrefused\n[]\n');
    },
  },
];
