import { WormholeCommand } from '../../command.js';
import { planText } from '../../declared.js';

export default class ConfigUndo extends WormholeCommand {
  static override summary = 'Declare again what held before the present declaration.';
  static override examples = ['<%= config.bin %> config undo'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(ConfigUndo);
    const result = await this.ask(this.pod(flags.network), 'configUndo', {});
    this.show(flags.json, result, () => `${planText(result)}${result.applied ? 'Declared.\n' : ''}`);
  }
}
