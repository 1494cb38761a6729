import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';

export default class Scrub extends WormholeCommand {
  static override summary =
    'Verify every byte that is stored here; what rotted is fetched again from others.';
  static override examples = ['<%= config.bin %> scrub'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Scrub);
    const result = await this.ask(this.pod(flags.network), 'scrub', {});
    this.show(
      flags.json,
      result,
      () =>
        `${result.files} files, ${result.chunks} chunks (${formatSize(result.bytes)}) read here, ${result.damaged} damaged.\n`,
    );
    if (result.damaged > 0) process.exitCode = 3;
  }
}
