import { spawn } from 'node:child_process';
import { messageOf, WormholeError } from '../base/index.js';

/** Runs a program outside of any mount, without a shell; `inherited` becomes its descriptor 3.
 *  @throws WormholeError `not-supported` when it is not there */
export function runProgram(
  program: string,
  parameters: string[],
  inherited: number | 'ignore' = 'ignore',
  environment: Record<string, string> = {},
): Promise<{ code: number | null; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe', inherited],
      env: {
        ...process.env,
        PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
        LC_ALL: 'C',
        ...environment,
      },
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (cause) => {
      reject(
        new WormholeError('not-supported', `${program} could not be run: ${messageOf(cause)}`, { cause }),
      );
    });
    child.on('close', (code) => resolve({ code, stderr: stderr.trim().replaceAll('\n', ' ') }));
  });
}
