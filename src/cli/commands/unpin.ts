import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { treePath } from '../pods.js';

export default class Unpin extends WormholeCommand {
  static override summary = 'Take back a `wh pin`: what was here for that only may go.';
  static override examples = ['<%= config.bin %> unpin ~/atelier/projects'];
  static override args = {
    path: Args.string({ required: true, description: 'what was pinned' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Unpin);
    const pod = this.pod(flags.network, args.path);
    const result = await this.ask(pod, 'unpin', { path: treePath(pod, args.path) });
    this.show(flags.json, result, () => `${result.path} is no longer pinned.\n`);
  }
}
