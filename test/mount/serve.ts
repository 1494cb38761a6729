import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseMountInfo } from '../../src/mount/mount-table.js';
import type { Command, Reply, ServerOptions } from './server.js';

/** Why nothing can be mounted here, for tests to skip with. */
export function cannotMount(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root';
  try {
    readFileSync('/proc/self/mountinfo');
  } catch {
    return 'needs /proc';
  }
  return undefined;
}

/** A memory file system that another process serves. */
export interface Served {
  child: ChildProcess;
  mountPoint: string;
  way: string;
  /** Sends a command and waits until it is done. @throws Error with `code` when the server refuses */
  command(command: Command): Promise<Extract<Reply, { at: 'done' }>>;
  closed: Promise<string>;
  /** Unmounts, waits for the end of the process, removes the folder. */
  stop(): Promise<void>;
}

export function makeMountPoint(): string {
  return mkdtempSync(join(tmpdir(), 'wormhole-mount-'));
}

/** Whether something is mounted exactly there. */
export function isMounted(mountPoint: string): boolean {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8')).some(
    (mount) => mount.mountPoint === mountPoint,
  );
}

export async function serve(options: Partial<ServerOptions> = {}): Promise<Served> {
  const mountPoint = options.mountPoint ?? makeMountPoint();
  const server = fileURLToPath(new URL('./server.js', import.meta.url));
  const child = fork(server, [JSON.stringify({ ...options, mountPoint })], { cwd: '/', detached: true });
  const replies: Reply[] = [];
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  child.on('message', (reply: Reply) => {
    replies.push(reply);
    wake();
  });
  child.on('disconnect', wake);
  const next = async (...kinds: Reply['at'][]): Promise<Reply> => {
    for (;;) {
      const index = replies.findIndex((reply) => kinds.includes(reply.at));
      if (index >= 0) return replies.splice(index, 1)[0]!;
      if (!child.connected) throw new Error('the server is gone');
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const ready = await next('ready', 'failed');
  if (ready.at !== 'ready') {
    child.disconnect();
    throw refusal(ready);
  }
  const command = async (order: Command) => {
    child.send(order);
    const reply = await next('done', 'failed');
    if (reply.at !== 'done') throw refusal(reply);
    return reply;
  };
  const exited = once(child, 'exit');
  return {
    child,
    mountPoint,
    way: ready.way,
    command,
    closed: next('closed').then(
      (reply) => (reply.at === 'closed' ? reply.how : ''),
      () => 'killed',
    ),
    async stop() {
      try {
        if (child.connected) await command({ do: 'unmount' });
      } finally {
        // A mount that is in use is a failure of the test, and must not outlive it.
        if (isMounted(mountPoint)) child.kill('SIGKILL');
        else if (child.connected) child.disconnect();
        await exited;
        await until('the mount is gone', () => !isMounted(mountPoint));
        rmdirSync(mountPoint);
      }
    },
  };
}

function refusal(reply: Reply): Error {
  return Object.assign(new Error('message' in reply ? reply.message : reply.at), {
    code: 'code' in reply ? reply.code : undefined,
  });
}

/** Waits until something holds; @throws Error when it does not in time */
export async function until(what: string, holds: () => boolean, withinMs = 30_000): Promise<void> {
  for (const end = Date.now() + withinMs; !holds(); await delay(5)) {
    if (Date.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
  }
}
