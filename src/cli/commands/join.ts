import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { checkName, podPaths, wormholeHome } from '../../daemon/home.js';
import { WormholeCommand } from '../command.js';
import { Args, Flags } from '../definitions.js';
import { launchDaemon } from '../launch.js';
import { POD_FLAGS } from '../pod-flags.js';

export default class Join extends WormholeCommand {
  static override summary = 'Become a member of a network by a code from `wh invite`, and mount it.';
  static override examples = [
    '<%= config.bin %> join CODE ~/atelier',
    '<%= config.bin %> join CODE ~/atelier --address nas.example.org:4747',
  ];
  static override args = {
    code: Args.string({ required: true, description: 'the code that `wh invite` printed' }),
    mount: Args.string({ description: 'an empty folder (default: ~/NAME of the network, made if missing)' }),
  };
  static override flags = {
    ...POD_FLAGS,
    address: Flags.string({
      description: 'where the inviter listens, if multicast does not reach it',
      helpValue: 'HOST:PORT',
    }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Join);
    const pod = checkName(flags.pod ?? hostname(), 'pod');
    const home = wormholeHome();
    // Only the inviter knows the network's name; the daemon renames the folder once it is told.
    const folder = join(home, `.joining-${randomBytes(6).toString('hex')}`);
    const { port, listen } = flags;
    const mount = args.mount === undefined ? null : resolve(args.mount);
    try {
      const ready = await launchDaemon(podPaths(folder), {
        folder,
        origin: {
          kind: 'join',
          code: args.code,
          pod,
          mount,
          port,
          listen,
          address: flags.address ?? null,
          home,
        },
      });
      this.show(
        flags.json,
        ready,
        () =>
          `This machine is now the pod "${ready.pod}" of network "${ready.network}".\n` +
          `The folder is ${ready.mount}; its files come when they are read. See: wh status\n`,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
