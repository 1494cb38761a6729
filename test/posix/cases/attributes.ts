import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { asNobody, fails, type PosixCase, python } from '../case.js';

const tick = () => new Promise((resolve) => setTimeout(resolve, 15));
const NOBODY = 65534;

export const attributeCases: PosixCase[] = [
  {
    name: 'chmod sets permissions of files and folders, by path and by descriptor',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, '');
      for (const mode of [0o000, 0o777, 0o640, 0o4755, 0o2711, 0o1644]) {
        fs.chmodSync(path, mode);
        assert.equal(fs.statSync(path).mode, 0o100000 | mode);
      }
      const fd = fs.openSync(path, 'r');
      fs.fchmodSync(fd, 0o604);
      assert.equal(fs.fstatSync(fd).mode, 0o100604);
      fs.closeSync(fd);
      fs.mkdirSync(join(folder, 'd'));
      fs.chmodSync(join(folder, 'd'), 0o1777);
      assert.equal(fs.statSync(join(folder, 'd')).mode, 0o041777);
    },
  },
  {
    name: 'chmod marks the ctime and not the mtime, a write marks both, a read neither',
    async run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'x');
      const look = () => fs.statSync(path, { bigint: true });
      const first = look();
      await tick();
      fs.chmodSync(path, 0o600);
      const second = look();
      assert.equal(second.mtimeNs, first.mtimeNs);
      assert.ok(second.ctimeNs > first.ctimeNs);
      await tick();
      fs.appendFileSync(path, 'y');
      const third = look();
      assert.ok(third.mtimeNs > second.mtimeNs);
      assert.ok(third.ctimeNs > second.ctimeNs);
      await tick();
      fs.readFileSync(path);
      assert.equal(look().mtimeNs, third.mtimeNs);
      assert.equal(look().ctimeNs, third.ctimeNs);
      fs.truncateSync(path, 1);
      assert.ok(look().mtimeNs > third.mtimeNs);
    },
  },
  {
    name: 'times are kept to the nanosecond, also long ago and far ahead',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'x');
      const set = 'import os, sys; os.utime(sys.argv[1], ns=(int(sys.argv[2]), int(sys.argv[2])))';
      for (const time of ['1700000000123456789', '1', '-1000000001', '5000000000999999999']) {
        python(set, path, time);
        assert.equal(fs.statSync(path, { bigint: true }).mtimeNs, BigInt(time));
      }
      python(set, folder, '1700000000123456789');
      assert.equal(fs.statSync(folder, { bigint: true }).mtimeNs, 1700000000123456789n);
    },
  },
  {
    name: 'a time that was set holds until the next write, through close and rename',
    run(folder) {
      const path = join(folder, 'f');
      const fd = fs.openSync(path, 'w');
      fs.writeSync(fd, 'x');
      fs.futimesSync(fd, 1_000_000_000, 1_000_000_000);
      fs.closeSync(fd);
      assert.equal(fs.statSync(path).mtimeMs, 1_000_000_000_000);
      fs.renameSync(path, join(folder, 'g'));
      assert.equal(fs.statSync(join(folder, 'g')).mtimeMs, 1_000_000_000_000);
      fs.appendFileSync(join(folder, 'g'), 'y');
      assert.ok(fs.statSync(join(folder, 'g')).mtimeMs > 1_500_000_000_000);
    },
  },
  {
    name: 'a folder’s time is set again to what it was set to before an entry changed',
    run(folder) {
      const path = join(folder, 'd');
      fs.mkdirSync(path);
      for (const name of ['one', 'two']) {
        fs.utimesSync(path, 1_000_000_000, 1_000_000_000);
        fs.mkdirSync(join(path, name));
        assert.ok(fs.statSync(path).mtimeMs > 1_500_000_000_000);
        fs.chmodSync(path, 0o700);
        assert.ok(fs.statSync(path).mtimeMs > 1_500_000_000_000);
        fs.utimesSync(path, 1_000_000_000, 1_000_000_000);
        assert.equal(fs.statSync(path).mtimeMs, 1_000_000_000_000);
      }
    },
  },
  {
    name: 'the times of a symbolic link are its own',
    run(folder) {
      fs.writeFileSync(join(folder, 'f'), 'x');
      fs.symlinkSync('f', join(folder, 'l'));
      fs.lutimesSync(join(folder, 'l'), 1_000_000_000, 1_000_000_000);
      assert.equal(fs.lstatSync(join(folder, 'l')).mtimeMs, 1_000_000_000_000);
      assert.notEqual(fs.statSync(join(folder, 'f')).mtimeMs, 1_000_000_000_000);
    },
  },
  {
    name: 'chown sets owner and group, of a link itself too',
    needs: ['root'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'x');
      fs.symlinkSync('f', join(folder, 'l'));
      fs.chownSync(path, 1234, 4321);
      assert.deepEqual([fs.statSync(path).uid, fs.statSync(path).gid], [1234, 4321]);
      fs.lchownSync(join(folder, 'l'), 11, 12);
      assert.deepEqual([fs.lstatSync(join(folder, 'l')).uid, fs.lstatSync(join(folder, 'l')).gid], [11, 12]);
      assert.deepEqual([fs.statSync(path).uid, fs.statSync(path).gid], [1234, 4321]);
    },
  },
  {
    name: 'chown takes set-user-id away, of all but folders',
    needs: ['root', 'python3'],
    run(folder) {
      fs.writeFileSync(join(folder, 'file'), 'x');
      fs.mkdirSync(join(folder, 'folder'));
      python('import os, sys; os.mkfifo(sys.argv[1])', join(folder, 'fifo'));
      for (const name of ['file', 'fifo', 'folder']) {
        fs.chmodSync(join(folder, name), 0o6755);
        fs.chownSync(join(folder, name), 1234, 4321);
        const expected = name === 'folder' ? 0o6755 : 0o755;
        assert.equal(fs.statSync(join(folder, name)).mode & 0o7777, expected, name);
      }
    },
  },
  {
    name: 'a write by an ordinary user takes set-user-id away, one by root does not',
    needs: ['root'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'x');
      fs.chmodSync(path, 0o6777);
      fs.appendFileSync(path, 'y');
      assert.equal(fs.statSync(path).mode & 0o7777, 0o6777);
      assert.deepEqual(asNobody('echo z >> "$1"', path), { status: 0, stderr: '' });
      assert.equal(fs.statSync(path).mode & 0o7777, 0o777);
    },
  },
  {
    name: 'a file belongs to who made it',
    needs: ['root'],
    run(folder) {
      fs.chmodSync(folder, 0o777);
      assert.equal(
        asNobody('umask 077; cd "$1" && echo x > f && mkdir d && ln -s x l && mkfifo p', folder).status,
        0,
      );
      for (const name of ['f', 'd', 'l', 'p']) {
        const stat = fs.lstatSync(join(folder, name));
        assert.deepEqual([stat.uid, stat.gid], [NOBODY, NOBODY], name);
      }
      assert.equal(fs.statSync(join(folder, 'f')).mode, 0o100600);
      assert.equal(fs.statSync(join(folder, 'd')).mode, 0o040700);
    },
  },
  {
    name: 'permissions are obeyed',
    needs: ['root'],
    run(folder) {
      fs.writeFileSync(join(folder, 'secret'), 'x', { mode: 0o600 });
      fs.writeFileSync(join(folder, 'public'), 'x', { mode: 0o644 });
      fs.mkdirSync(join(folder, 'closed'), { mode: 0o700 });
      fs.mkdirSync(join(folder, 'closed', 'inner'), { mode: 0o777 });
      const denied = (script: string) => assert.notEqual(asNobody(script, folder).status, 0, script);
      denied('cat "$1/secret"');
      denied('echo y >> "$1/public"');
      denied('touch "$1/new"');
      denied('rm -f "$1/public"');
      denied('ls "$1/closed/inner"');
      denied('mv "$1/public" "$1/other"');
      denied('chmod 666 "$1/public"');
      assert.equal(asNobody('cat "$1/public"', folder).status, 0);
      assert.deepEqual(fs.readdirSync(folder).sort(), ['closed', 'public', 'secret']);
    },
  },
  {
    name: 'in a sticky folder only the owner removes',
    needs: ['root'],
    run(folder) {
      fs.chmodSync(folder, 0o1777);
      fs.writeFileSync(join(folder, 'f'), 'x', { mode: 0o666 });
      assert.notEqual(asNobody('rm -f "$1"', join(folder, 'f')).status, 0);
      assert.equal(asNobody('echo y > "$1" && rm "$1"', join(folder, 'mine')).status, 0);
      assert.deepEqual(fs.readdirSync(folder), ['f']);
    },
  },
  {
    name: 'what is made in a set-group-id folder gets its group, and a folder the bit',
    needs: ['root'],
    run(folder) {
      fs.chownSync(folder, 0, 4321);
      fs.chmodSync(folder, 0o2777);
      assert.equal(asNobody('cd "$1" && umask 022 && echo x > f && mkdir d', folder).status, 0);
      assert.equal(fs.statSync(join(folder, 'f')).gid, 4321);
      assert.equal(fs.statSync(join(folder, 'd')).gid, 4321);
      assert.equal(fs.statSync(join(folder, 'd')).mode & 0o7777, 0o2755);
    },
  },
  {
    name: 'access tells what may be done',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'x', { mode: 0o644 });
      fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
      fails(() => fs.accessSync(path, fs.constants.X_OK), 'EACCES');
      fails(() => fs.accessSync(join(folder, 'none')), 'ENOENT');
    },
  },
  {
    name: 'FIFOs and device nodes are made and shown as such',
    needs: ['root', 'python3'],
    run(folder) {
      const script = `
import os, stat, sys
os.mkfifo(sys.argv[1] + '/fifo', 0o640)
os.mknod(sys.argv[1] + '/char', stat.S_IFCHR | 0o600, os.makedev(1, 3))
os.mknod(sys.argv[1] + '/block', stat.S_IFBLK | 0o600, os.makedev(259, 70000))
os.mknod(sys.argv[1] + '/file', stat.S_IFREG | 0o600)
for name in ('char', 'block'):
    s = os.stat(sys.argv[1] + '/' + name)
    print(oct(s.st_mode), os.major(s.st_rdev), os.minor(s.st_rdev))
`;
      assert.equal(python(script, folder), '0o20600 1 3\n0o60600 259 70000\n');
      assert.ok(fs.statSync(join(folder, 'fifo')).isFIFO());
      assert.ok(fs.statSync(join(folder, 'file')).isFile());
    },
  },
  {
    name: 'a FIFO carries bytes',
    needs: ['python3'],
    run(folder) {
      const script = `
import os, sys
path = sys.argv[1] + '/p'
os.mkfifo(path)
if os.fork() == 0:
    with open(path, 'w') as f: f.write('through the pipe')
    os._exit(0)
with open(path) as f: print(f.read())
os.wait()
`;
      assert.equal(python(script, folder), 'through the pipe\n');
    },
  },
  {
    name: 'statfs tells of space',
    run(folder) {
      const space = fs.statfsSync(folder);
      assert.ok(space.bsize >= 512);
      assert.ok(space.blocks >= space.bfree);
      assert.ok(space.bfree >= space.bavail);
    },
  },
  {
    name: 'a file with content takes blocks',
    run(folder) {
      const fd = fs.openSync(join(folder, 'f'), 'w');
      fs.writeSync(fd, Buffer.alloc(100_000, 1));
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      assert.ok(fs.statSync(join(folder, 'f')).blocks * 512 >= 100_000);
    },
  },
  {
    name: 'a program in the folder runs',
    needs: ['python3'],
    run(folder) {
      fs.copyFileSync('/bin/true', join(folder, 'true'));
      fs.chmodSync(join(folder, 'true'), 0o755);
      const script = 'import subprocess, sys; print(subprocess.run([sys.argv[1]]).returncode)';
      assert.equal(python(script, join(folder, 'true')), '0\n');
    },
  },
];
