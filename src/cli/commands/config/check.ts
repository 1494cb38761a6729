import { readFileSync } from 'node:fs';
import { messageOf, WormholeError } from '../../../base/index.js';
import { pictureOf, positionOf, readNetworkConfig } from '../../../config/index.js';
import { WormholeCommand } from '../../command.js';
import { Args } from '../../definitions.js';

export default class ConfigCheck extends WormholeCommand {
  static override summary = 'Check a wormhole.yaml: line, column and caret of every mistake.';
  static override examples = ['<%= config.bin %> config check wormhole.yaml'];
  static override args = {
    file: Args.string({ required: true, description: 'the declaration; - is standard input' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(ConfigCheck);
    let text: string;
    try {
      text = readFileSync(args.file === '-' ? 0 : args.file, 'utf8');
    } catch (error) {
      throw new WormholeError('usage', `${args.file} cannot be read: ${messageOf(error)}.`);
    }
    const { problems } = readNetworkConfig(text);
    const told = problems.map(({ code, message, start }) => ({ ...positionOf(text, start), code, message }));
    this.show(flags.json, { valid: problems.length === 0, problems: told }, () =>
      problems.length === 0
        ? `${args.file} is right.\n`
        : problems.map((problem) => `${pictureOf(args.file, text, problem)}\n`).join(''),
    );
    if (problems.length > 0) process.exitCode = 2;
  }
}
