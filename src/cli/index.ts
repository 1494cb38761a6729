/** `wh`: one file a command; asks the daemon, prints. */
import { LOADERS } from './loaders.js';

const all = Object.entries(LOADERS).map(async ([id, load]) => [id, await load()] as const);

/** Name → command, as oclif's explicit strategy reads them for help. */
export const COMMANDS = Object.fromEntries(await Promise.all(all));
