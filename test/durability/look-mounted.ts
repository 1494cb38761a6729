import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../src/base/index.js';
import { READY_DESCRIPTOR } from '../../src/daemon/order.js';
import { must } from '../system/pods.js';
import type { Answer } from './look-inside.js';

const DAEMON = fileURLToPath(new URL('../../src/daemon/main.js', import.meta.url));

/** Starts the daemon of the pod in `folder`, and reads through its mount at `mount`.
 *  @param clean ends it as `wh down` does, which takes much longer than all the rest */
export async function lookMounted(
  folder: string,
  mount: string,
  paths: readonly string[],
  clean: boolean,
): Promise<Answer> {
  const record = JSON.parse(await readFile(join(folder, 'pod.json'), 'utf8')) as object;
  await writeFile(join(folder, 'pod.json'), JSON.stringify({ ...record, mount }));
  const daemon = await startDaemon(folder);
  const answer: Answer = { seen: [], troubles: [], log: '' };
  for (const path of paths) {
    answer.seen.push(await contentOf(join(mount, path)).catch((error) => ({ failed: messageOf(error) })));
  }
  const end = await daemon.end(clean ? 'SIGTERM' : 'SIGKILL');
  if (clean && end !== 0) answer.troubles.push(`the daemon ended with ${end}`);
  if (!clean) await must(undefined, ['umount', '--lazy', mount]).catch(() => {});
  return { ...answer, log: daemon.log() };
}

interface Daemon {
  /** Its log so far. */
  log(): string;
  /** @returns its exit code or the signal */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string>;
}

/** One daemon on a network of its own, where copies of the same pod do not meet. */
async function startDaemon(folder: string): Promise<Daemon> {
  const child = spawn('unshare', ['--net', process.execPath, DAEMON], {
    cwd: '/',
    env: { ...process.env, UV_THREADPOOL_SIZE: '24', [READY_DESCRIPTOR]: '3' },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  child.stdin?.end(JSON.stringify({ folder }));
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const lines = createInterface({ input: child.stdio[3] as Readable })[Symbol.asyncIterator]();
  const { value } = (await lines.next()) as { value: string | undefined };
  const word = JSON.parse(value ?? '{}') as { ready?: object };
  if (word.ready === undefined) {
    child.kill('SIGKILL');
    throw new Error(`the pod does not start: ${value}\n${said}`);
  }
  return {
    log: () => said,
    end: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}
