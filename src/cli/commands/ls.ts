import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { formatMode, formatTable } from '../output.js';
import { insideMount, treePath } from '../pods.js';

export default class List extends WormholeCommand {
  static override summary = 'Like `ls -l`, with where each file is and how many pods hold it.';
  static override examples = ['<%= config.bin %> ls', '<%= config.bin %> ls /projects'];
  static override args = {
    path: Args.string({ description: 'a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(List);
    const pod = this.pod(flags.network, args.path);
    // `wh ls` outside the mount means the top of the tree.
    const path =
      args.path === undefined ? (insideMount(pod, process.cwd()) ?? '/') : treePath(pod, args.path);
    const entries = await this.ask(pod, 'list', { path });
    this.show(flags.json, entries, () =>
      formatTable(
        entries.map((entry) => [
          formatMode(entry.kind, entry.mode),
          String(entry.size),
          entry.mtime.slice(0, 16).replace('T', ' '),
          entry.state ?? '',
          entry.copies === null ? '' : `${entry.copies.held}/${entry.copies.wanted}`,
          entry.kind === 'directory' ? `${entry.name}/` : entry.name,
        ]),
        [1],
      ),
    );
  }
}
