import { WormholeCommand } from '../command.js';

export default class Unfreeze extends WormholeCommand {
  static override summary = 'Let the network be written again after `wh freeze`.';
  static override examples = ['<%= config.bin %> unfreeze'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Unfreeze);
    const result = await this.ask(this.pod(flags.network), 'freeze', { frozen: false });
    this.show(flags.json, result, () => 'The network can be written again.\n');
  }
}
