import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, errorFrom, WormholeError } from '../base/index.js';
import type { PodPaths } from '../daemon/home.js';
import { type DaemonOrder, type DaemonReady, READY_DESCRIPTOR } from '../daemon/order.js';

const DAEMON = fileURLToPath(new URL('../daemon/main.js', import.meta.url));
/** The mount's own calls and the store's share libuv's pool; with the default of 4 they could block each other. */
const THREAD_POOL_SIZE = '24';
/**
 * V8 starts with a small limit for old objects and counts buffers against it: a daemon whose heap is 20 MB collected
 * all of it after every 7 MB that it received. From this limit on it adapts as ever (decision 13). In MB.
 */
const FIRST_HEAP_LIMIT = '--initial-old-space-size=256';
/**
 * After so many bytes V8 compiles a WebAssembly function once more, and well: Node 24's own value. With Node 20's, a seventh
 * of it, a third of a start's processor time went into functions of Automerge that ran no more afterwards.
 */
const WASM_TIERING_BUDGET = '--wasm-tiering-budget=13000000';

/**
 * Starts a daemon that outlives this command, and waits until it serves.
 * @param foreground keeps it in this process group with its log on this terminal, and resolves when it ends
 * @throws WormholeError what the daemon says when it cannot start
 */
export async function launchDaemon(
  paths: PodPaths,
  order: DaemonOrder,
  foreground = false,
): Promise<DaemonReady> {
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  const log = foreground ? undefined : openSync(paths.log, 'a', 0o600);
  const child = spawn(process.execPath, [FIRST_HEAP_LIMIT, WASM_TIERING_BUDGET, DAEMON], {
    detached: !foreground,
    // Never a folder of the mount: the daemon would wait for itself.
    cwd: '/',
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: process.env['UV_THREADPOOL_SIZE'] ?? THREAD_POOL_SIZE,
      [READY_DESCRIPTOR]: '3',
    },
    stdio: ['pipe', log ?? 'inherit', log ?? 'inherit', 'pipe'],
  });
  if (log !== undefined) closeSync(log);
  // If it ends before it reads its order, the silence on the other descriptor tells.
  child.stdin?.on('error', () => {});
  child.stdin?.end(JSON.stringify(order));
  const ready = await firstWord(child.stdio[3] as Readable, paths);
  if (!foreground) {
    child.unref();
    return ready;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  if (code !== 0)
    throw new WormholeError('internal', `the daemon ended with code ${code}: see its log above.`);
  return ready;
}

/** The daemon writes one line: that it serves, or why not. */
function firstWord(pipe: Readable, paths: PodPaths): Promise<DaemonReady> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: pipe });
    let said = false;
    lines.on('line', (line) => {
      said = true;
      const word = JSON.parse(line) as
        | { ready: DaemonReady }
        | { error: { code: ErrorCode; message: string } };
      if ('error' in word) reject(errorFrom(word.error));
      else resolve(word.ready);
      pipe.destroy();
    });
    lines.on('close', () => {
      if (!said)
        reject(
          new WormholeError(
            'internal',
            `the daemon ended before it served: start it once more, which looks at its store, and see ${paths.log}.`,
          ),
        );
    });
  });
}
