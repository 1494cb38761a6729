import { WormholeCommand } from '../command.js';
import { Args, Flags } from '../definitions.js';
import { treePath } from '../pods.js';

export default class Resolve extends WormholeCommand {
  static override summary =
    'Settle a conflict: keep one version under the name, or all of them under names of their own.';
  static override examples = [
    '<%= config.bin %> resolve ~/atelier/plan.txt --keep mine',
    '<%= config.bin %> resolve /plan.txt --keep both',
  ];
  static override args = {
    path: Args.string({ required: true, description: 'a path into the mount, or /PATH inside the tree' }),
  };
  static override flags = {
    keep: Flags.string({
      required: true,
      description: 'mine: what this pod wrote; theirs: what another wrote; both: all; or the ID of a version',
      helpValue: 'mine|theirs|both|ID',
    }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Resolve);
    const pod = this.pod(flags.network, args.path);
    const result = await this.ask(pod, 'resolve', { path: treePath(pod, args.path), keep: flags.keep });
    this.show(flags.json, result, () => `Settled: ${result.kept.join(', ')}\n`);
  }
}
