import { formatSize } from '../../config/index.js';
import type { Fsck as Found } from '../../daemon/control.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';

/** So many files are named on a screen; `--json` has them all. */
const SHOWN = 20;

export default class Fsck extends WormholeCommand {
  static override summary = 'Compare what the tree names with what is on this machine.';
  static override description =
    'Exit code 3 when something that should be here is not (it is fetched as soon as a pod that has it is ' +
    'there), 1 when something was damaged and nobody could mend it.';
  static override examples = ['<%= config.bin %> fsck', '<%= config.bin %> fsck --read-data'];
  static override flags = {
    'read-data': Flags.boolean({
      description: 'read every byte and compare its hash; damaged chunks are fetched anew',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Fsck);
    const found = await this.ask(this.pod(flags.network), 'fsck', { readData: flags['read-data'] });
    this.show(flags.json, found, () => textOf(found));
    if (found.ok) return;
    process.exitCode = found.damaged.some(({ mended }) => !mended) ? 1 : 3;
  }
}

function textOf(found: Found): string {
  const lines = [`${found.files} files, ${found.chunks} chunks here.`];
  if (found.unnamed > 0) {
    lines.push(
      `${found.unnamed} chunks (${formatSize(found.unnamedBytes)}) belong to no file any more and wait for the end of their history.`,
    );
  }
  if (found.bytesRead > 0) lines.push(`${formatSize(found.bytesRead)} read and compared.`);
  for (const { chunk, mended } of found.damaged) {
    lines.push(`chunk ${chunk} was damaged: ${mended ? 'fetched anew' : 'nobody who can be reached has it'}`);
  }
  for (const { path, chunks, nowhere, unknown } of found.missing.slice(0, SHOWN)) {
    const what = unknown ? 'the list of its chunks' : `${chunks} chunks`;
    const where =
      nowhere > 0 || unknown ? 'no pod that can be reached has it all' : 'on its way from other pods';
    lines.push(`${path}: ${what} missing here, ${where}`);
  }
  if (found.missing.length > SHOWN)
    lines.push(`… and ${found.missing.length - SHOWN} more files (see --json)`);
  if (found.ok) lines.push('Nothing is missing.');
  return `${lines.join('\n')}\n`;
}
