import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { diskError, WormholeError } from '../base/index.js';

/** `flock -n` answers so when somebody else holds the lock. */
const HELD = 1;
const fileMode = 0o600;

export interface StoreLock {
  release(): void;
}

/**
 * Takes a kernel lock on a file, or says at once who has it. Node cannot call flock(2), but the lock belongs to
 * the open file and not to the process that asked for it: the program `flock` locks the descriptor that it
 * inherits from us and ends. The kernel lets go when this process dies, in whatever way; it does not matter in
 * which namespaces the two processes live, and the file's content is only there to be read by people.
 * @throws WormholeError `locked`; `not-supported` when there is no program `flock`; `full`, `io`
 */
export function lockFile(path: string): StoreLock {
  const fd = openLockFile(path);
  try {
    takeLock(fd, path);
    noteHolder(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let held = true;
  return {
    release: () => {
      if (held) closeSync(fd);
      held = false;
    },
  };
}

function openLockFile(path: string): number {
  try {
    return openSync(path, 'a+', fileMode);
  } catch (cause) {
    throw diskError(`the lock ${path}`, cause);
  }
}

function takeLock(fd: number, path: string): void {
  const result = spawnSync('flock', ['-x', '-n', '3'], {
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', fd],
  });
  if (result.status === 0) return;
  if (result.status === HELD) {
    const pid = holderOf(path);
    const who = pid === undefined ? 'another process' : `process ${pid}`;
    throw new WormholeError('locked', `${who} is using this store (${path}): stop it first, with wh down`);
  }
  const cause = result.error;
  if ((cause as { code?: unknown } | undefined)?.code === 'ENOENT') {
    throw new WormholeError('not-supported', 'the program flock is missing: install util-linux', { cause });
  }
  const reason = cause?.message ?? String(result.stderr).trim();
  throw new WormholeError('io', `the lock ${path} cannot be taken: ${reason}`, { cause });
}

/** For the sentence that the next one gets; a full disk must not stand in the way. */
function noteHolder(fd: number): void {
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`);
  } catch {
    // The lock is held all the same.
  }
}

function holderOf(path: string): number | undefined {
  const pid = Number(readFileSync(path, 'latin1').trim());
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
