import { WormholeError } from '../../base/index.js';
import { NOT_RUNNING } from '../../daemon/control.js';
import { WormholeCommand } from '../command.js';

export default class Down extends WormholeCommand {
  static override summary = "Stop this machine's daemon and unmount.";
  static override examples = ['<%= config.bin %> down'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Down);
    const pod = this.pod(flags.network);
    const answer = await this.ask(pod, 'stop', {}).catch((error) => {
      if (error instanceof WormholeError && error.code === NOT_RUNNING) return undefined;
      throw error;
    });
    if (answer !== undefined) await ended(answer.pid);
    this.show(flags.json, { stopped: answer !== undefined }, () =>
      answer === undefined
        ? `Pod "${pod.record.pod}" was not running.\n`
        : `Pod "${pod.record.pod}" is down.\n`,
    );
  }
}

/** Resolves when a process is gone. */
async function ended(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
