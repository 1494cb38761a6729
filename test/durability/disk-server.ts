/**
 * A disk that remembers: one file in a mounted memory file system, of which every write and every flush is kept in
 * order. A loop device over it is a disk of which the content at any instant, and what a power cut then may leave,
 * can be made again. A process of its own, started by {@link RecordedDisk}; obeys commands that arrive by IPC.
 */
import { open } from 'node:fs/promises';
import { makeLog, messageOf, WormholeError } from '../../src/base/index.js';
import type { FileHandle } from '../../src/fs/index.js';
import { mountFileSystem } from '../../src/mount/index.js';
import { MEMORY_ROOT, MemoryFileSystem } from '../mount/memory-filesystem.js';
import { PowerCut } from './power-cut-image.js';

export type DiskCommand =
  /** Where the record stands now: everything that reached the disk so far comes before. */
  | { do: 'position' }
  /** The first position from this one on just before which something was written, not flushed. */
  | { do: 'written'; position: number }
  /** Writes the disk as a power cut at `position` leaves it. */
  | { do: 'image'; position: number; seed: number; path: string }
  /** From now on every flush fails. */
  | { do: 'fail' }
  | { do: 'unmount' };

export type DiskReply =
  | { at: 'ready' }
  | { at: 'position'; position: number }
  | { at: 'image'; lost: number }
  | { at: 'done' }
  | { at: 'failed'; message: string };

/** A write, or (undefined) a flush. */
export type DiskEvent = { offset: number; data: Uint8Array } | undefined;

/** As many as one writev(2) takes. */
const RUN_SECTORS_MAX = 1_000;

const [mountPoint = '', bytes = ''] = process.argv.slice(2);
const events: DiskEvent[] = [];
let isFailing = false;

class RecordingFileSystem extends MemoryFileSystem {
  override write(handle: FileHandle, offset: number, data: Uint8Array, options = {}): number {
    events.push({ offset, data: Uint8Array.from(data) });
    return super.write(handle, offset, data, options);
  }

  override fsync(): void {
    if (isFailing) throw new WormholeError('io', 'the disk fails');
    events.push(undefined);
  }
}

function say(reply: DiskReply): void {
  if (process.connected) process.send?.(reply);
}

const cut = new PowerCut(Number(bytes), events);

/** @returns how many writes were lost */
async function writeImage(command: Extract<DiskCommand, { do: 'image' }>): Promise<number> {
  const { sectors, lost } = cut.at(command.position, command.seed);
  const file = await open(command.path, 'w');
  try {
    await file.truncate(cut.bytes);
    for (let at = 0; at < sectors.length; ) {
      const start = sectors[at]?.offset ?? 0;
      const run: Uint8Array[] = [];
      let end = start;
      for (; sectors[at]?.offset === end && run.length < RUN_SECTORS_MAX; at++) {
        const { data } = sectors[at] as { data: Uint8Array };
        run.push(data);
        end += data.length;
      }
      await file.writev(run, start);
    }
  } finally {
    await file.close();
  }
  return lost;
}

try {
  const memory = new RecordingFileSystem();
  const root = { uid: 0, gid: 0, pid: process.pid, umask: 0 };
  const { stat } = memory.create(
    MEMORY_ROOT,
    'disk',
    0o600,
    { read: true, write: true, append: false, truncate: false, sync: false },
    root,
  );
  memory.setStat(stat.inode, { size: cut.bytes });
  const mount = await mountFileSystem({
    fileSystem: memory,
    root: MEMORY_ROOT,
    mountPoint,
    networkName: 'disk',
    log: makeLog((line) => process.stderr.write(line), 'error'),
  });
  const obey = async (command: DiskCommand): Promise<DiskReply> => {
    if (command.do === 'position') return { at: 'position', position: events.length };
    if (command.do === 'written') {
      const index = events.findIndex((event, at) => at + 1 >= command.position && event !== undefined);
      return { at: 'position', position: index < 0 ? events.length : index + 1 };
    }
    if (command.do === 'fail') {
      isFailing = true;
      return { at: 'done' };
    }
    if (command.do === 'image') return { at: 'image', lost: await writeImage(command) };
    await mount.unmount();
    return { at: 'done' };
  };
  process.on('message', (command: DiskCommand) => {
    obey(command).then(say, (error) => say({ at: 'failed', message: messageOf(error) }));
  });
  process.on('disconnect', () => void mount.unmount({ lazy: true }).catch(() => {}));
  say({ at: 'ready' });
} catch (error) {
  say({ at: 'failed', message: messageOf(error) });
}
