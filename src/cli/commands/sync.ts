import { WormholeError } from '../../base/index.js';
import { parseDuration } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';

export default class Sync extends WormholeCommand {
  static override summary = 'Wait until every linked pod has what is here, and here has what they have.';
  static override examples = [
    '<%= config.bin %> sync --wait',
    '<%= config.bin %> sync --wait --copies 2 --timeout 30s',
  ];
  static override flags = {
    wait: Flags.boolean({ description: 'wait for it; without, tell how things stand' }),
    copies: Flags.integer({ description: 'until so many pods hold everything', min: 1, helpValue: 'N' }),
    timeout: Flags.string({ description: 'give up after this long, with exit code 3', helpValue: '30s' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Sync);
    const timeoutMs = flags.timeout === undefined ? null : parseDuration(flags.timeout);
    if (timeoutMs === undefined) {
      throw new WormholeError('usage', `--timeout ${flags.timeout} is not a duration: write 30s or 5m.`);
    }
    const result = await this.ask(this.pod(flags.network), 'sync', {
      copies: flags.copies ?? null,
      timeoutMs: flags.wait ? timeoutMs : 0,
    });
    this.show(flags.json, result, () => (result.done ? 'In step.\n' : `Not yet: ${result.reason}\n`));
    if (!result.done) process.exitCode = 3;
  }
}
