import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { type PosixCase, pattern, python } from '../case.js';

export const extraCases: PosixCase[] = [
  {
    name: 'extended attributes are set, read, listed and removed',
    needs: ['python3'],
    run(folder) {
      const script = `
import os, sys
f = sys.argv[1] + '/f'
open(f, 'w').close()
os.mkdir(sys.argv[1] + '/d')
for path in (f, sys.argv[1] + '/d'):
    assert os.listxattr(path) == []
    os.setxattr(path, 'user.one', b'1')
    os.setxattr(path, 'user.bytes', bytes(range(256)))
    os.setxattr(path, 'user.empty', b'')
    os.setxattr(path, 'user.\\u00fcml', b'x' * 1000)
    assert sorted(os.listxattr(path)) == ['user.bytes', 'user.empty', 'user.one', 'user.\\u00fcml'], os.listxattr(path)
    assert os.getxattr(path, 'user.bytes') == bytes(range(256))
    assert os.getxattr(path, 'user.empty') == b''
    os.setxattr(path, 'user.one', b'changed')
    assert os.getxattr(path, 'user.one') == b'changed'
    os.removexattr(path, 'user.one')
    assert 'user.one' not in os.listxattr(path)
`;
      python(script, folder);
    },
  },
  {
    name: 'extended attributes: XATTR_CREATE, XATTR_REPLACE and what is missing',
    needs: ['python3'],
    run(folder) {
      const script = `
import errno, os, sys
f = sys.argv[1] + '/f'
open(f, 'w').close()
def error(call):
    try:
        call()
    except OSError as e:
        return errno.errorcode[e.errno]
os.setxattr(f, 'user.a', b'1', os.XATTR_CREATE)
print(error(lambda: os.setxattr(f, 'user.a', b'2', os.XATTR_CREATE)))
print(error(lambda: os.setxattr(f, 'user.b', b'2', os.XATTR_REPLACE)))
print(error(lambda: os.getxattr(f, 'user.none')))
print(error(lambda: os.removexattr(f, 'user.none')))
print(os.getxattr(f, 'user.a'))
`;
      assert.equal(python(script, folder), "EEXIST\nENODATA\nENODATA\nENODATA\nb'1'\n");
    },
  },
  {
    name: 'extended attributes go along with a rename and are seen through each name',
    needs: ['python3'],
    run(folder) {
      const script = `
import os, sys
os.chdir(sys.argv[1])
open('f', 'w').close()
os.setxattr('f', 'user.a', b'1')
os.link('f', 'g')
os.rename('f', 'h')
print(os.getxattr('g', 'user.a'), os.getxattr('h', 'user.a'))
os.chdir('/')
`;
      assert.equal(python(script, folder), "b'1' b'1'\n");
    },
  },
  {
    name: 'a shared mapping writes the file, and shows what is written to it',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, pattern(10_000));
      const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
m[5000:5005] = b'HELLO'
print(os.pread(fd, 5, 5000))
os.pwrite(fd, b'world', 100)
print(m[100:105])
m.flush()
m.close()
os.close(fd)
`;
      assert.equal(python(script, path), "b'HELLO'\nb'world'\n");
      const expected = pattern(10_000);
      expected.write('HELLO', 5_000);
      expected.write('world', 100);
      assert.ok(fs.readFileSync(path).equals(expected));
    },
  },
  {
    name: 'a mapping that is written after close() reaches the file',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'lower case');
      const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
os.close(fd)
m[0:5] = b'UPPER'
m.close()
`;
      python(script, path);
      assert.equal(fs.readFileSync(path, 'utf8'), 'UPPER case');
    },
  },
  {
    name: 'a private mapping leaves the file alone',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'as it was');
      const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
m = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
m[0:2] = b'AS'
print(m[0:9])
`;
      assert.equal(python(script, path), "b'AS it was'\n");
      assert.equal(fs.readFileSync(path, 'utf8'), 'as it was');
    },
  },
  {
    name: 'a mapping through an appending descriptor writes where it is, not at the end',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'first second');
      const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
m = mmap.mmap(fd, 0)
m[0:5] = b'FIRST'
m.flush()
os.write(fd, b' third')
m.close()
os.close(fd)
`;
      python(script, path);
      assert.equal(fs.readFileSync(path, 'utf8'), 'FIRST second third');
    },
  },
  {
    name: 'O_APPEND can be taken away and given back by fcntl',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'abc');
      const script = `
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
flags = fcntl.fcntl(fd, fcntl.F_GETFL)
fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
os.pwrite(fd, b'X', 0)
fcntl.fcntl(fd, fcntl.F_SETFL, flags)
os.pwrite(fd, b'd', 0)
os.close(fd)
`;
      python(script, path);
      assert.equal(fs.readFileSync(path, 'utf8'), 'Xbcd');
    },
  },
  {
    name: 'locks of one process keep another out until it lets go',
    needs: ['python3'],
    run(folder) {
      const script = `
import fcntl, os, subprocess, sys
path = sys.argv[1]
other = '''
import fcntl, sys
f = open(sys.argv[1], 'r+')
try:
    getattr(fcntl, sys.argv[2])(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('got', end=' ')
except OSError:
    print('kept', end=' ')
'''
f = open(path, 'w+')
for kind in ('flock', 'lockf'):
    def attempt(): print(subprocess.run([sys.executable, '-c', other, path, kind], capture_output=True, text=True).stdout)
    getattr(fcntl, kind)(f, fcntl.LOCK_EX)
    attempt()
    getattr(fcntl, kind)(f, fcntl.LOCK_UN)
    attempt()
`;
      assert.equal(python(script, join(folder, 'f')), 'kept \ngot \nkept \ngot \n');
    },
  },
  {
    name: 'posix_fallocate makes room',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'abc');
      const script =
        'import os, sys; fd = os.open(sys.argv[1], os.O_RDWR); os.posix_fallocate(fd, 0, 100000)';
      python(script, path);
      assert.equal(fs.statSync(path).size, 100_000);
      assert.equal(fs.readFileSync(path).subarray(0, 4).toString(), 'abc\0');
    },
  },
  {
    name: 'fallocate keeps the size where it is told so, punches holes and zeroes ranges',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      const bytes = Buffer.alloc(300_000, 7);
      fs.writeFileSync(path, bytes);
      const script = `
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDWR)
mode, at, length = [int(each) for each in sys.argv[2:]]
if c.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(length)) != 0: raise OSError(ctypes.get_errno())
`;
      const fallocate = (mode: number, at: number, length: number) =>
        python(script, path, `${mode}`, `${at}`, `${length}`);
      const [keepSize, punchHole, zeroRange] = [1, 2, 16];
      fallocate(keepSize, 0, 400_000);
      assert.equal(fs.statSync(path).size, 300_000);
      fallocate(keepSize | punchHole, 1000, 200_000);
      bytes.fill(0, 1000, 201_000);
      assert.ok(fs.readFileSync(path).equals(bytes));
      fallocate(zeroRange, 290_000, 20_000);
      assert.ok(fs.readFileSync(path).equals(Buffer.concat([bytes.fill(0, 290_000), Buffer.alloc(10_000)])));
      fallocate(0, 0, 500_000);
      assert.equal(fs.statSync(path).size, 500_000);
    },
  },
  {
    name: 'a copy by copy_file_range has the same bytes, whole or in parts, and goes its own way',
    needs: ['python3'],
    run(folder) {
      const [from, to] = [join(folder, 'from'), join(folder, 'to')];
      const bytes = Buffer.alloc(3_000_000);
      for (let i = 0; i < bytes.length; i += 4) bytes.writeInt32LE(Math.imul(i, 0x9e3779b1), i);
      fs.writeFileSync(from, bytes);
      const script = `
import os, sys
source = os.open(sys.argv[1], os.O_RDONLY)
target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for size in [int(each) for each in sys.argv[3:]]:
    print(os.copy_file_range(source, target, size), end=' ')
`;
      assert.equal(python(script, from, to, '9000000', '10'), '3000000 0 ');
      assert.ok(fs.readFileSync(to).equals(bytes));
      assert.equal(python(script, from, to, '1000000', '1500000', '9000000'), '1000000 1500000 500000 ');
      assert.ok(fs.readFileSync(to).equals(bytes));
      const fd = fs.openSync(to, 'r+');
      fs.writeSync(fd, 'changed', 1_500_000);
      fs.closeSync(fd);
      assert.ok(fs.readFileSync(from).equals(bytes));
      bytes.write('changed', 1_500_000);
      assert.ok(fs.readFileSync(to).equals(bytes));
      const part = `
import os, sys
source = os.open(sys.argv[1], os.O_RDONLY)
target = os.open(sys.argv[2], os.O_RDWR)
print(os.copy_file_range(source, target, 2_100_000, 700_001, 5_000_003), os.copy_file_range(target, target, 90_000, 5, 4_000_000))
`;
      assert.equal(python(part, from, to), '2100000 90000\n');
      const longer = Buffer.concat([bytes, Buffer.alloc(7_100_003 - bytes.length)]);
      fs.readFileSync(from).copy(longer, 5_000_003, 700_001, 2_800_001);
      longer.copy(longer, 4_000_000, 5, 90_005);
      assert.ok(fs.readFileSync(to).equals(longer));
    },
  },
  {
    name: 'the end of a file is found by lseek, data and holes too',
    needs: ['python3'],
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, Buffer.alloc(5_000, 1));
      const script = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print(os.lseek(fd, 0, os.SEEK_END), os.lseek(fd, 10, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE))
`;
      assert.equal(python(script, path), '5000 10 5000\n');
    },
  },
  {
    name: 'a database with a write-ahead log works, from two processes',
    needs: ['python3'],
    run(folder) {
      const script = `
import sqlite3, subprocess, sys
path = sys.argv[1]
c = sqlite3.connect(path)
print(c.execute('pragma journal_mode=wal').fetchone()[0])
c.execute('create table t (i integer primary key, s text)')
with c:
    c.executemany('insert into t (s) values (?)', [('row %d' % i,) for i in range(2000)])
child = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('insert into t (s) values (1)'); c.commit(); print(c.execute('select count(*) from t').fetchone()[0])"
print(subprocess.run([sys.executable, '-c', child, path], capture_output=True, text=True).stdout.strip())
print(c.execute('select count(*) from t').fetchone()[0], c.execute('pragma integrity_check').fetchone()[0])
c.close()
`;
      assert.equal(python(script, join(folder, 'db')), 'wal\n2001\n2001 ok\n');
    },
  },
  {
    name: 'a file without a name (O_TMPFILE), or a refusal that programs know',
    needs: ['python3'],
    run(folder) {
      const script = `
import errno, os, sys
try:
    fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)
    os.write(fd, b'x')
    print('ok')
except OSError as e:
    print('ok' if e.errno in (errno.EOPNOTSUPP, errno.EISDIR) else e)
`;
      assert.equal(python(script, folder), 'ok\n');
    },
  },
];
