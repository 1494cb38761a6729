import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';

export default class Rebalance extends WormholeCommand {
  static override summary =
    'Let go of what belongs on other pods and is there; --plan only tells what would move.';
  static override examples = ['<%= config.bin %> rebalance --plan', '<%= config.bin %> rebalance'];
  static override flags = { plan: Flags.boolean({ description: 'tell, and do nothing' }) };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Rebalance);
    const pod = this.pod(flags.network);
    const result = await this.ask(pod, 'rebalance', { plan: flags.plan });
    this.show(flags.json, result, () => {
      const what = `${result.chunks} chunks (${formatSize(result.bytes)})`;
      const why = result.waiting === null ? '' : `More may have to stay for now: ${result.waiting}.\n`;
      const done = flags.plan ? 'are here and belong elsewhere' : 'need not be here any more';
      return `${what} ${done}.\n${why}`;
    });
  }
}
