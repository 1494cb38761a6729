import { Flags } from '@oclif/core';
import { WormholeCommand } from '../command.js';
import { launchDaemon } from '../launch.js';

export default class Up extends WormholeCommand {
  static override summary = "Start this machine's daemon and mount.";
  static override examples = ['<%= config.bin %> up', '<%= config.bin %> up --foreground'];
  static override flags = {
    foreground: Flags.boolean({
      description: 'stay in the foreground, for supervisors; log on this terminal',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Up);
    const pod = this.pod(flags.network);
    const ready = await launchDaemon(pod.paths, { folder: pod.paths.folder }, flags.foreground);
    if (flags.foreground) return;
    this.show(
      flags.json,
      ready,
      () => `Pod "${ready.pod}" of network "${ready.network}" is up at ${ready.mount}.\n`,
    );
  }
}
