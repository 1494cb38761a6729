import { WormholeCommand } from '../../command.js';
import { changesText } from '../../declared.js';

export default class ConfigHistory extends WormholeCommand {
  static override summary = 'Every declaration: who, when, and what it changed.';
  static override examples = ['<%= config.bin %> config history'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(ConfigHistory);
    const entries = await this.ask(this.pod(flags.network), 'configHistory', {});
    this.show(flags.json, entries, () =>
      entries.length === 0
        ? 'Nothing was declared yet.\n'
        : entries
            .map(
              ({ number, by, at, changes }) =>
                `${number}  ${at}  ${by}\n${changesText(changes).replace(/^/gm, '   ').trimEnd()}\n`,
            )
            .join(''),
    );
  }
}
