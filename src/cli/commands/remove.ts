import { WormholeCommand } from '../command.js';
import { Args, Flags } from '../definitions.js';
import { timeoutFlag, timeoutMsOf } from '../timeout.js';

export default class Remove extends WormholeCommand {
  static override summary = 'Take a pod out for good, once the others hold what it held.';
  static override examples = [
    '<%= config.bin %> remove old-nas',
    '<%= config.bin %> remove stolen-laptop --dead',
  ];
  static override args = { pod: Args.string({ required: true, description: "the pod's name" }) };
  static override flags = {
    dead: Flags.boolean({ description: 'it will not come back: do not wait until others hold what it held' }),
    timeout: timeoutFlag,
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Remove);
    const timeoutMs = timeoutMsOf(flags.timeout);
    const call = { pod: args.pod, dead: flags.dead, timeoutMs };
    const result = await this.ask(this.pod(flags.network), 'remove', call);
    this.show(flags.json, result, () => `"${result.removed}" is no member any more.\n`);
  }
}
