/**
 * Serves a memory file system: the process to mount in, because who uses a mount synchronously must not be the one
 * that answers. Started by {@link serve}; obeys commands that arrive by IPC.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { makeLog, messageOf, then, WormholeError } from '../../src/base/index.js';
import { type Mount, mountFileSystem, type Timeouts, type Way } from '../../src/mount/index.js';
import { later } from './later.js';
import { MEMORY_ROOT, MemoryFileSystem } from './memory-filesystem.js';

export interface ServerOptions {
  mountPoint: string;
  way?: Way;
  timeouts?: Partial<Timeouts>;
  /** Every answer comes as a promise, some ticks later. */
  later?: boolean;
  /** Lines of the log on stderr. */
  verbose?: boolean;
}

export type Command =
  | { do: 'write'; path: string; text: string; invalidate: boolean }
  | { do: 'remove'; path: string; invalidate: boolean }
  | { do: 'invalidate-many'; count: number }
  | { do: 'count' }
  | { do: 'exit' }
  | { do: 'unmount'; lazy?: boolean };

export type Reply =
  | { at: 'ready'; way: Way }
  | { at: 'failed'; code: string; message: string }
  | { at: 'closed'; how: string }
  | { at: 'done'; openHandles: number; inodes: number; reads: number; aborts: number };

/** Files with these names misbehave as their names say. */
const BROKEN = { neverRead: 'never', slowRead: 'slow', throwing: 'throws' } as const;
const SLOW_READ_MS = 1_500;

const options = JSON.parse(process.argv[2] ?? '{}') as ServerOptions;
const memory = new MemoryFileSystem();
const counts = { reads: 0, aborts: 0 };

function say(reply: Reply): void {
  if (process.connected) process.send?.(reply);
}

/** Lets reads of some files hang until they are aborted, be slow, or throw what no file system should. */
function withFaults(fileSystem: MemoryFileSystem): MemoryFileSystem {
  const read = fileSystem.read.bind(fileSystem);
  const faulty = async (handle: number, offset: number, length: number, signal?: AbortSignal) => {
    const data = Buffer.from(read(handle, offset, length));
    const text = data.toString('latin1');
    if (text.startsWith(BROKEN.throwing)) throw new TypeError('a fault in the file system');
    if (text.startsWith(BROKEN.slowRead)) await delay(SLOW_READ_MS);
    if (text.startsWith(BROKEN.neverRead)) {
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => {
          counts.aborts++;
          reject(new WormholeError('interrupted', 'aborted'));
        });
      });
    }
    return data;
  };
  return new Proxy(fileSystem, {
    get(target, name) {
      if (name === 'readParts') {
        return (handle: number, offset: number, length: number, signal?: AbortSignal) => {
          counts.reads++;
          const start = Buffer.from(read(handle, 0, 6)).toString('latin1');
          const broken = Object.values(BROKEN).some((word) => start.startsWith(word));
          const answer = broken ? faulty(handle, 0, length, signal) : read(handle, offset, length);
          return then<Uint8Array, Uint8Array[]>(answer, (bytes) => [bytes]);
        };
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function obey(mount: Mount, command: Command): Promise<void> {
  const { invalidator } = mount;
  if (command.do === 'write' || command.do === 'remove') {
    const names = command.path.split('/');
    const name = names.pop() ?? '';
    const parent = memory.at(names.join('/'));
    const inode =
      command.do === 'write'
        ? memory.remoteWrite(command.path, Buffer.from(command.text))
        : memory.at(command.path);
    if (command.do === 'remove' && parent !== undefined) memory.unlink(parent.id, name);
    if (command.invalidate && parent !== undefined && inode !== undefined) {
      invalidator.inode(inode.id);
      invalidator.inode(parent.id);
      invalidator.entry(parent.id, name);
    }
  } else if (command.do === 'invalidate-many') {
    for (let index = 0; index < command.count; index++) {
      invalidator.entry(MEMORY_ROOT, `file-${index}`);
      invalidator.inode(`memory/${index}`);
    }
  } else if (command.do === 'unmount') {
    await mount.unmount({ lazy: command.lazy ?? false });
  } else if (command.do === 'exit') {
    process.exit(7);
  }
  say({ at: 'done', openHandles: memory.openHandles, inodes: memory.inodeCount, ...counts });
}

function fail(error: unknown): void {
  const code = error instanceof WormholeError ? error.code : 'unknown';
  say({ at: 'failed', code, message: messageOf(error) });
}

try {
  const faulty = withFaults(memory);
  const mount = await mountFileSystem({
    fileSystem: options.later ? later(faulty) : faulty,
    root: MEMORY_ROOT,
    mountPoint: options.mountPoint,
    networkName: 'test',
    log: makeLog((line) => process.stderr.write(line), options.verbose ? 'debug' : 'error'),
    ...(options.way === undefined ? {} : { way: options.way }),
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
  });
  process.on('message', (command: Command) => {
    obey(mount, command).catch(fail);
  });
  say({ at: 'ready', way: mount.way });
  mount.closed
    .then((ended) => say({ at: 'closed', how: typeof ended === 'string' ? ended : ended.error.message }))
    .catch(fail);
  // Whoever started us is gone, or has done with us.
  process.on('disconnect', () => void mount.unmount({ lazy: true }).catch(fail));
} catch (error) {
  fail(error);
}
