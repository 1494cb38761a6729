import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { WormholeError } from '../../base/index.js';
import { checkName, podPaths, wormholeHome } from '../../daemon/home.js';
import { WormholeCommand } from '../command.js';
import { Args } from '../definitions.js';
import { launchDaemon } from '../launch.js';
import { mountPoint } from '../mount-point.js';
import { POD_FLAGS } from '../pod-flags.js';

export default class New extends WormholeCommand {
  static override summary = 'Make a network with this machine as its first pod, start the daemon, mount.';
  static override examples = ['<%= config.bin %> new atelier ~/atelier'];
  static override args = {
    name: Args.string({ required: true, description: "the network's name" }),
    mount: Args.string({ description: 'an empty folder (default: ~/NAME, made if missing)' }),
  };
  static override flags = POD_FLAGS;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(New);
    const network = checkName(args.name, 'network');
    const pod = checkName(flags.pod ?? hostname(), 'pod');
    const folder = join(wormholeHome(), network);
    if (existsSync(podPaths(folder).record)) {
      throw new WormholeError(
        'exists',
        `this machine already has a network "${network}": start it with \`wh up\`, or choose another name.`,
      );
    }
    const mount = mountPoint(args.mount, network);
    const { port, listen } = flags;
    const ready = await launchDaemon(podPaths(folder), {
      folder,
      origin: { kind: 'new', network, pod, mount, port, listen },
    });
    this.show(
      flags.json,
      ready,
      () =>
        `Network "${ready.network}" is made; this machine is its pod "${ready.pod}".\n` +
        `The folder is ${ready.mount}. Let another machine in with: wh invite\n`,
    );
  }
}
