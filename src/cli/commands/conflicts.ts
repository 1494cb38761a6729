import { formatSize } from '../../config/index.js';
import type { ConflictReport, NameReport } from '../../daemon/control.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';
import { formatTable } from '../output.js';

export default class Conflicts extends WormholeCommand {
  static override summary =
    'What was changed on two sides at once: every version, where it is, and who wrote it.';
  static override examples = ['<%= config.bin %> conflicts', '<%= config.bin %> conflicts --names --json'];
  static override flags = {
    names: Flags.boolean({ description: 'also list names that macOS or Windows could not hold' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Conflicts);
    const found = await this.ask(this.pod(flags.network), 'conflicts', { names: flags.names });
    this.show(
      flags.json,
      found,
      () => conflictsText(found.conflicts) + (flags.names ? namesText(found.names) : ''),
    );
  }
}

function conflictsText(conflicts: ConflictReport[]): string {
  if (conflicts.length === 0) return 'No conflicts.\n';
  const blocks = conflicts.map(({ path, versions }) => {
    const rows = versions.map((version) => [
      `  ${version.path}`,
      version.mine ? `${version.pod} (mine)` : version.pod,
      version.kind === 'directory' ? 'folder' : formatSize(version.size),
      version.time.slice(0, 16).replace('T', ' '),
      version.id,
    ]);
    return `${path}\n${formatTable(rows)}`;
  });
  return `${blocks.join('')}Settle one with \`wh resolve PATH --keep mine|theirs|both|ID\`, or rename and delete as you like.\n`;
}

const PROBLEMS: Record<NameReport['problem'], string> = {
  case: 'differs only in case from',
  unicode: 'differs only in Unicode form from',
  characters: 'has a character that Windows refuses',
  ending: 'ends in a way that Windows refuses',
  reserved: 'is a name that Windows keeps for itself',
};

function namesText(names: NameReport[]): string {
  if (names.length === 0) return 'All names would do on other systems, too.\n';
  const lines = names.map(({ path, problem, like }) =>
    `${path} ${PROBLEMS[problem]} ${like ?? ''}`.trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join('');
}
