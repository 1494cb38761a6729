import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type PosixCase, python } from '../case.js';

function fill(folder: string, count: number, prefix = 'file'): string[] {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(5, '0')}`);
  for (const name of names) fs.closeSync(fs.openSync(join(folder, name), 'w'));
  return names;
}

/** Reads on from an open folder, at most `limit` names. */
function take(directory: fs.Dir, limit = Number.POSITIVE_INFINITY): string[] {
  const names: string[] = [];
  while (names.length < limit) {
    const entry = directory.readSync();
    if (entry === null) break;
    names.push(entry.name);
  }
  return names;
}

export const directoryCases: PosixCase[] = [
  {
    name: 'a folder that is removed or replaced while it is open keeps its attributes, and they can be changed',
    needs: ['root', 'python3'],
    run(folder) {
      for (const replaced of [false, true]) {
        const path = join(folder, 'd');
        fs.mkdirSync(path);
        python('import os, sys; os.setxattr(sys.argv[1], "user.kept", b"x")', path);
        const fd = fs.openSync(path, 'r');
        if (replaced) fs.mkdirSync(join(folder, 'other'));
        if (replaced) fs.renameSync(join(folder, 'other'), path);
        else fs.rmdirSync(path);
        fs.fchmodSync(fd, 0o710);
        fs.fchownSync(fd, 1234, 4321);
        fs.futimesSync(fd, 1, 1_000);
        const { mode, nlink, uid, gid, mtimeMs } = fs.fstatSync(fd);
        assert.deepEqual([mode, nlink, uid, gid, mtimeMs], [0o40710, 0, 1234, 4321, 1_000_000]);
        const script = 'import os, sys; print(os.listxattr(sys.argv[1]))';
        assert.equal(python(script, `/proc/${process.pid}/fd/${fd}`), "['user.kept']\n");
        fs.closeSync(fd);
      }
    },
  },
  {
    name: 'a new folder is empty',
    run(folder) {
      fs.mkdirSync(join(folder, 'd'), { mode: 0o751 });
      assert.deepEqual(fs.readdirSync(join(folder, 'd')), []);
      assert.equal(fs.statSync(join(folder, 'd')).mode, 0o040751);
    },
  },
  {
    name: 'a large folder lists every name once',
    run(folder) {
      const names = fill(folder, 3_000);
      assert.deepEqual(fs.readdirSync(folder).sort(), names);
    },
  },
  {
    name: 'long names are listed whole',
    run(folder) {
      const names = Array.from(
        { length: 300 },
        (_, index) => `${String(index).padStart(3, '0')}${'x'.repeat(252)}`,
      );
      for (const name of names) fs.writeFileSync(join(folder, name), '');
      assert.deepEqual(fs.readdirSync(folder).sort(), names);
    },
  },
  {
    name: 'a listing knows the kind of each entry',
    async run(folder) {
      fs.writeFileSync(join(folder, 'file'), '');
      fs.mkdirSync(join(folder, 'directory'));
      fs.symlinkSync('file', join(folder, 'link'));
      const server = net.createServer();
      // The path of a socket has at most 107 bytes: it is made by a short way and moved here.
      const short = fs.mkdtempSync('/tmp/s-');
      fs.symlinkSync(folder, join(short, 'f'));
      await new Promise<void>((resolve) => server.listen(join(short, 'f', 'socket'), resolve));
      const kinds = fs
        .readdirSync(folder, { withFileTypes: true })
        .map((entry) => [
          entry.name,
          [entry.isFile(), entry.isDirectory(), entry.isSymbolicLink(), entry.isSocket()].indexOf(true),
        ]);
      server.close();
      fs.rmSync(short, { recursive: true });
      assert.deepEqual(kinds.sort(), [
        ['directory', 1],
        ['file', 0],
        ['link', 2],
        ['socket', 3],
      ]);
    },
  },
  {
    name: 'a listing shows the inode number that stat shows, also of . and ..',
    needs: ['python3'],
    run(folder) {
      fs.mkdirSync(join(folder, 'd', 'sub'), { recursive: true });
      fs.writeFileSync(join(folder, 'd', 'f'), '');
      fs.symlinkSync('f', join(folder, 'd', 'l'));
      const script = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Dirent(ctypes.Structure):
    _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64), ('reclen', ctypes.c_uint16), ('type', ctypes.c_uint8), ('name', ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.argtypes = [ctypes.c_void_p]
libc.readdir.restype = ctypes.POINTER(Dirent)
stream = libc.opendir(os.fsencode(sys.argv[1]))
while True:
    entry = libc.readdir(stream)
    if not entry: break
    name = os.fsdecode(entry.contents.name)
    print(name, entry.contents.ino == os.lstat(os.path.join(sys.argv[1], name)).st_ino)
`;
      const lines = python(script, join(folder, 'd')).trimEnd().split('\n').sort();
      assert.deepEqual(lines, ['. True', '.. True', 'f True', 'l True', 'sub True']);
    },
  },
  {
    name: 'entries removed while a folder is read hide no other',
    run(folder) {
      const names = fill(folder, 1_500);
      const directory = fs.opendirSync(folder, { bufferSize: 32 });
      const seen = new Set<string>();
      for (;;) {
        const some = take(directory, 100);
        for (const name of some) {
          assert.ok(!seen.has(name), `${name} twice`);
          seen.add(name);
          fs.unlinkSync(join(folder, name));
        }
        if (some.length < 100) break;
      }
      directory.closeSync();
      assert.equal(seen.size, names.length);
      assert.deepEqual(fs.readdirSync(folder), []);
    },
  },
  {
    name: 'entries made while a folder is read show no other twice and hide none',
    run(folder) {
      const names = fill(folder, 1_000, 'old');
      const directory = fs.opendirSync(folder, { bufferSize: 32 });
      const seen: string[] = [];
      for (let round = 0; ; round++) {
        const some = take(directory, 64);
        seen.push(...some);
        if (some.length < 64) break;
        for (const prefix of ['a', 'old-00500-', 'z'])
          fs.writeFileSync(join(folder, `${prefix}${round}`), '');
        if (round > 200) break;
      }
      directory.closeSync();
      const old = seen.filter((name) => /^old-\d{5}$/.test(name));
      assert.equal(new Set(old).size, old.length, 'a name twice');
      assert.deepEqual(old.sort(), names);
    },
  },
  {
    name: 'renames while a folder is read leave the others once each',
    run(folder) {
      const names = fill(folder, 600);
      const directory = fs.opendirSync(folder, { bufferSize: 32 });
      const seen = take(directory, 100);
      const moved = names.filter((_, index) => index % 3 === 0);
      for (const name of moved) fs.renameSync(join(folder, name), join(folder, `moved-${name}`));
      seen.push(...take(directory));
      directory.closeSync();
      const others = names.filter((_, index) => index % 3 !== 0);
      assert.deepEqual(seen.filter((name) => others.includes(name)).sort(), others);
    },
  },
  {
    name: 'telldir and seekdir come back to the same place, rewinddir sees what is new',
    needs: ['python3'],
    run(folder) {
      fill(folder, 400);
      const script = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Dirent(ctypes.Structure):
    _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64), ('reclen', ctypes.c_uint16), ('type', ctypes.c_uint8), ('name', ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
for name in ('readdir', 'telldir', 'seekdir', 'rewinddir'):
    getattr(libc, name).argtypes = [ctypes.c_void_p] + ([ctypes.c_long] if name == 'seekdir' else [])
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long
stream = libc.opendir(os.fsencode(sys.argv[1]))
def read(count=10**6):
    names = []
    while len(names) < count:
        entry = libc.readdir(stream)
        if not entry: break
        names.append(os.fsdecode(entry.contents.name))
    return names
first = read(150)
place = libc.telldir(stream)
rest = read()
libc.seekdir(stream, place)
print(read() == rest, len(set(first + rest)))
libc.seekdir(stream, place)
print(read(5) == rest[:5])
open(os.path.join(sys.argv[1], 'brand-new'), 'w').close()
libc.rewinddir(stream)
again = read()
print('brand-new' in again, len(again))
`;
      assert.equal(python(script, folder), 'True 402\nTrue\nTrue 403\n');
    },
  },
  {
    name: 'a removed folder that is open reads as ended',
    run(folder) {
      fs.mkdirSync(join(folder, 'd'));
      const directory = fs.opendirSync(join(folder, 'd'));
      fs.rmdirSync(join(folder, 'd'));
      assert.deepEqual(take(directory), []);
      directory.closeSync();
    },
  },
  {
    name: 'a listing with attributes is right after each change',
    run(folder) {
      fill(folder, 50);
      const sizes = () =>
        fs.readdirSync(folder).map((name) => [name, fs.lstatSync(join(folder, name)).size] as const);
      assert.ok(sizes().every(([, size]) => size === 0));
      fs.writeFileSync(join(folder, 'file-00007'), 'seven');
      fs.unlinkSync(join(folder, 'file-00008'));
      const after = new Map(sizes());
      assert.equal(after.get('file-00007'), 5);
      assert.equal(after.has('file-00008'), false);
      assert.equal(after.size, 49);
    },
  },
];
