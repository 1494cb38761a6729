import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { must } from '../system/pods.js';
import type { DiskCommand, DiskReply } from './disk-server.js';

const SERVER = fileURLToPath(new URL('./disk-server.js', import.meta.url));

/** An ext4 file system on a disk that remembers all that reached it; see disk-server.ts. */
export class RecordedDisk {
  /** Where the file system is mounted. */
  readonly folder: string;
  private readonly server: ChildProcess;
  /** Commands are answered in order. */
  private last: Promise<unknown> = Promise.resolve();
  private readonly gone: Promise<never>;

  private constructor(folder: string, server: ChildProcess) {
    this.folder = folder;
    this.server = server;
    this.gone = once(server, 'exit').then(() => {
      throw new Error('the process of the disk is gone');
    });
    this.gone.catch(() => {});
  }

  /** @param where an empty folder for its mount points */
  static async make(where: string, bytes: number): Promise<RecordedDisk> {
    const [folder, device] = [join(where, 'folder'), join(where, 'device')];
    await mkdir(folder, { recursive: true });
    await mkdir(device);
    const server = fork(SERVER, [device, `${bytes}`], { cwd: '/' });
    const disk = new RecordedDisk(folder, server);
    await disk.next();
    try {
      await must(undefined, ['mkfs.ext4', '-q', '-F', '-E', 'nodiscard', join(device, 'disk')]);
      await must(undefined, ['mount', '-o', 'loop', join(device, 'disk'), folder]);
    } catch (error) {
      await disk.endServer();
      throw error;
    }
    return disk;
  }

  /** All that reached the disk so far lies before it. */
  async position(): Promise<number> {
    return positionOf(await this.ask({ do: 'position' }));
  }

  /** The first position from this one on at which something written may not have been flushed. */
  async written(position: number): Promise<number> {
    return positionOf(await this.ask({ do: 'written', position }));
  }

  /** Makes the disk as a power cut at `position` leaves it, in a file. @returns how many writes were lost */
  async image(position: number, seed: number, path: string): Promise<number> {
    const reply = await this.ask({ do: 'image', position, seed, path });
    return reply.at === 'image' ? reply.lost : Number.NaN;
  }

  /** From now on every flush fails: the kernel makes the file system read-only. */
  async fail(): Promise<void> {
    await this.ask({ do: 'fail' });
  }

  /** Takes the file system out of sight; images can still be made. */
  async unmount(): Promise<void> {
    await must(undefined, ['umount', this.folder]);
  }

  async remove(): Promise<void> {
    await must(undefined, ['umount', '-q', this.folder]).catch(() => {});
    await this.endServer();
  }

  private async endServer(): Promise<void> {
    const exited = once(this.server, 'exit');
    await this.ask({ do: 'unmount' }).catch(() => {});
    if (this.server.connected) this.server.disconnect();
    await exited;
  }

  private ask(command: DiskCommand): Promise<DiskReply> {
    const answer = this.last.then(async () => {
      this.server.send(command);
      return this.next();
    });
    this.last = answer.catch(() => {});
    return answer;
  }

  private async next(): Promise<DiskReply> {
    const [reply] = (await Promise.race([once(this.server, 'message'), this.gone])) as [DiskReply];
    if (reply.at === 'failed') throw new Error(reply.message);
    return reply;
  }
}

function positionOf(reply: DiskReply): number {
  return reply.at === 'position' ? reply.position : Number.NaN;
}
