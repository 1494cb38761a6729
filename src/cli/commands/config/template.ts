import { CONFIG_TEMPLATE } from '../../../config/index.js';
import { WormholeCommand } from '../../command.js';

export default class ConfigTemplate extends WormholeCommand {
  static override summary = 'Print a commented wormhole.yaml with every key and its default.';
  static override examples = ['<%= config.bin %> config template > wormhole.yaml'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(ConfigTemplate);
    this.show(flags.json, { text: CONFIG_TEMPLATE }, () => CONFIG_TEMPLATE);
  }
}
