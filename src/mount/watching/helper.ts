import fs from 'node:fs';
import { createInterface } from 'node:readline';
import type { Order, Result } from './orders.js';

// The process that repeats remote changes on the mount, so that the kernel tells inotify watchers of them. Its calls
// are synchronous and made by its main thread: the driver knows them by that thread's id. It is not the daemon,
// which would wait for itself, and it ends with its input.

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants;
/** Not among Node's constants: a descriptor of the place alone. */
const O_PATH = 0o10000000;

type Repeated = Exclude<Order, { do: 'scan' }>;

/**
 * Goes from folder to folder by descriptors and follows no link: another member of the network may put a link in the
 * place of a folder at any moment, and the mount may be gone, so that the path leads into what lies below.
 */
function repeat(order: Repeated): void {
  const opened: number[] = [];
  const at = (path: string): string => {
    const names = path.split('/').slice(1);
    const last = names.pop() ?? '';
    let folder = order.mountPoint;
    for (const name of ['', ...names]) {
      const descriptor = fs.openSync(
        name === '' ? folder : `${folder}/${name}`,
        O_PATH | O_DIRECTORY | O_NOFOLLOW,
      );
      opened.push(descriptor);
      folder = `/proc/self/fd/${descriptor}`;
      if (fs.fstatSync(descriptor).dev !== order.device)
        throw Object.assign(new Error('not on the mount'), { code: 'EXDEV' });
    }
    return `${folder}/${last}`;
  };
  try {
    act(order, at);
  } finally {
    for (const descriptor of opened) fs.closeSync(descriptor);
  }
}

function act(order: Repeated, at: (path: string) => string): void {
  const path = at(order.path);
  if (order.do === 'create') create(path, order.kind, order.size);
  else if (order.do === 'remove') order.kind === 'directory' ? fs.rmdirSync(path) : fs.unlinkSync(path);
  else if (order.do === 'rename') fs.renameSync(path, at(order.to));
  else if (order.do === 'touch') fs.lutimesSync(path, 0, 0);
  else write(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, order.size);
}

function create(path: string, kind: string, size: number): void {
  if (kind === 'directory') fs.mkdirSync(path);
  else if (kind === 'symlink') fs.symlinkSync('.', path);
  else if (kind === 'file') write(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, size);
}

/** As a program that writes a file: opens it, changes it, closes it. */
function write(path: string, flags: number, size: number): void {
  const descriptor = fs.openSync(path, flags, 0o600);
  try {
    if (size > 0 || (flags & O_CREAT) === 0) fs.ftruncateSync(descriptor, size);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The watches of all processes that we may look into are listed in /proc. */
function scan(device: string): number[] {
  const watched = new Set<number>();
  for (const pid of list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of list(`/proc/${pid}/fd`)) {
      if (!linkOf(`/proc/${pid}/fd/${descriptor}`).includes('notify')) continue;
      for (const match of textOf(`/proc/${pid}/fdinfo/${descriptor}`).matchAll(
        /ino:([0-9a-f]+) sdev:([0-9a-f]+)/g,
      ))
        if (match[2] === device) watched.add(Number.parseInt(match[1] ?? '', 16));
    }
  }
  return [...watched];
}

/** Processes come and go while they are looked at. */
function orNothing<T>(look: () => T, nothing: T): T {
  try {
    return look();
  } catch {
    return nothing;
  }
}

const list = (folder: string) => orNothing(() => fs.readdirSync(folder), []);
const linkOf = (path: string) => orNothing(() => fs.readlinkSync(path), '');
const textOf = (path: string) => orNothing(() => fs.readFileSync(path, 'utf8'), '');

function obey(order: Order): Result {
  try {
    if (order.do === 'scan') return { watched: scan(order.device) };
    repeat(order);
    return {};
  } catch (error) {
    return { error: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  fs.writeSync(1, `${JSON.stringify(obey(JSON.parse(line) as Order))}\n`);
});
