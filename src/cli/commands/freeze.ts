import { WormholeCommand } from '../command.js';

export default class Freeze extends WormholeCommand {
  static override summary = 'Make the whole network read-only; `wh unfreeze` ends it.';
  static override examples = ['<%= config.bin %> freeze'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Freeze);
    const result = await this.ask(this.pod(flags.network), 'freeze', { frozen: true });
    this.show(flags.json, result, () => 'The whole network is read-only now. `wh unfreeze` ends that.\n');
  }
}
