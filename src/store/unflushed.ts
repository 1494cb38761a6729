import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from './folder.js';

const DATA = 'data.mdb';

/**
 * A time during which a database's commits are not flushed: after a power cut its pages may be of different
 * ages, and LMDB cannot tell. For data that can be built again from elsewhere, and only there.
 *
 * A mark beside the folder says in which system, file and mount the database was last used so. Where that is
 * still the same, nothing can have been lost but the process, and the page cache has all it wrote.
 */
export interface UnflushedSession {
  /** Call when every thread has closed the database: flushes it and takes the mark away. */
  end(): void;
}

/** Throws the database away if it may have been torn since it was last used. Call before any thread opens it. */
export function beginUnflushed(folder: string, removed: () => void): UnflushedSession {
  const mark = `${resolve(folder)}.session`;
  const data = join(folder, DATA);
  if (existsSync(data) && existsSync(mark) && readFileSync(mark, 'utf8') !== whereabouts(folder)) {
    rmSync(folder, { recursive: true, force: true });
    removed();
  }
  return {
    end() {
      const descriptor = openSync(data, 'r');
      try {
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      rmSync(mark, { force: true });
    },
  };
}

/** To be called once the database's file exists, before anything is written to it. */
export function markUnflushed(folder: string): void {
  const mark = `${resolve(folder)}.session`;
  const descriptor = openSync(mark, 'w', 0o600);
  try {
    writeFileSync(descriptor, whereabouts(folder));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  syncFolder(dirname(mark));
}

/** Which start of which system, which file, which mount, at which path. */
function whereabouts(folder: string): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const { dev, ino } = statSync(join(folder, DATA));
  const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[2] === device)?.[0];
  return JSON.stringify({ boot, device, mount, file: ino, path: resolve(folder) });
}
