import { createInterface } from 'node:readline/promises';
import { WormholeError } from '../../base/index.js';
import { WormholeCommand } from '../command.js';
import { planText, readDeclaration } from '../declared.js';
import { Args, Flags } from '../definitions.js';

export default class Apply extends WormholeCommand {
  static override summary = 'Declare a wormhole.yaml for the whole network. Twice the same changes nothing.';
  static override examples = [
    '<%= config.bin %> apply wormhole.yaml',
    '<%= config.bin %> apply wormhole.yaml --yes',
  ];
  static override args = {
    file: Args.string({ required: true, description: 'the declaration; - is standard input' }),
  };
  static override flags = { yes: Flags.boolean({ description: 'do not ask' }) };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Apply);
    const { text } = readDeclaration(args.file);
    const pod = this.pod(flags.network);
    if (!flags.yes) {
      const plan = await this.ask(pod, 'plan', { text });
      if (plan.changes.length > 0 && !(await this.agreed(planText(plan)))) {
        throw new WormholeError('interrupted', 'nothing was changed.');
      }
    }
    const result = await this.ask(pod, 'apply', { text });
    this.show(flags.json, result, () =>
      result.applied
        ? `${flags.yes ? planText(result) : ''}Declared; see \`wh status\`.\n`
        : planText(result),
    );
  }

  private async agreed(plan: string): Promise<boolean> {
    if (!process.stdin.isTTY) {
      throw new WormholeError('usage', 'nobody is here to ask: look at `wh plan FILE`, then add --yes.');
    }
    process.stderr.write(plan);
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await terminal.question('Declare this? [y/N] ');
    terminal.close();
    return /^y(es)?$/i.test(answer.trim());
  }
}
