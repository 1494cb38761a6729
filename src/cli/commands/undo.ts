import { WormholeCommand } from '../command.js';

export default class Undo extends WormholeCommand {
  static override summary = 'Bring back what the last mass deletion took, whoever did it.';
  static override description =
    'A mass deletion takes more than half of a folder of twenty or more entries at once; `wh status` shows it. Run it again to undo the one before.';
  static override examples = ['<%= config.bin %> undo'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Undo);
    const result = await this.ask(this.pod(flags.network), 'undo', {});
    this.show(
      flags.json,
      result,
      () => `${result.entries} entries that ${result.undone.pod} deleted are back.\n`,
    );
  }
}
