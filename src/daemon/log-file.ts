import { copyFileSync, fstatSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { LIMITS } from '../base/index.js';
import { oldLog } from './home.js';

const STANDARD_OUTPUT = 1;

/**
 * Keeps a log file that is this process' standard output within bounds: `daemon.log.1` is the one before, and so on.
 * The bytes are copied and the file is cut, since whoever started this process opened it, and what ends a process
 * without a word of its own (the runtime itself) writes there too. Other outputs are left to those who read them.
 */
export class LogFile {
  private readonly path: string;
  private readonly bytesMax: number;
  private readonly isOurs: boolean;
  private bytes: number;

  constructor(path: string, bytesMax: number = LIMITS.logBytesMax) {
    this.path = path;
    this.bytesMax = bytesMax;
    this.isOurs = isStandardOutput(path);
    this.bytes = this.isOurs ? statSync(path).size : 0;
  }

  /** So much was written to standard output. */
  written(bytes: number): void {
    this.bytes += bytes;
    if (this.isOurs && this.bytes > this.bytesMax) this.rotate();
  }

  private rotate(): void {
    // A disk that is full keeps the latest lines rather than the older ones.
    this.bytes = 0;
    try {
      rmSync(oldLog(this.path, LIMITS.oldLogs), { force: true });
      for (let n = LIMITS.oldLogs - 1; n > 0; n--) {
        if (statSync(oldLog(this.path, n), { throwIfNoEntry: false }) !== undefined)
          renameSync(oldLog(this.path, n), oldLog(this.path, n + 1));
      }
      copyFileSync(this.path, oldLog(this.path, 1));
    } catch {
      rmSync(oldLog(this.path, 1), { force: true });
    }
    truncateSync(this.path);
  }
}

function isStandardOutput(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  const output = fstatSync(STANDARD_OUTPUT);
  return file?.isFile() === true && file.ino === output.ino && file.dev === output.dev;
}
