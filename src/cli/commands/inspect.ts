import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { treePath } from '../pods.js';

export default class Inspect extends WormholeCommand {
  static override summary = 'One file: chunks, holders, conflict.';
  static override examples = ['<%= config.bin %> inspect ~/atelier/film.mkv'];
  static override args = {
    path: Args.string({ required: true, description: 'a path into the mount, or /PATH inside the tree' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Inspect);
    const pod = this.pod(flags.network, args.path);
    const file = await this.ask(pod, 'inspect', { path: treePath(pod, args.path) });
    this.show(
      flags.json,
      file,
      () =>
        `${file.path}\n` +
        `  ${file.kind}, ${formatSize(file.size)}, ${file.state}\n` +
        `  ${file.copies.held} of ${file.copies.wanted} copies${file.holders.length === 0 ? '' : `: ${file.holders.join(', ')}`}\n` +
        (file.reason === '' ? '' : `  ${file.reason}\n`) +
        `  ${file.chunks.length} chunks, ${file.chunks.filter((chunk) => chunk.here).length} of them here\n` +
        (file.content === '' ? '' : `  content ${file.content}\n`) +
        (file.conflict === null ? '' : `  in conflict with ${file.conflict}\n`),
    );
  }
}
