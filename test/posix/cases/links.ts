import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { fails, type PosixCase } from '../case.js';

export const linkCases: PosixCase[] = [
  {
    name: 'a symbolic link says what it was told, be it there or not',
    run(folder) {
      for (const target of ['f', '/absolute/nowhere', '../up', 'ünï', ' ', 'x'.repeat(4_000)]) {
        const path = join(folder, 'l');
        fs.symlinkSync(target, path);
        assert.equal(fs.readlinkSync(path), target);
        const stat = fs.lstatSync(path);
        assert.ok(stat.isSymbolicLink());
        assert.equal(stat.size, Buffer.byteLength(target));
        fs.unlinkSync(path);
      }
    },
  },
  {
    name: 'a symbolic link is followed, by files and folders',
    run(folder) {
      fs.mkdirSync(join(folder, 'd'));
      fs.symlinkSync('d', join(folder, 'l'));
      fs.writeFileSync(join(folder, 'l', 'f'), 'x');
      assert.equal(fs.readFileSync(join(folder, 'd', 'f'), 'utf8'), 'x');
      fs.symlinkSync('../d/f', join(folder, 'd', 'l'));
      assert.equal(fs.readFileSync(join(folder, 'l', 'l'), 'utf8'), 'x');
      assert.equal(fs.realpathSync(join(folder, 'l', 'l')), join(fs.realpathSync(folder), 'd', 'f'));
    },
  },
  {
    name: 'symbolic links in a circle end with ELOOP, dangling ones with ENOENT',
    run(folder) {
      fs.symlinkSync('b', join(folder, 'a'));
      fs.symlinkSync('a', join(folder, 'b'));
      fs.symlinkSync('nowhere', join(folder, 'c'));
      fails(() => fs.readFileSync(join(folder, 'a')), 'ELOOP');
      fails(() => fs.readFileSync(join(folder, 'c')), 'ENOENT');
    },
  },
  {
    name: 'a link cannot be made where something is, nor can a file be read as one',
    run(folder) {
      fs.writeFileSync(join(folder, 'f'), '');
      fs.mkdirSync(join(folder, 'd'));
      fails(() => fs.symlinkSync('x', join(folder, 'f')), 'EEXIST');
      fails(() => fs.symlinkSync('x', join(folder, 'd')), 'EEXIST');
      fails(() => fs.readlinkSync(join(folder, 'f')), 'EINVAL');
      fails(() => fs.linkSync(join(folder, 'f'), join(folder, 'd')), 'EEXIST');
      fails(() => fs.linkSync(join(folder, 'none'), join(folder, 'g')), 'ENOENT');
      fails(() => fs.linkSync(join(folder, 'd'), join(folder, 'g')), 'EPERM');
    },
  },
  {
    name: 'a hard link is a further name of one file',
    run(folder) {
      const [a, b] = [join(folder, 'a'), join(folder, 'b')];
      fs.writeFileSync(a, 'content');
      fs.linkSync(a, b);
      assert.equal(fs.statSync(a).ino, fs.statSync(b).ino);
      assert.equal(fs.statSync(a).nlink, 2);
      fs.writeFileSync(b, 'changed');
      assert.equal(fs.readFileSync(a, 'utf8'), 'changed');
      fs.chmodSync(b, 0o600);
      assert.equal(fs.statSync(a).mode & 0o777, 0o600);
    },
  },
  {
    name: 'a file lives until its last name goes',
    run(folder) {
      const [a, b, c] = [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')];
      fs.writeFileSync(a, 'content');
      const { ino } = fs.statSync(a);
      fs.linkSync(a, b);
      fs.linkSync(b, c);
      fs.unlinkSync(a);
      assert.equal(fs.statSync(b).nlink, 2);
      fs.renameSync(b, a);
      assert.equal(fs.statSync(a).ino, ino);
      fs.unlinkSync(c);
      assert.equal(fs.statSync(a).nlink, 1);
      assert.equal(fs.readFileSync(a, 'utf8'), 'content');
    },
  },
  {
    name: 'a hard link in another folder survives the first folder',
    run(folder) {
      fs.mkdirSync(join(folder, 'd'));
      fs.writeFileSync(join(folder, 'd', 'f'), 'x');
      fs.linkSync(join(folder, 'd', 'f'), join(folder, 'g'));
      fs.rmSync(join(folder, 'd'), { recursive: true });
      assert.equal(fs.readFileSync(join(folder, 'g'), 'utf8'), 'x');
      assert.equal(fs.statSync(join(folder, 'g')).nlink, 1);
    },
  },
  {
    name: 'rename over one of two names leaves the other',
    run(folder) {
      const [a, b, c] = [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')];
      fs.writeFileSync(a, 'shared');
      fs.linkSync(a, b);
      fs.writeFileSync(c, 'new');
      fs.renameSync(c, b);
      assert.equal(fs.readFileSync(a, 'utf8'), 'shared');
      assert.equal(fs.readFileSync(b, 'utf8'), 'new');
      assert.equal(fs.statSync(a).nlink, 1);
    },
  },
  {
    name: 'a symbolic link is renamed, removed and replaced as itself',
    run(folder) {
      fs.writeFileSync(join(folder, 'f'), 'x');
      fs.symlinkSync('f', join(folder, 'l'));
      fs.renameSync(join(folder, 'l'), join(folder, 'm'));
      assert.equal(fs.readlinkSync(join(folder, 'm')), 'f');
      fs.writeFileSync(join(folder, 'n'), 'n');
      fs.renameSync(join(folder, 'n'), join(folder, 'm'));
      assert.ok(fs.lstatSync(join(folder, 'm')).isFile());
      assert.equal(fs.readFileSync(join(folder, 'f'), 'utf8'), 'x');
    },
  },
];
