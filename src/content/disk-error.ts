import { messageOf, WormholeError } from '../base/index.js';

/** What a failed system call means to the caller: `full` when there is no room, else `io`. */
export function diskError(error: unknown, doing: string): WormholeError {
  if (error instanceof WormholeError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new WormholeError('full', `the disk is full while ${doing}; free some space and try again`, {
      cause: error,
    });
  }
  return new WormholeError('io', `${doing} failed: ${messageOf(error)}`, { cause: error });
}

export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ENOENT';
}
