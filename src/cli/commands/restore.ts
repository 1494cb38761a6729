import { WormholeCommand } from '../command.js';
import { Args, Flags } from '../definitions.js';
import { treePath } from '../pods.js';

/** As `wh history` prints versions; names of files may hold an `@` too. */
const VERSION = /@(\d+-[a-z2-7]{8})$/;

export default class Restore extends WormholeCommand {
  static override summary = 'Bring back a deleted file or folder, or an earlier version of a file.';
  static override description =
    'Without @VERSION: what was deleted last under this name, with all that went with it, or the version before the present one. The present one becomes a version itself.';
  static override examples = [
    '<%= config.bin %> restore ~/atelier/plan.txt',
    '<%= config.bin %> restore /plan.txt@1532-l3wa3raz --to /plan-of-may.txt',
  ];
  static override args = {
    path: Args.string({
      required: true,
      description: 'PATH or PATH@VERSION: a path into the mount, or /PATH inside the tree',
    }),
  };
  static override flags = {
    to: Flags.string({ description: 'restore to this path, which must be free', helpValue: 'PATH' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Restore);
    const version = VERSION.exec(args.path)?.[1] ?? null;
    const path = args.path.replace(VERSION, '');
    const pod = this.pod(flags.network, path);
    const to = flags.to === undefined ? null : treePath(pod, flags.to);
    const restored = await this.ask(pod, 'restore', { path: treePath(pod, path), version, to });
    this.show(flags.json, restored, () =>
      restored.version === null
        ? `${restored.path} is back${restored.entries > 1 ? `, with ${restored.entries - 1} inside` : ''}.\n`
        : `${restored.path} is as it was in version ${restored.version}.\n`,
    );
  }
}
