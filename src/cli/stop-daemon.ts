import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WormholeError } from '../base/index.js';
import { callDaemon, NOT_RUNNING } from '../daemon/client.js';
import type { PodPaths } from '../daemon/home.js';
import { untilEnded } from './process.js';

/** A daemon answers at once; one that does not is stopped, or stuck. */
const ANSWER_TIMEOUT_MS = 10_000;
/** What it has accepted is flushed within this many times over. */
const END_TIMEOUT_MS = 60_000;

/**
 * Ends a pod's daemon, if need be without its help: nothing acknowledged is lost by that (contract D2), and its
 * watchdog takes the mount away.
 * @returns how it ended: `no`, it was not running
 */
export async function stopDaemon(paths: PodPaths, signal: AbortSignal): Promise<'no' | 'stopped' | 'killed'> {
  const patience = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  let pid: number;
  try {
    const { pid: answered } = await callDaemon(
      paths.socket,
      'stop',
      {},
      { signal: AbortSignal.any([signal, patience]) },
    );
    pid = answered;
    if (await untilEnded(pid, END_TIMEOUT_MS)) return 'stopped';
  } catch (error) {
    if (error instanceof WormholeError && error.code === NOT_RUNNING) return 'no';
    if (!patience.aborted || signal.aborted) throw error;
    pid = holderOf(paths);
  }
  kill(pid);
  await untilEnded(pid, END_TIMEOUT_MS);
  return 'killed';
}

/** The process that holds the store. @throws WormholeError `io` when that is no daemon of ours */
function holderOf(paths: PodPaths): number {
  try {
    const pid = Number(readFileSync(join(paths.store, 'lock'), 'latin1').trim());
    if (pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('daemon/main.js')) return pid;
  } catch {
    // It is gone, or was never there.
  }
  throw new WormholeError('io', `the daemon does not answer and cannot be found: see ${paths.log}.`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
