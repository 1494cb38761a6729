import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { formatTable } from '../output.js';
import { treePath } from '../pods.js';

export default class HistoryCommand extends WormholeCommand {
  static override summary = 'Earlier versions of a file, also of one that was deleted.';
  static override examples = ['<%= config.bin %> history ~/atelier/plan.txt'];
  static override args = {
    path: Args.string({ required: true, description: 'a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(HistoryCommand);
    const pod = this.pod(flags.network, args.path);
    const history = await this.ask(pod, 'history', { path: treePath(pod, args.path) });
    this.show(flags.json, history, () =>
      formatTable(
        history.versions.map(({ version, time, pod: by, size, kind }) => [
          version,
          time.slice(0, 19).replace('T', ' '),
          by,
          formatSize(size),
          kind === 'overwritten' ? '' : kind,
        ]),
        [3],
      ),
    );
  }
}
