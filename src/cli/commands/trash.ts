import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { formatTable } from '../output.js';
import { treePath } from '../pods.js';

export default class Trash extends WormholeCommand {
  static override summary = 'What was deleted and can be restored, the latest first.';
  static override examples = ['<%= config.bin %> trash', '<%= config.bin %> trash /projects'];
  static override args = {
    path: Args.string({ description: 'only below this: a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Trash);
    const pod = this.pod(flags.network, args.path);
    const path = args.path === undefined ? '/' : treePath(pod, args.path);
    const entries = await this.ask(pod, 'trash', { path });
    this.show(flags.json, entries, () =>
      formatTable(
        entries.map((entry) => [
          entry.time.slice(0, 19).replace('T', ' '),
          entry.pod,
          entry.kind === 'directory' ? `with ${entry.entries}` : formatSize(entry.size),
          entry.kind === 'directory' ? `${entry.path}/` : entry.path,
        ]),
        [2],
      ),
    );
  }
}
