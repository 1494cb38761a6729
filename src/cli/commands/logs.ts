import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { WormholeError } from '../../base/index.js';
import { oldLog } from '../../daemon/home.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';

const FOLLOW_INTERVAL_MS = 250;

export default class Logs extends WormholeCommand {
  static override summary = "The daemon's log.";
  static override examples = ['<%= config.bin %> logs', '<%= config.bin %> logs --lines 500 --follow'];
  static override flags = {
    lines: Flags.integer({ description: 'the last so many', default: 100, min: 0, helpValue: 'N' }),
    follow: Flags.boolean({ char: 'f', description: 'go on with what comes' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Logs);
    const { log } = this.pod(flags.network).paths;
    if (!existsSync(log)) {
      throw new WormholeError(
        'not-found',
        'this pod has no log yet: with `wh up --foreground` it goes to whoever started the daemon.',
      );
    }
    const { size } = statSync(log);
    const lines = lastLines(log, flags.lines);
    this.show(flags.json, lines, () => lines.map((line) => `${line}\n`).join(''));
    if (flags.follow) await follow(log, size);
  }
}

/** The last lines, from the log before too where the present one is short. */
export function lastLines(log: string, count: number): string[] {
  const lines = linesOf(log);
  const before = lines.length < count && existsSync(oldLog(log, 1)) ? linesOf(oldLog(log, 1)) : [];
  return count === 0 ? [] : [...before, ...lines].slice(-count);
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

/** Until it is interrupted. A log that got shorter was begun anew. */
async function follow(log: string, from: number): Promise<never> {
  for (let at = from; ; ) {
    const { size } = statSync(log);
    if (size < at) at = 0;
    if (size > at) {
      for await (const bytes of createReadStream(log, { start: at, end: size - 1 }))
        process.stdout.write(bytes);
      at = size;
    }
    await setTimeout(FOLLOW_INTERVAL_MS);
  }
}
