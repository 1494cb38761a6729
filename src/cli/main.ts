import { join } from 'node:path';
import { messageOf } from '../base/index.js';
import { LOADERS } from './loaders.js';

// Whoever reads may have had enough (`wh ls | head -1`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// `wh` alone shows what is going on and what to do next.
const words = process.argv.slice(2);
const command = findCommand(words.length === 0 ? ['status'] : words);
if (command === undefined) await askOclif();
else await (await command.load()).run(command.rest);

/** The command that the words begin with, unless help is asked for. */
function findCommand(
  words: readonly string[],
): { load: (typeof LOADERS)[string]; rest: readonly string[] } | undefined {
  const end = words.indexOf('--');
  if (words.slice(0, end < 0 ? undefined : end).includes('--help')) return undefined;
  for (const length of [2, 1]) {
    const id = words.slice(0, length).join(':');
    const load = Object.hasOwn(LOADERS, id) ? LOADERS[id] : undefined;
    if (load !== undefined) return { load, rest: words.slice(length) };
  }
  return undefined;
}

/** For help, the version, and what is no command. */
async function askOclif(): Promise<void> {
  const { execute } = await import('@oclif/core');
  try {
    await execute({ args: words, dir: join(import.meta.dirname, '..', '..', '..') });
  } catch (error) {
    process.stderr.write(`wh: ${messageOf(error)}\n`);
    process.exitCode = 2;
  }
}
