import { hostname } from 'node:os';
import { join } from 'node:path';
import { WormholeError } from '../../base/index.js';
import { type NetworkConfig, parseDuration } from '../../config/index.js';
import { NOT_RUNNING } from '../../daemon/client.js';
import type { ControlCalls } from '../../daemon/control.js';
import { checkName, listPods, podPaths, wormholeHome } from '../../daemon/home.js';
import type { DaemonReady } from '../../daemon/order.js';
import { WormholeCommand } from '../command.js';
import { planText, readDeclaration } from '../declared.js';
import { Args, Flags } from '../definitions.js';
import { launchDaemon } from '../launch.js';
import { mountPoint } from '../mount-point.js';
import type { Pod } from '../pods.js';

type Applied = ControlCalls['apply']['result'];
interface PodInvite {
  pod: string;
  code: string;
  expires: string;
}

/** Whoever sets up several machines needs more than a moment. */
const INVITE_LIFETIME = '24h';

export default class Up extends WormholeCommand {
  static override summary = "Start this machine's daemon and mount; with -f, make what a file declares.";
  static override examples = [
    '<%= config.bin %> up',
    '<%= config.bin %> up --foreground',
    '<%= config.bin %> up -f wormhole.yaml ~/atelier --pod nas-1',
  ];
  static override args = {
    mount: Args.string({ description: 'with -f, where to mount a network that is made (default: ~/NAME)' }),
  };
  static override flags = {
    foreground: Flags.boolean({
      description: 'stay in the foreground, for supervisors; log on this terminal',
    }),
    file: Flags.string({
      char: 'f',
      description:
        'a wormhole.yaml: the network is made if this machine is not in it, and the file is declared',
      helpValue: 'FILE',
      exclusive: ['foreground'],
    }),
    pod: Flags.string({
      description: 'with -f, which of the pods this machine is (default: its host name)',
      helpValue: 'NAME',
    }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Up);
    if (flags.file !== undefined) return this.declared(flags.file, args.mount, flags.pod, flags.json);
    const pod = this.pod(flags.network);
    const ready = await launchDaemon(pod.paths, { folder: pod.paths.folder }, flags.foreground);
    if (flags.foreground) return;
    this.show(
      flags.json,
      ready,
      () => `Pod "${ready.pod}" of network "${ready.network}" is up at ${ready.mount}.\n`,
    );
  }

  /** Makes what a file declares: the network, where this machine is not in it, its settings, and invites. */
  private async declared(
    file: string,
    mount: string | undefined,
    name: string | undefined,
    json: boolean,
  ): Promise<void> {
    const { text, config } = readDeclaration(file);
    const network = config.network ?? missingName(file);
    const known = listPods(wormholeHome()).find(({ record }) => record.network === network);
    const ready =
      known === undefined ? await this.found(network, config, mount, name) : await this.running(known);
    const pod = this.pod(network);
    const applied = await this.ask(pod, 'apply', { text });
    const invites = await this.invites(pod, config);
    this.show(json, { ...ready, applied: applied.applied, plan: applied, invites }, () =>
      upText(ready, applied, invites),
    );
  }

  private found(
    network: string,
    config: NetworkConfig,
    mount: string | undefined,
    given: string | undefined,
  ): Promise<DaemonReady> {
    const pod = checkName(given ?? hostname(), 'pod');
    const names = [...config.pods.keys()];
    if (names.length > 0 && !names.includes(pod)) {
      throw new WormholeError(
        'usage',
        `the file names no pod "${pod}": say with --pod which one this machine is (${names.join(', ')}).`,
      );
    }
    const folder = join(wormholeHome(), network);
    return launchDaemon(podPaths(folder), {
      folder,
      origin: { kind: 'new', network, pod, mount: mountPoint(mount, network), port: 0, listen: '::' },
    });
  }

  private async running(pod: Pod): Promise<Pick<DaemonReady, 'network' | 'pod' | 'mount'>> {
    try {
      return await this.ask(pod, 'status', {});
    } catch (error) {
      if (!(error instanceof WormholeError) || error.code !== NOT_RUNNING) throw error;
      return launchDaemon(pod.paths, { folder: pod.paths.folder });
    }
  }

  /** One for each pod that the file names and that is no member yet. */
  private async invites(pod: Pod, config: NetworkConfig): Promise<PodInvite[]> {
    const members = new Set((await this.ask(pod, 'pods', {})).map(({ name }) => name));
    const invites: PodInvite[] = [];
    for (const [name, { role = 'storage' }] of config.pods) {
      if (members.has(name)) continue;
      const lifetimeMs = parseDuration(INVITE_LIFETIME) ?? 0;
      invites.push({ pod: name, ...(await this.ask(pod, 'invite', { role, lifetimeMs, pod: name })) });
    }
    return invites;
  }
}

function missingName(file: string): never {
  throw new WormholeError('usage', `${file} does not say which network it is: write network: NAME.`);
}

function upText(
  ready: Pick<DaemonReady, 'network' | 'pod' | 'mount'>,
  applied: Applied,
  invites: readonly PodInvite[],
): string {
  const head = `Pod "${ready.pod}" of network "${ready.network}" is up at ${ready.mount}.\n`;
  const codes = invites.map(({ pod, code }) => `\nOn ${pod}:\n    wh join ${code}\n`).join('');
  const note = invites.length === 0 ? '' : `\nEach code is good for one machine, for ${INVITE_LIFETIME}.\n`;
  return head + planText(applied) + codes + note;
}
