import { existsSync } from 'node:fs';
import { WormholeError } from '../../base/index.js';
import { NOT_RUNNING } from '../../daemon/control.js';
import { WormholeCommand } from '../command.js';

export default class Down extends WormholeCommand {
  static override summary = "Stop this machine's daemon and unmount.";
  static override examples = ['<%= config.bin %> down'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Down);
    const pod = this.pod(flags.network);
    const stopped = await this.ask(pod, 'stop', {}).catch((error) => {
      if (error instanceof WormholeError && error.code === NOT_RUNNING) return { stopped: false };
      throw error;
    });
    // The daemon answers before its last steps; its socket goes with its lock on the store.
    while (stopped.stopped && existsSync(pod.paths.socket))
      await new Promise((resolve) => setTimeout(resolve, 20));
    this.show(flags.json, stopped, () =>
      stopped.stopped ? `Pod "${pod.record.pod}" is down.\n` : `Pod "${pod.record.pod}" was not running.\n`,
    );
  }
}
