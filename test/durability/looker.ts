import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Question } from './look-inside.js';

const PROGRAM = fileURLToPath(new URL('./look-inside.js', import.meta.url));

/** In a mount namespace of its own, where the kernel seems to have been started anew, as it was after a power cut. */
const ANOTHER_BOOT = `file=$(mktemp) && echo "$1" >$file &&
  mount --bind $file /proc/sys/kernel/random/boot_id && rm $file && shift && exec "$@"`;

/** A process that opens pods and says what is in them; one that dies is the answer, and another takes its place. */
export class Looker {
  private child: ChildProcess | undefined;

  /** One question at a time. @throws Error when the process died of it */
  async ask(question: Question): Promise<Answer> {
    this.child ??= start();
    const { child } = this;
    const over = new AbortController();
    const { signal } = over;
    child.send(question);
    try {
      return await Promise.race([
        once(child, 'message', { signal }).then(([answer]) => answer as Answer),
        once(child, 'exit', { signal }).then(([code, death]) => {
          this.child = undefined;
          throw new Error(`whoever opened the pod ended with ${death ?? code}`);
        }),
      ]);
    } finally {
      over.abort();
    }
  }

  async close(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.disconnect();
    await exited;
  }
}

function start(): ChildProcess {
  const node = [process.execPath, '--enable-source-maps', PROGRAM];
  const shell = ['sh', '-c', ANOTHER_BOOT, 'sh', randomUUID(), ...node];
  return spawn('unshare', ['--mount', '--propagation', 'slave', ...shell], {
    cwd: '/',
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // Answers carry whole files.
    serialization: 'advanced',
  });
}
