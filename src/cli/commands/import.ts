import { basename, resolve } from 'node:path';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { formatTransfer } from '../output.js';
import { treePath } from '../pods.js';

export default class Import extends WormholeCommand {
  static override summary =
    'Copy a folder of this machine into the tree, many times faster than through the mount.';
  static override description =
    'Files that are there already, byte for byte, are passed over, so that a second run goes on where the first was cut off; ' +
    'nothing is ever replaced. Without PATH, the folder keeps its name at the top of the tree.';
  static override examples = [
    '<%= config.bin %> import ~/Photos',
    '<%= config.bin %> import /srv/data /archive',
  ];
  static override args = {
    dir: Args.string({ description: 'a folder of this machine', required: true }),
    path: Args.string({ description: 'where to: a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Import);
    const pod = this.pod(flags.network, args.path);
    const source = resolve(args.dir);
    const path = args.path === undefined ? `/${basename(source)}` : treePath(pod, args.path);
    const result = await this.ask(pod, 'import', { source, path });
    this.show(flags.json, result, () => formatTransfer(`into ${result.path}`, result));
    if (result.leftCount > 0) process.exitCode = 3;
  }
}
