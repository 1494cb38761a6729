import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { fails, numbers, type PosixCase, pattern } from '../case.js';

const {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TRUNC,
  O_WRONLY,
} = fs.constants;

/** Opens, lets do, closes. */
function withFile<T>(path: string, flags: number | string, use: (fd: number) => T, mode?: number): T {
  const fd = fs.openSync(path, flags, mode);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

export const fileCases: PosixCase[] = [
  {
    name: 'a new file is empty and has the mode that was asked for less the umask',
    run(folder) {
      const path = join(folder, 'f');
      const before = process.umask(0o027);
      try {
        fs.closeSync(fs.openSync(path, O_CREAT | O_WRONLY | O_EXCL, 0o666));
      } finally {
        process.umask(before);
      }
      const stat = fs.statSync(path);
      assert.equal(stat.size, 0);
      assert.equal(stat.mode, 0o100640);
      assert.equal(stat.nlink, 1);
      assert.equal(stat.uid, process.geteuid?.());
    },
  },
  {
    name: 'a file made with mode 0 can be written through the descriptor that made it',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, O_CREAT | O_WRONLY | O_EXCL, (fd) => fs.writeSync(fd, 'x'), 0);
      assert.equal(fs.statSync(path).mode & 0o777, 0);
      assert.equal(fs.statSync(path).size, 1);
    },
  },
  {
    name: 'O_EXCL fails where the name exists, be it a file, a folder or a dangling link',
    run(folder) {
      fs.writeFileSync(join(folder, 'f'), 'old');
      fs.mkdirSync(join(folder, 'd'));
      fs.symlinkSync('nowhere', join(folder, 'l'));
      for (const name of ['f', 'd', 'l']) {
        fails(() => fs.openSync(join(folder, name), O_CREAT | O_EXCL | O_WRONLY), 'EEXIST');
      }
      assert.equal(fs.readFileSync(join(folder, 'f'), 'utf8'), 'old');
    },
  },
  {
    name: 'O_CREAT without O_EXCL opens what exists and keeps its content and mode',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'content', { mode: 0o600 });
      withFile(path, O_CREAT | O_RDWR, (fd) => fs.writeSync(fd, 'C', 0), 0o666);
      assert.equal(fs.readFileSync(path, 'utf8'), 'Content');
      assert.equal(fs.statSync(path).mode & 0o777, 0o600);
    },
  },
  {
    name: 'O_CREAT through a dangling link makes its target',
    run(folder) {
      fs.symlinkSync('target', join(folder, 'l'));
      fs.writeFileSync(join(folder, 'l'), 'x');
      assert.equal(fs.readFileSync(join(folder, 'target'), 'utf8'), 'x');
    },
  },
  {
    name: 'O_TRUNC empties a file, for readers that have it open as well',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'content');
      withFile(path, 'r', (reader) => {
        fs.closeSync(fs.openSync(path, O_WRONLY | O_TRUNC));
        assert.equal(fs.fstatSync(reader).size, 0);
        assert.equal(fs.readSync(reader, Buffer.alloc(10)), 0);
      });
    },
  },
  {
    name: 'opening what is not there or not of that kind fails as it should',
    run(folder) {
      fs.writeFileSync(join(folder, 'f'), '');
      fs.mkdirSync(join(folder, 'd'));
      fs.symlinkSync('f', join(folder, 'l'));
      fails(() => fs.openSync(join(folder, 'none'), 'r'), 'ENOENT');
      fails(() => fs.openSync(join(folder, 'none', 'f'), 'w'), 'ENOENT');
      fails(() => fs.openSync(join(folder, 'f', 'x'), 'r'), 'ENOTDIR');
      fails(() => fs.openSync(`${join(folder, 'f')}/`, 'r'), 'ENOTDIR');
      fails(() => fs.openSync(join(folder, 'd'), 'w'), 'EISDIR');
      fails(() => fs.openSync(join(folder, 'd'), O_RDWR), 'EISDIR');
      fails(() => fs.openSync(join(folder, 'f'), O_RDONLY | O_DIRECTORY), 'ENOTDIR');
      fails(() => fs.openSync(join(folder, 'l'), O_RDONLY | O_NOFOLLOW), 'ELOOP');
    },
  },
  {
    name: 'a descriptor does only what it was opened for',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'content');
      withFile(path, 'r', (fd) => fails(() => fs.writeSync(fd, 'x'), 'EBADF'));
      withFile(path, O_WRONLY, (fd) => fails(() => fs.readSync(fd, Buffer.alloc(1)), 'EBADF'));
      withFile(path, 'r', (fd) => fails(() => fs.ftruncateSync(fd, 0), 'EINVAL', 'EBADF'));
    },
  },
  {
    name: 'what was written is read back, at any offset, shorter only at the end',
    run(folder) {
      const path = join(folder, 'f');
      const data = pattern(10_000);
      withFile(path, 'w+', (fd) => {
        assert.equal(fs.writeSync(fd, data), data.length);
        for (const [offset, length] of [
          [0, 10_000],
          [1, 4096],
          [4095, 2],
          [9_999, 1],
          [9_990, 100],
        ] as const) {
          const got = Buffer.alloc(length);
          const count = fs.readSync(fd, got, 0, length, offset);
          assert.deepEqual(got.subarray(0, count), data.subarray(offset, offset + length));
        }
        assert.equal(fs.readSync(fd, Buffer.alloc(10), 0, 10, 10_000), 0);
        assert.equal(fs.readSync(fd, Buffer.alloc(10), 0, 10, 1_000_000), 0);
      });
    },
  },
  {
    name: 'a gap reads as zeros',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, 'w', (fd) => {
        fs.writeSync(fd, 'start', 0);
        fs.writeSync(fd, 'end', 70_000);
      });
      const bytes = fs.readFileSync(path);
      assert.equal(bytes.length, 70_003);
      assert.equal(bytes.subarray(0, 5).toString(), 'start');
      assert.ok(bytes.subarray(5, 70_000).every((byte) => byte === 0));
      assert.equal(bytes.subarray(70_000).toString(), 'end');
    },
  },
  {
    name: 'a write in the middle changes nothing else',
    run(folder) {
      const path = join(folder, 'f');
      const data = pattern(300_000);
      fs.writeFileSync(path, data);
      withFile(path, 'r+', (fd) => fs.writeSync(fd, 'MIDDLE', 150_001));
      data.write('MIDDLE', 150_001);
      assert.ok(fs.readFileSync(path).equals(data));
    },
  },
  {
    name: 'O_APPEND writes at the end, whatever the position',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'one');
      withFile(path, O_WRONLY | O_APPEND, (fd) => {
        fs.writeSync(fd, 'two');
        fs.writeSync(fd, 'three', 0);
      });
      assert.equal(fs.readFileSync(path, 'utf8'), 'onetwothree');
    },
  },
  {
    name: 'two appenders never overwrite each other',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, 'a', (first) =>
        withFile(path, 'a', (second) => {
          for (let i = 0; i < 50; i++) {
            fs.writeSync(first, `first ${i}\n`);
            fs.writeSync(second, `second ${i}\n`);
          }
        }),
      );
      const lines = fs.readFileSync(path, 'utf8').trimEnd().split('\n');
      assert.equal(new Set(lines).size, 100);
    },
  },
  {
    name: 'an appender goes on at the new end after a truncate',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, 'a', (fd) => {
        fs.writeSync(fd, 'long content');
        fs.truncateSync(path, 4);
        fs.writeSync(fd, '!');
      });
      assert.equal(fs.readFileSync(path, 'utf8'), 'long!');
    },
  },
  {
    name: 'two descriptors see each other at once',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, 'w+', (one) =>
        withFile(path, 'r+', (two) => {
          const got = Buffer.alloc(3);
          fs.writeSync(one, 'abc', 0);
          fs.readSync(two, got, 0, 3, 0);
          assert.equal(got.toString(), 'abc');
          fs.writeSync(two, 'X', 1);
          fs.readSync(one, got, 0, 3, 0);
          assert.equal(got.toString(), 'aXc');
          assert.equal(fs.fstatSync(one).size, 3);
        }),
      );
    },
  },
  {
    name: 'the size is right at once after each write',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, 'w', (fd) => {
        for (let size = 1; size < 200_000; size = size * 3 + 1) {
          fs.ftruncateSync(fd, 0);
          fs.writeSync(fd, Buffer.alloc(size), 0, size, 0);
          assert.equal(fs.fstatSync(fd).size, size);
          assert.equal(fs.statSync(path).size, size);
        }
      });
    },
  },
  {
    name: 'truncate cuts, and what grows again is zeros',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, pattern(10_000));
      fs.truncateSync(path, 100);
      assert.equal(fs.statSync(path).size, 100);
      fs.truncateSync(path, 10_000);
      const bytes = fs.readFileSync(path);
      assert.ok(bytes.subarray(0, 100).equals(pattern(10_000).subarray(0, 100)));
      assert.ok(bytes.subarray(100).every((byte) => byte === 0));
    },
  },
  {
    name: 'truncate makes a large file without content',
    run(folder) {
      const path = join(folder, 'f');
      const size = 48 * 1024 * 1024 + 1;
      fs.writeFileSync(path, 'x');
      fs.truncateSync(path, size);
      assert.equal(fs.statSync(path).size, size);
      withFile(path, 'r', (fd) => {
        const got = Buffer.alloc(10, 1);
        assert.equal(fs.readSync(fd, got, 0, 10, size - 5), 5);
        assert.ok(got.subarray(0, 5).every((byte) => byte === 0));
      });
    },
  },
  {
    name: 'truncate of what is no file fails',
    run(folder) {
      fs.mkdirSync(join(folder, 'd'));
      fails(() => fs.truncateSync(join(folder, 'd'), 0), 'EISDIR');
      fails(() => fs.truncateSync(join(folder, 'none'), 0), 'ENOENT');
    },
  },
  {
    name: 'a file of some megabytes comes back byte by byte, in blocks of any size',
    run(folder) {
      const path = join(folder, 'f');
      const data = Buffer.concat([pattern(1 << 20), pattern(1 << 20, 2), pattern(333_333, 3)]);
      withFile(path, 'w', (fd) => {
        for (let at = 0, size = 1; at < data.length; at += size, size = Math.min(size * 7, 1 << 20)) {
          fs.writeSync(fd, data, at, Math.min(size, data.length - at));
        }
      });
      for (const block of [4096, 100_000, 1 << 20, 3 << 20]) {
        const got = Buffer.alloc(data.length);
        withFile(path, 'r', (fd) => {
          for (let at = 0; at < got.length; )
            at += fs.readSync(fd, got, at, Math.min(block, got.length - at), at);
        });
        assert.ok(got.equals(data), `blocks of ${block}`);
      }
    },
  },
  {
    name: 'any sequence of writes, reads and truncates does what memory would do',
    run(folder) {
      const path = join(folder, 'f');
      const next = numbers(4242);
      let model = Buffer.alloc(0);
      withFile(path, 'w+', (fd) => {
        for (let step = 0; step < 400; step++) {
          const offset = next(200_000);
          if (step % 10 === 9) {
            fs.ftruncateSync(fd, offset);
            model = Buffer.concat([
              model.subarray(0, offset),
              Buffer.alloc(Math.max(0, offset - model.length)),
            ]);
          } else if (step % 2 === 0) {
            const data = pattern(1 + next(20_000), step);
            fs.writeSync(fd, data, 0, data.length, offset);
            model = Buffer.concat([model, Buffer.alloc(Math.max(0, offset + data.length - model.length))]);
            data.copy(model, offset);
          } else {
            const got = Buffer.alloc(1 + next(50_000));
            const count = fs.readSync(fd, got, 0, got.length, offset);
            assert.ok(
              got.subarray(0, count).equals(model.subarray(offset, offset + got.length)),
              `step ${step}`,
            );
          }
          assert.equal(fs.fstatSync(fd).size, model.length, `step ${step}`);
        }
      });
      assert.ok(fs.readFileSync(path).equals(model));
    },
  },
  {
    name: 'several buffers are written and read as one',
    run(folder) {
      const path = join(folder, 'f');
      const parts = [pattern(10), pattern(5_000, 2), pattern(100_000, 3)];
      withFile(path, 'w+', (fd) => {
        assert.equal(fs.writevSync(fd, parts), 105_010);
        const got = [Buffer.alloc(100_000), Buffer.alloc(5_010)];
        assert.equal(fs.readvSync(fd, got, 0), 105_010);
        assert.ok(Buffer.concat(got).equals(Buffer.concat(parts)));
      });
    },
  },
  {
    name: 'a write of nothing changes nothing',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'x');
      withFile(path, 'r+', (fd) => assert.equal(fs.writeSync(fd, Buffer.alloc(0), 0, 0, 100), 0));
      assert.equal(fs.statSync(path).size, 1);
    },
  },
  {
    name: 'fsync, fdatasync, O_SYNC and O_DSYNC succeed, of a folder too',
    run(folder) {
      const path = join(folder, 'f');
      withFile(path, 'w', (fd) => {
        fs.writeSync(fd, 'one');
        fs.fsyncSync(fd);
        fs.writeSync(fd, 'two');
        fs.fdatasyncSync(fd);
      });
      withFile(path, O_WRONLY | O_APPEND | O_SYNC, (fd) => fs.writeSync(fd, 'three'));
      withFile(path, O_WRONLY | O_APPEND | O_DSYNC, (fd) => fs.writeSync(fd, 'four'));
      withFile(folder, 'r', (fd) => fs.fsyncSync(fd));
      assert.equal(fs.readFileSync(path, 'utf8'), 'onetwothreefour');
    },
  },
  {
    name: 'an unlinked file lives on while it is open',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'content');
      withFile(path, 'r+', (fd) => {
        fs.unlinkSync(path);
        assert.equal(fs.existsSync(path), false);
        const got = Buffer.alloc(7);
        fs.readSync(fd, got, 0, 7, 0);
        assert.equal(got.toString(), 'content');
        fs.writeSync(fd, 'more', 7);
        fs.ftruncateSync(fd, 9);
        assert.equal(fs.fstatSync(fd).size, 9);
        assert.equal(fs.fstatSync(fd).nlink, 0);
        fs.fchmodSync(fd, 0o600);
        assert.equal(fs.fstatSync(fd).mode & 0o777, 0o600);
        fs.fsyncSync(fd);
      });
    },
  },
  {
    name: 'a name made anew has nothing to do with the unlinked file behind a descriptor',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'old');
      withFile(path, 'r+', (fd) => {
        fs.unlinkSync(path);
        fs.writeFileSync(path, 'new');
        assert.notEqual(fs.fstatSync(fd).ino, fs.statSync(path).ino);
        fs.writeSync(fd, 'OLD', 0);
        assert.equal(fs.readFileSync(path, 'utf8'), 'new');
        const got = Buffer.alloc(3);
        fs.readSync(fd, got, 0, 3, 0);
        assert.equal(got.toString(), 'OLD');
      });
    },
  },
  {
    name: 'a descriptor follows its file through a rename',
    run(folder) {
      withFile(join(folder, 'a'), 'w+', (fd) => {
        fs.writeSync(fd, 'before');
        fs.renameSync(join(folder, 'a'), join(folder, 'b'));
        fs.writeSync(fd, ' after');
        assert.equal(fs.fstatSync(fd).ino, fs.statSync(join(folder, 'b')).ino);
      });
      assert.equal(fs.readFileSync(join(folder, 'b'), 'utf8'), 'before after');
    },
  },
  {
    name: 'who has a file open that is replaced by a rename keeps the old one',
    run(folder) {
      const path = join(folder, 'f');
      fs.writeFileSync(path, 'old content');
      withFile(path, 'r', (fd) => {
        fs.writeFileSync(join(folder, 'temporary'), 'new');
        fs.renameSync(join(folder, 'temporary'), path);
        assert.equal(fs.readFileSync(path, 'utf8'), 'new');
        const got = Buffer.alloc(11);
        assert.equal(fs.readSync(fd, got, 0, 11, 0), 11);
        assert.equal(got.toString(), 'old content');
        assert.equal(fs.fstatSync(fd).nlink, 0);
      });
    },
  },
  {
    name: 'write temp, fsync, rename over, again and again, with the temporary still open',
    run(folder) {
      const path = join(folder, 'f');
      for (let round = 0; round < 20; round++) {
        const temporary = join(folder, `f.${round}.tmp`);
        withFile(temporary, 'wx', (fd) => {
          fs.writeSync(fd, `round ${round}`);
          fs.fsyncSync(fd);
          fs.renameSync(temporary, path);
          assert.equal(fs.readFileSync(path, 'utf8'), `round ${round}`);
          fs.writeSync(fd, '!');
          assert.equal(fs.fstatSync(fd).ino, fs.statSync(path).ino);
        });
        assert.equal(fs.readFileSync(path, 'utf8'), `round ${round}!`);
      }
      assert.deepEqual(fs.readdirSync(folder), ['f']);
    },
  },
  {
    name: 'many files at once, each with its own content',
    async run(folder) {
      const write = async (index: number) => {
        const path = join(folder, `f${index}`);
        await fs.promises.writeFile(path, pattern(5_000 + index, index));
        assert.ok((await fs.promises.readFile(path)).equals(pattern(5_000 + index, index)));
      };
      await Promise.all(Array.from({ length: 60 }, (_, index) => write(index)));
      assert.equal(fs.readdirSync(folder).length, 60);
    },
  },
  {
    name: 'a copy is equal',
    run(folder) {
      fs.writeFileSync(join(folder, 'a'), pattern(500_000), { mode: 0o640 });
      fs.copyFileSync(join(folder, 'a'), join(folder, 'b'));
      assert.ok(fs.readFileSync(join(folder, 'b')).equals(pattern(500_000)));
    },
  },
];
