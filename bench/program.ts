import { fileURLToPath } from 'node:url';
import { must } from '../test/system/pods.js';

const PROGRAMS = fileURLToPath(new URL('./programs.js', import.meta.url));

/** Runs one of `programs.ts` in a process of its own and returns what it measured. */
export async function runProgram(name: string, path: string, count = 0): Promise<Record<string, number>> {
  const output = await must(undefined, [process.execPath, PROGRAMS, name, path, String(count)], {
    timeoutMs: 600_000,
  });
  return JSON.parse(output) as Record<string, number>;
}
