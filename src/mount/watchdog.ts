import { spawn } from 'node:child_process';
import { type Log, messageOf } from '../base/index.js';

/**
 * Waits for a word on stdin. `done`: the mount was taken away in order. The end of the input without it: the
 * process that served the mount is dead, so nobody can use it until it is taken away. By then a newer mount may
 * lie at the same place, even with the same device number: one that answers is left alone. (It is asked for its
 * space, because attributes are answered from the kernel's cache for a while even by a dead one.) A folder above may
 * have been renamed since, so the place is the one that the kernel names, whose spaces are written as \`\040\`.
 */
const SCRIPT = `
trap '' INT TERM HUP
IFS= read -r word
[ "$word" = done ] && exit 0
while read -r id parent device root point rest; do
  [ "$device" = "$2" ] || continue
  place=$(printf "$(printf %s "$point" | sed 's/%/%%/g')")
  timeout 1 stat -f -- "$place" >/dev/null 2>&1 && exit 0
  [ "$(id -u)" = 0 ] || exec fusermount3 -u -z -- "$place"
  exec umount -l -- "$place"
done < /proc/self/mountinfo
`;

export interface Watchdog {
  readonly pid: number | undefined;
  /** The mount is gone: ends the helper. */
  dismiss(): void;
  /** Has it unmount now, as if this process were dead. */
  alarm(): void;
}

/**
 * Starts a helper that unmounts when this process dies in whatever way. It is a session of its own, so that it
 * survives a kill of the whole process group.
 * @param device `major:minor` of the mount
 */
export function startWatchdog(mountPoint: string, device: string, log: Log): Watchdog {
  const helper = spawn('sh', ['-c', SCRIPT, 'wormhole-watchdog', mountPoint, device], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  helper.on('error', (error) => log.warn('no crash watchdog for the mount', { error: messageOf(error) }));
  // A helper that was killed by somebody must not take us along.
  helper.stdin.on('error', () => {});
  helper.unref();
  // The pipe is a socket that may be unreferenced, which its declared type does not say.
  (helper.stdin as { unref?: () => void }).unref?.();
  return {
    pid: helper.pid,
    dismiss: () => helper.stdin.end('done\n'),
    alarm: () => helper.stdin.destroy(),
  };
}
