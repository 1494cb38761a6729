import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';

/** Signals by which people and programs end a process, whether it handles them or not. */
const ENDING = [
  constants.signals.SIGHUP,
  constants.signals.SIGINT,
  constants.signals.SIGQUIT,
  constants.signals.SIGKILL,
  constants.signals.SIGTERM,
];

/** Whether a thread has a signal waiting that is meant to end it; true also when it is gone. */
export async function isMeantToEnd(pid: number): Promise<boolean> {
  // Not a process that we can see: the kernel itself, or one of a foreign namespace.
  if (pid === 0) return false;
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
  return status === undefined || endsByStatus(status);
}

/** Looks into the text of /proc/PID/status. */
export function endsByStatus(status: string): boolean {
  const waiting = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)].map((match) =>
    BigInt(`0x${match[1]}`),
  );
  return waiting.some((set) => ENDING.some((signal) => (set >> BigInt(signal - 1)) & 1n));
}
