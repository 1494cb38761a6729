import { WormholeError } from '../../base/index.js';
import { WormholeCommand } from '../command.js';
import { stopDaemon } from '../stop-daemon.js';

const SENTENCE = {
  no: 'was not running',
  stopped: 'is down',
  killed: 'did not answer and was killed; nothing that was closed is lost',
} as const;

export default class Down extends WormholeCommand {
  static override summary = "Stop this machine's daemon and unmount.";
  static override examples = ['<%= config.bin %> down'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Down);
    const pod = this.pod(flags.network);
    const cancelled = new AbortController();
    const cancel = () => cancelled.abort(new WormholeError('interrupted', 'cancelled.'));
    process.once('SIGINT', cancel);
    const how = await stopDaemon(pod.paths, cancelled.signal).finally(() =>
      process.removeListener('SIGINT', cancel),
    );
    this.show(flags.json, { stopped: how !== 'no' }, () => `Pod "${pod.record.pod}" ${SENTENCE[how]}.\n`);
  }
}
