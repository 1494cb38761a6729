import { renameSync } from 'node:fs';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';
import { untilEnded } from '../process.js';
import { timeoutFlag, timeoutMsOf } from '../timeout.js';

export default class Leave extends WormholeCommand {
  static override summary = 'Hand over what only this machine holds, then leave the network.';
  static override examples = ['<%= config.bin %> leave', '<%= config.bin %> leave --abandon --abandon'];
  static override flags = {
    abandon: Flags.boolean({
      description: 'given twice: leave even though files have their only copy here',
    }),
    timeout: timeoutFlag,
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Leave);
    const pod = this.pod(flags.network);
    const abandon = this.argv.filter((word) => word === '--abandon').length >= 2;
    const result = await this.ask(pod, 'leave', { abandon, timeoutMs: timeoutMsOf(flags.timeout) });
    await untilEnded(result.pid);
    // The pod is none any more; its store stays, for whoever wants to look at it.
    renameSync(pod.paths.record, `${pod.paths.record}.left`);
    this.show(flags.json, { left: pod.record.network, onlyHere: result.onlyHere }, () => {
      const lost = result.onlyHere === 0 ? '' : `${result.onlyHere} files were only here. `;
      return `This machine has left "${pod.record.network}". ${lost}What it stored is in ${pod.paths.folder}; delete that when nothing in it is needed.\n`;
    });
  }
}
