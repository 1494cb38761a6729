import { join } from 'node:path';
import { execute } from '@oclif/core';
import { messageOf } from '../base/index.js';

// `wh` alone shows what is going on and what to do next.
const words = process.argv.slice(2);

try {
  await execute({
    args: words.length === 0 ? ['status'] : words,
    dir: join(import.meta.dirname, '..', '..', '..'),
  });
} catch (error) {
  // What oclif itself refuses: a command that does not exist, a flag that is not known.
  process.stderr.write(`wh: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
