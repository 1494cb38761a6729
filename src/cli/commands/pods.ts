import { formatSize } from '../../config/index.js';
import { WormholeCommand } from '../command.js';
import { formatTable } from '../output.js';

export default class Pods extends WormholeCommand {
  static override summary = 'The members: keys, roles, capacity, when last seen.';
  static override examples = ['<%= config.bin %> pods'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Pods);
    const pods = await this.ask(this.pod(flags.network), 'pods', {});
    this.show(flags.json, pods, () =>
      formatTable([
        ['NAME', 'ROLE', 'LINK', 'ADDRESS', 'FREE', 'RTT', 'LAST SEEN', 'KEY'],
        ...pods.map((pod) => [
          pod.name,
          pod.role,
          pod.link,
          pod.address ?? '-',
          pod.free === null ? '-' : formatSize(pod.free),
          pod.roundTripMs === null ? '-' : `${pod.roundTripMs.toFixed(1)} ms`,
          pod.link === 'down' ? (pod.lastSeen ?? 'never') : 'now',
          pod.key,
        ]),
      ]),
    );
  }
}
