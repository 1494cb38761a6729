import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestPod } from './pods.js';

const LIBRARY_FOLDERS = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];
const LIBRARY = join('faketime', 'libfaketimeMT.so.1');

/** The library that gives a process a wall clock of its own, or undefined where it is not installed. */
function fakeTime(): string | undefined {
  const folders = LIBRARY_FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) => [
    folder,
    ...readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name.includes('linux'))
      .map((entry) => join(folder, entry.name)),
  ]);
  return folders.map((folder) => join(folder, LIBRARY)).find((path) => existsSync(path));
}

/** Why a pod cannot have a clock of its own here, or undefined: the reason to print with a skipped test. */
export function clocksMissing(): string | undefined {
  return fakeTime() === undefined
    ? 'clocks of their own need libfaketime (scripts/setup installs it)'
    : undefined;
}

/** The wall clock of one pod, of its daemon and its `wh`: so far from everybody else's, and it can jump. */
export class WallClock {
  private readonly file: string;

  /** Before its daemon is started. @param folder for a file of its own */
  constructor(pod: TestPod, folder: string, offset: string) {
    this.file = join(folder, `${pod.name}.clock`);
    this.set(offset);
    Object.assign(pod.env, {
      LD_PRELOAD: fakeTime() ?? '',
      FAKETIME_TIMESTAMP_FILE: this.file,
      // It is read at each call: a jump is seen at once.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DISABLE_SHM: '1',
    });
  }

  /** @param offset as `-10y` or `+600` (seconds), from the machine's own clock */
  set(offset: string): void {
    writeFileSync(`${this.file}.new`, `${offset}\n`);
    renameSync(`${this.file}.new`, this.file);
  }
}
