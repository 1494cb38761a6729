import { spawn } from 'node:child_process';
import { type Log, messageOf } from '../base/index.js';
import type { Posture } from '../config/index.js';

const TIMEOUT_MS = 30_000;

/** A change that somebody wants to hear of. */
export interface Alarm {
  network: string;
  pod: string;
  posture: Posture;
  before: Posture;
  reason: string;
}

/** Runs each command and calls each URL of the declaration; what fails is logged, and nothing waits for it. */
export function notify(targets: readonly string[], alarm: Alarm, log: Log): void {
  for (const target of targets) {
    const done = target.startsWith('exec:') ? run(target.slice('exec:'.length), alarm) : call(target, alarm);
    done.catch((error) =>
      log.warn('the change of posture could not be told', { target, reason: messageOf(error) }),
    );
  }
}

/** The command gets what happened in its environment, and nothing on its command line that could be misread. */
function run(command: string, alarm: Alarm): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [alarm.posture], {
      cwd: '/',
      stdio: 'ignore',
      timeout: TIMEOUT_MS,
      env: {
        ...process.env,
        WORMHOLE_NETWORK: alarm.network,
        WORMHOLE_POD: alarm.pod,
        WORMHOLE_POSTURE: alarm.posture,
        WORMHOLE_BEFORE: alarm.before,
        WORMHOLE_REASON: alarm.reason,
      },
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`it ended with code ${code}`))));
  });
}

async function call(url: string, alarm: Alarm): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(alarm),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`it answered ${response.status}`);
}
