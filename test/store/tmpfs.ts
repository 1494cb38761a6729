import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A small disk for one test: a tmpfs of `bytes`. @returns the reason when this machine does not allow a mount */
export async function withSmallDisk(
  bytes: number,
  use: (folder: string) => Promise<void>,
): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'wormhole-small-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'wormhole-test', folder]);
  } catch (error) {
    await rm(folder, { recursive: true });
    return `no tmpfs can be mounted here: ${String((error as { stderr?: unknown }).stderr ?? error).trim()}`;
  }
  try {
    await use(folder);
  } finally {
    await run('umount', ['-l', folder]); // also with files open, when a check has failed
    await rm(folder, { recursive: true });
  }
  return undefined;
}
