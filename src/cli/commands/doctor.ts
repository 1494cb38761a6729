import { WormholeError } from '../../base/index.js';
import { WormholeCommand } from '../command.js';
import { checkMachine } from '../doctor/machine.js';
import { checkPod } from '../doctor/pod.js';
import { formatTable } from '../output.js';
import type { Pod } from '../pods.js';

export default class Doctor extends WormholeCommand {
  static override summary = 'Look for what keeps this machine from working well, with the cure of each.';
  static override examples = ['<%= config.bin %> doctor'];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Doctor);
    const pod = this.podIfAny(flags.network);
    const findings = [...(await checkMachine()), ...(pod === undefined ? [] : await checkPod(pod))];
    this.show(flags.json, { findings }, () =>
      formatTable(
        findings.flatMap(({ check, state, found, cure }) => [
          [state, check, found],
          ...(cure === null ? [] : [['', '', `→ ${cure}`]]),
        ]),
      ),
    );
    if (findings.some(({ state }) => state === 'problem')) process.exitCode = 1;
  }

  /** Before the first network there is the machine to look at. */
  private podIfAny(network: string | undefined): Pod | undefined {
    try {
      return this.pod(network);
    } catch (error) {
      if (error instanceof WormholeError && error.code === 'no-network' && network === undefined)
        return undefined;
      throw error;
    }
  }
}
