import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { treePath } from '../pods.js';

export default class Evict extends WormholeCommand {
  static override summary =
    'Free the space that a file or folder takes on this machine, as far as it need not be here.';
  static override description =
    'Never goes below the wanted copies, and deletes nothing elsewhere: what belongs here stays, as does what is ' +
    'pinned, being written, or not yet confirmed by those who should hold it.';
  static override examples = ['<%= config.bin %> evict ~/atelier/films'];
  static override args = {
    path: Args.string({ required: true, description: 'a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Evict);
    const pod = this.pod(flags.network, args.path);
    const result = await this.ask(pod, 'evict', { path: treePath(pod, args.path) });
    this.show(
      flags.json,
      result,
      () =>
        `${formatSize(result.bytes)} freed in ${result.files} files.\n` +
        (result.keptBytes === 0
          ? ''
          : `${formatSize(result.keptBytes)} stay: they belong here, or too few other pods have them yet.\n`) +
        (result.pinned === 0 ? '' : `${result.pinned} files are pinned: \`wh unpin\` them first.\n`),
    );
  }
}
