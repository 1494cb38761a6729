import { formatSeconds, WormholeError } from '../../base/index.js';
import { formatSize } from '../../config/index.js';
import { NOT_RUNNING } from '../../daemon/client.js';
import type { Status } from '../../daemon/control.js';
import { listPods, wormholeHome } from '../../daemon/home.js';
import { WormholeCommand } from '../command.js';
import { colour, formatTable } from '../output.js';
import type { Pod } from '../pods.js';

export default class StatusCommand extends WormholeCommand {
  static override summary = 'One screen: pods and links, files and bytes, what is not yet on enough pods.';
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --json'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(StatusCommand);
    if (flags.network === undefined && listPods(wormholeHome()).length === 0 && !flags.json) {
      process.stdout.write(WELCOME);
      return;
    }
    const pod = this.pod(flags.network);
    const status = await this.ask(pod, 'status', {}).catch((error) => {
      if (error instanceof WormholeError && error.code === NOT_RUNNING) return stopped(pod);
      throw error;
    });
    this.show(flags.json, status, () => statusText(status));
  }
}

const WELCOME = `This machine is in no network yet.
  wh new NAME [MOUNT]    make one, with this machine as its first pod
  wh join CODE [MOUNT]   join one, by a code that \`wh invite\` prints on a machine that is in it
  wh --help              all commands
`;

function stopped(pod: Pod): Status {
  return {
    network: pod.record.network,
    pod: pod.record.pod,
    mount: pod.record.mount,
    state: 'stopped',
    posture: 'favourable',
    pods: [],
    files: 0,
    bytes: 0,
    unpublished: 0,
    underReplicated: 0,
    conflicts: 0,
    massDeletions: [],
    ignored: 0,
    work: [],
    readOnly: null,
    warnings: ['The daemon is not running: start it with `wh up`.'],
  };
}

function statusText(status: Status): string {
  const { state } = status;
  const shown =
    state === 'running' ? colour('green', state) : colour(state === 'stopped' ? 'red' : 'yellow', state);
  const head = `${colour('bold', status.network)}  pod ${status.pod}  ${status.mount}  ${shown}\n`;
  if (state === 'stopped') return head + status.warnings.map((warning) => `! ${warning}\n`).join('');
  const pods = status.pods.map((pod) => [
    `  ${pod.name}`,
    pod.role,
    pod.link === 'self' ? 'this machine' : pod.link,
    pod.address ?? '',
    pod.free === null ? '' : `${formatSize(pod.free)} free`,
    pod.link === 'down' ? (pod.lastSeen === null ? 'never seen' : `seen ${pod.lastSeen}`) : '',
  ]);
  const lines = [
    `${status.files} files, ${formatSize(status.bytes)}`,
    status.unpublished > 0 ? `${status.unpublished} not yet published` : '',
    status.underReplicated > 0
      ? `${status.underReplicated} on fewer pods than declared`
      : status.pods.filter((pod) => pod.role === 'storage').length < 2
        ? ''
        : 'all on as many pods as declared',
    status.conflicts > 0 ? `${status.conflicts} in conflict: see \`wh conflicts\`` : '',
    status.ignored > 0 ? `${status.ignored} ignored, of a newer version or not valid` : '',
  ].filter((line) => line !== '');
  const work = status.work.map(
    (task) =>
      `  ${task.name}: ${task.done} of ${task.total} ${task.unit}` +
      (task.eta === null ? '' : `, ${formatSeconds(task.eta)} left`) +
      (task.problem === null ? '' : ` (${task.problem})`),
  );
  return (
    head +
    formatTable(pods) +
    `${lines.join('; ')}\n` +
    work.map((line) => `${line}\n`).join('') +
    status.warnings.map((warning) => `${colour('yellow', '!')} ${warning}\n`).join('')
  );
}
