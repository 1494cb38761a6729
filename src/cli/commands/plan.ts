import { WormholeCommand } from '../command.js';
import { planText, readDeclaration } from '../declared.js';
import { Args } from '../definitions.js';

export default class Plan extends WormholeCommand {
  static override summary =
    'What a wormhole.yaml would change: settings, copies, bytes of each pod. Nothing is done.';
  static override examples = ['<%= config.bin %> plan wormhole.yaml'];
  static override args = {
    file: Args.string({ required: true, description: 'the declaration; - is standard input' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Plan);
    const { text } = readDeclaration(args.file);
    const plan = await this.ask(this.pod(flags.network), 'plan', { text });
    this.show(flags.json, plan, () => planText(plan));
  }
}
