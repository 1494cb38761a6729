import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Outcome, Step } from './player.js';

const PLAYER = fileURLToPath(new URL('./player.js', import.meta.url));
/** A stop that takes longer hangs. */
const STEP_MS = 40_000;

/** Which system calls are struck, how, and when: the `when`-th of each thread; `3+` is every one from the third on. */
export interface Fault {
  calls: string;
  effect: 'error=EIO' | 'error=ENOSPC' | 'error=EROFS' | 'signal=SIGKILL';
  when: string;
}

/** A pod in a process of its own, whose system calls can be made to fail (strace -e inject). */
export class FaultyPod {
  private readonly child: ChildProcess;
  private readonly died: Promise<never>;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.died = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the process of the pod ended with ${signal ?? code}`);
    });
    this.died.catch(() => {});
  }

  static async start(): Promise<FaultyPod> {
    // One thread for all that is done in the background, so that its calls have one order.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
    const child = fork(PLAYER, [], { cwd: '/', serialization: 'advanced', env });
    const pod = new FaultyPod(child);
    await Promise.race([once(child, 'message'), pod.died]);
    return pod;
  }

  /** @throws Error when the process dies of it, or never answers */
  async take(step: Step): Promise<Outcome> {
    const over = new AbortController();
    const answer = once(this.child, 'message', { signal: over.signal }).then(
      ([outcome]) => outcome as Outcome,
    );
    answer.catch(() => {});
    let late: NodeJS.Timeout | undefined;
    const never = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error(`${step.do} never ends`)), STEP_MS);
    });
    try {
      if (this.isOver) throw new Error('the process of the pod is gone');
      this.child.send(step);
      return await Promise.race([answer, this.died, never]);
    } finally {
      clearTimeout(late);
      over.abort();
    }
  }

  /** Has calls struck while `work` runs. @returns how many were */
  async suffering(fault: Fault, record: string, work: () => Promise<void>): Promise<number> {
    const { calls, effect, when } = fault;
    const inject = `inject=${calls}:${effect}:when=${when}`;
    const tracer = spawn(
      'strace',
      ['-f', '-o', record, '-e', `trace=${calls}`, '-e', inject, '-p', `${this.child.pid}`],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const ended = once(tracer, 'exit');
    const [said] = (await once(tracer.stderr, 'data')) as [Buffer];
    if (!said.includes('attached')) throw new Error(`strace: ${said}`);
    try {
      await work();
    } finally {
      // It is gone already where what it traced was killed.
      tracer.kill('SIGINT');
      await ended;
    }
    const lines = (await readFile(record, 'utf8')).split('\n');
    await rm(record);
    return lines.filter((line) => /\(INJECTED\)|killed by SIGKILL/.test(line)).length;
  }

  /** True when its process is gone. */
  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async kill(): Promise<void> {
    if (this.isOver) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

/** Why no fault can be done to a process here, or undefined. */
export async function faultsMissing(): Promise<string | undefined> {
  const tracer = spawn('strace', ['-f', '-o', '/dev/null', '-e', 'trace=none', 'true'], { stdio: 'ignore' });
  try {
    const [code] = await once(tracer, 'exit');
    return code === 0 ? undefined : 'strace may not trace here';
  } catch {
    return 'strace is not installed';
  }
}
