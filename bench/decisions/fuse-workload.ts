// What is measured of a mounted folder. A process of its own: it waits for the mount synchronously.
// `node dist/bench/decisions/fuse-workload.js <folder> [files] [files listed]` prints one JSON object of figures.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';

const [folder = '.', files = '2000', listed = '10000'] = process.argv.slice(2);
const FILES = Number(files);
const LISTED = Number(listed);
const BLOCK = 1024 * 1024;
const BLOCKS = 128;
const REQUESTS = 3_000;
/** What to write there, so that the kernel forgets pages, or names and inodes. */
const DROP = { file: '/proc/sys/vm/drop_caches', pages: '1', names: '2' };

/** Files a second, megabytes a second, microseconds, milliseconds: as the names say. */
export interface Figures {
  'one request, p50 µs': number;
  'create + write 4 KiB + close /s': number;
  'open + read + close /s': number;
  'stat /s': number;
  'rename /s': number;
  'mkdir /s': number;
  'unlink /s': number;
  'write 1 MiB blocks, MB/s': number;
  'read cold, MB/s': number;
  'read warm, MB/s': number;
  /** Of 10,000 files, or as many as were asked for. */
  'ls -l, ms': number;
}

function seconds(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function each(count: number, work: (index: number) => void): number {
  return (
    count /
    seconds(() => {
      for (let index = 0; index < count; index++) work(index);
    })
  );
}

function withFile(path: string, flags: string, use: (fd: number) => void): void {
  const fd = fs.openSync(path, flags);
  use(fd);
  fs.closeSync(fd);
}

/** A name that was never asked for: one LOOKUP, which no cache can answer. */
function requestLatency(folder: string): number {
  const times = Array.from({ length: REQUESTS }, (_, index) => {
    const path = join(folder, `none-${index}`);
    return seconds(() => fs.existsSync(path));
  });
  return (times.sort((a, b) => a - b)[REQUESTS / 2] ?? 0) * 1e6;
}

function small(
  folder: string,
): Omit<Figures, 'one request, p50 µs' | `write${string}` | `read${string}` | `ls${string}`> {
  const data = Buffer.alloc(4096, 7);
  const buffer = Buffer.alloc(4096);
  const path = (index: number) => join(folder, `f${index}`);
  return {
    'create + write 4 KiB + close /s': each(FILES, (i) =>
      withFile(path(i), 'w', (fd) => fs.writeSync(fd, data)),
    ),
    'open + read + close /s': each(FILES, (i) => withFile(path(i), 'r', (fd) => fs.readSync(fd, buffer))),
    'stat /s': withoutNames(() => each(FILES, (i) => fs.statSync(path(i)))),
    'rename /s': each(FILES, (i) => fs.renameSync(path(i), `${path(i)}-renamed`)),
    'unlink /s': each(FILES, (i) => fs.unlinkSync(`${path(i)}-renamed`)),
    'mkdir /s': each(FILES, (i) => fs.mkdirSync(path(i))),
  };
}

function withoutNames<T>(work: () => T): T {
  fs.writeFileSync(DROP.file, DROP.names);
  return work();
}

function large(
  folder: string,
): Pick<Figures, 'write 1 MiB blocks, MB/s' | 'read cold, MB/s' | 'read warm, MB/s'> {
  const block = Buffer.alloc(BLOCK, 7);
  const path = join(folder, 'large');
  const write = (flags: string) =>
    seconds(() =>
      withFile(path, flags, (fd) => {
        for (let index = 0; index < BLOCKS; index++) fs.writeSync(fd, block);
      }),
    );
  // The first time finds the memory for it, which on some machines costs more than all the rest.
  write('w');
  const written = write('r+');
  const read = () =>
    seconds(() =>
      withFile(path, 'r', (fd) => {
        for (let index = 0; index < BLOCKS; index++) fs.readSync(fd, block, 0, BLOCK, index * BLOCK);
      }),
    );
  // The whole cache of this machine, for want of a way to drop one file's.
  fs.writeFileSync(DROP.file, DROP.pages);
  const [cold, warm] = [read(), read()];
  fs.unlinkSync(path);
  const megabytes = (BLOCK * BLOCKS) / 1e6;
  return {
    'write 1 MiB blocks, MB/s': megabytes / written,
    'read cold, MB/s': megabytes / cold,
    'read warm, MB/s': megabytes / warm,
  };
}

function listing(folder: string): number {
  fs.mkdirSync(folder);
  for (let index = 0; index < LISTED; index++) fs.closeSync(fs.openSync(join(folder, `file-${index}`), 'w'));
  return (
    withoutNames(() => seconds(() => spawnSync('ls', ['-l', folder], { cwd: '/', stdio: 'ignore' }))) * 1000
  );
}

function measure(): Figures {
  const work = fs.mkdtempSync(join(folder, 'bench-'));
  try {
    return {
      'one request, p50 µs': requestLatency(work),
      ...small(work),
      ...large(work),
      'ls -l, ms': listing(join(work, 'listed')),
    };
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

console.log(JSON.stringify(measure()));
