import { readdirSync, readFileSync } from 'node:fs';

const LOOK_MS = 20;

/** Resolves when a process is gone. @returns false when it is still there after so many ms */
export async function untilEnded(pid: number, withinMs = Number.POSITIVE_INFINITY): Promise<boolean> {
  for (const end = performance.now() + withinMs; isAlive(pid); ) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}

/** Whether a process still runs; not, when only its parent has to hear of its end. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Somebody else's process is alive too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !isZombie(pid);
}

/**
 * A daemon's parent is soon the first process, which in a container may look after its children only once a second. Files
 * are closed and locks let go as soon as no other thread is left.
 */
function isZombie(pid: number): boolean {
  try {
    const isEnded = readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
    return isEnded && readdirSync(`/proc/${pid}/task`).length === 1;
  } catch {
    // It went while it was looked at, or cannot be seen: the next look tells.
    return false;
  }
}
