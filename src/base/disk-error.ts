import { messageOf, WormholeError } from './errors.js';

/** Whether the system refused bytes because the disk, or somebody's share of it, is full. */
export function isFull(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | null)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The project's error for one of the system: `full` or `io`. @param what `the log /a/b`, for people */
export function diskError(what: string, cause: unknown): WormholeError {
  if (cause instanceof WormholeError) return cause;
  if (isFull(cause))
    return new WormholeError('full', `the disk of ${what} is full: free some space`, { cause });
  const message = `${what} cannot be used (${messageOf(cause)}): check the disk and its permissions`;
  return new WormholeError('io', message, { cause });
}

/** Does work on files: an error of the system becomes the project's. @param what as in {@link diskError} */
export async function onDisk<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isOfSystem = error instanceof Error && 'syscall' in error;
    throw isOfSystem ? diskError(what, error) : error;
  }
}

/** Whether the system found no such file or folder. */
export function isMissing(cause: unknown): boolean {
  return (cause as { code?: unknown } | null)?.code === 'ENOENT';
}
