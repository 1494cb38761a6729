import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The folder to mount on: the one given, or `~/NAME`, which is made if it is missing. */
export function mountPoint(given: string | undefined, network: string): string {
  if (given !== undefined) return resolve(given);
  const folder = join(homedir(), network);
  mkdirSync(folder, { recursive: true });
  return folder;
}
