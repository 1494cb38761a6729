import { existsSync, rmSync } from 'node:fs';
import { writeFileDurably } from '../../base/index.js';

/** Disk space held back so that what gives space back (a deletion) can be journaled on a full disk. */
export class Reserve {
  private readonly path: string;
  private readonly bytes: number;
  private held: boolean;

  constructor(path: string, bytes: number) {
    this.path = path;
    this.bytes = bytes;
    this.held = existsSync(path);
  }

  /** Takes the space if it is not held. @throws the system's error when the disk has none */
  async take(): Promise<void> {
    if (this.held) return;
    // Bytes that no file system stores as a hole.
    await writeFileDurably(this.path, Buffer.alloc(this.bytes, 0x5a));
    this.held = true;
  }

  /** Gives the space back to the disk. @returns false when there was none */
  release(): boolean {
    if (!this.held) return false;
    rmSync(this.path, { force: true });
    this.held = false;
    return true;
  }
}
