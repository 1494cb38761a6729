import { readdir, realpath, stat, statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import { messageOf, WormholeError } from '../base/index.js';
import { mountsAt } from './mount-table.js';

/** A mount that does not answer within this is not ours to judge; one that is dead answers at once. */
const PROBE_TIMEOUT_MS = 2_000;

/**
 * Finds out whether a folder can be mounted on, and removes what a crash left there.
 * @param unmountStale takes away a dead mount
 * @returns the absolute path without symbolic links
 * @throws WormholeError `mount-point` with the cure
 */
export async function prepareMountPoint(
  path: string,
  unmountStale: (mountPoint: string) => Promise<void>,
): Promise<string> {
  const absolute = resolve(path);
  // As long as the kernel names a dead mount there, nothing else can be asked of the path.
  for (const mount of await mountsAt(absolute)) {
    if (!mount.type.startsWith('fuse') || !(await isDead(absolute))) throw mounted(absolute);
    await unmountStale(absolute);
  }
  const real = await realpath(absolute).catch((error: NodeJS.ErrnoException) => {
    throw unusable(absolute, error);
  });
  if (real !== absolute) return prepareMountPoint(real, unmountStale);
  const found = await stat(real).catch((error: unknown) => {
    throw unusable(real, error as NodeJS.ErrnoException);
  });
  if (!found.isDirectory())
    throw new WormholeError('mount-point', `${real} is not a folder; name an empty folder to mount on`);
  const entries = await readdir(real).catch((error: NodeJS.ErrnoException) => {
    throw unusable(real, error);
  });
  if (entries.length > 0)
    throw new WormholeError(
      'mount-point',
      `${real} is not empty; name an empty folder, or move away what is in it`,
    );
  return real;
}

function mounted(path: string): WormholeError {
  return new WormholeError(
    'mount-point',
    `something is mounted on ${path} already; unmount it with 'umount ${path}' or name another folder`,
  );
}

function unusable(path: string, error: NodeJS.ErrnoException): WormholeError {
  if (error.code === 'ENOENT')
    return new WormholeError('mount-point', `${path} does not exist; make it with 'mkdir -p ${path}'`);
  if (error.code === 'ENOTDIR')
    return new WormholeError('mount-point', `${path} is not a folder; name an empty folder to mount on`);
  return new WormholeError('mount-point', `${path} cannot be mounted on: ${messageOf(error)}`, {
    cause: error,
  });
}

/** Whether the process behind a FUSE mount is gone. */
export async function isDead(mountPoint: string): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), PROBE_TIMEOUT_MS);
  });
  // Not stat: the kernel answers that from its cache for a while.
  const probe = statfs(mountPoint).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOTCONN' || error.code === 'ECONNABORTED',
  );
  try {
    return await Promise.race([probe, patience]);
  } finally {
    clearTimeout(timer);
  }
}
