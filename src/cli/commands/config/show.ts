import { WormholeCommand } from '../../command.js';
import { unmetText } from '../../declared.js';
import { Flags } from '../../definitions.js';
import { formatTable } from '../../output.js';

export default class ConfigShow extends WormholeCommand {
  static override summary = 'What is in force, and where each value comes from.';
  static override examples = ['<%= config.bin %> config show', '<%= config.bin %> config show --text'];
  static override flags = {
    text: Flags.boolean({ description: 'the declared file itself, comments and all' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(ConfigShow);
    const shown = await this.ask(this.pod(flags.network), 'config', {});
    this.show(flags.json, shown, () => {
      if (flags.text) return shown.text;
      const { declared } = shown;
      const head =
        declared === null
          ? 'Nothing is declared: the defaults hold. Begin with: wh config template > wormhole.yaml\n'
          : `Declared by ${declared.by} at ${declared.at} (number ${declared.number})\n`;
      const rows = shown.settings.map(({ setting, value, from }) => [
        `  ${setting}`,
        value,
        from === 'default' ? '' : from,
      ]);
      return head + formatTable(rows) + unmetText(shown.unmet);
    });
  }
}
