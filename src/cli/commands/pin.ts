import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { treePath } from '../pods.js';

export default class Pin extends WormholeCommand {
  static override summary = 'Keep a file, or all of a folder, on this machine for offline use.';
  static override description =
    'Returns when all of it is here; it stays pinned if you cancel. What comes into the folder later is kept too.';
  static override examples = ['<%= config.bin %> pin ~/atelier/projects'];
  static override args = {
    path: Args.string({ required: true, description: 'a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Pin);
    const pod = this.pod(flags.network, args.path);
    const result = await this.ask(pod, 'pin', { path: treePath(pod, args.path) });
    this.show(flags.json, result, () => `${result.path} is here, and stays.\n`);
  }
}
