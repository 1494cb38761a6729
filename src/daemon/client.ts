import { closeSync, openSync } from 'node:fs';
import { request } from 'node:http';
import { basename, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { type ErrorCode, errorFrom, WormholeError } from '../base/index.js';
import type { ControlCalls, ControlLine, ControlName } from './control.js';

/** Thrown when nobody listens: the daemon is not running. */
export const NOT_RUNNING: ErrorCode = 'closed';

/**
 * A path to a socket that is short enough for the kernel (108 bytes), whatever the folder is called: through
 * an open descriptor of the folder. Call `done` once bound or connected.
 */
export function shortSocketPath(path: string): { path: string; done(): void } {
  if (Buffer.byteLength(path) < 100) return { path, done: () => {} };
  const descriptor = openSync(dirname(path), 'r');
  return {
    path: `/proc/self/fd/${descriptor}/${basename(path)}`,
    done: () => closeSync(descriptor),
  };
}

/**
 * Asks a daemon.
 * @param onProgress gets a line for people now and then during long calls
 * @throws WormholeError `closed` when no daemon listens, else what the daemon says
 */
export function callDaemon<Name extends ControlName>(
  socket: string,
  name: Name,
  args: ControlCalls[Name]['arguments'],
  options: { onProgress?: (line: string) => void; signal?: AbortSignal } = {},
): Promise<ControlCalls[Name]['result']> {
  return new Promise((resolve, reject) => {
    const short = shortSocketPath(socket);
    const { signal } = options;
    const call = request(
      {
        socketPath: short.path,
        // Each call connects anew: a connection that is used again would never say that it is there.
        agent: false,
        method: 'POST',
        path: `/${name}`,
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        let ended = false;
        const lines = createInterface({ input: response });
        lines.on('line', (text) => {
          const line = JSON.parse(text) as ControlLine;
          if ('progress' in line) return options.onProgress?.(line.progress);
          ended = true;
          if ('error' in line) reject(errorFrom(line.error));
          else resolve(line.result as ControlCalls[Name]['result']);
        });
        lines.on('close', () => {
          if (!ended)
            reject(
              new WormholeError('io', 'the daemon ended before it answered: see `wh status` and its log.'),
            );
        });
        response.on('error', () => lines.close());
      },
    );
    call.on('socket', (connection) => connection.once('connect', short.done).once('error', short.done));
    call.on('error', (cause) => {
      const code = (cause as NodeJS.ErrnoException).code;
      if (signal?.aborted === true) reject(new WormholeError('interrupted', 'cancelled.'));
      else if (code === 'ENOENT' || code === 'ECONNREFUSED') {
        reject(new WormholeError(NOT_RUNNING, 'the daemon is not running: start it with `wh up`.'));
      } else reject(new WormholeError('io', `the daemon cannot be reached: ${cause.message}`, { cause }));
    });
    call.end(JSON.stringify(args));
  });
}
