import { resolve } from 'node:path';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { formatTransfer } from '../output.js';
import { treePath } from '../pods.js';

export default class Export extends WormholeCommand {
  static override summary = 'Copy a file or folder of the tree to this machine, each file verified.';
  static override description =
    'What is not here is fetched. Files that are there already, byte for byte, are passed over, so that a second run goes on ' +
    'where the first was cut off; nothing is ever replaced.';
  static override examples = ['<%= config.bin %> export /photos /mnt/usb/photos'];
  static override args = {
    path: Args.string({ description: 'a path into the mount, or /PATH inside the tree', required: true }),
    dir: Args.string({ description: 'a folder of this machine, made when it is missing', required: true }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Export);
    const pod = this.pod(flags.network, args.path);
    const target = resolve(args.dir);
    const result = await this.ask(pod, 'export', { path: treePath(pod, args.path), target });
    this.show(flags.json, result, () => formatTransfer(`to ${target}`, result));
    if (result.leftCount > 0) process.exitCode = 3;
  }
}
