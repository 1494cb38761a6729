import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { WormholeError } from '../../base/index.js';
import type { Order, Result } from './orders.js';

const HELPER = fileURLToPath(new URL('./helper.js', import.meta.url));
/** One change, or one look through /proc. */
const RESULT_TIMEOUT_MS = 5_000;

/** The helper as a process of ours: one order at a time. */
export class HelperProcess {
  readonly pid: number | undefined;
  private readonly child: ChildProcess;
  private readonly exited: Promise<void>;
  private answer: ((result: Result) => void) | undefined;
  private ended = false;

  constructor() {
    // Its working directory must not keep the mount busy.
    this.child = spawn(process.execPath, ['--max-old-space-size=64', HELPER], {
      cwd: '/',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.pid = this.child.pid;
    this.exited = new Promise((resolve) => {
      const end = () => {
        this.ended = true;
        this.answer?.({ error: 'EPIPE' });
        resolve();
      };
      this.child.on('error', end);
      this.child.on('exit', end);
    });
    this.child.stdin?.on('error', () => {});
    createInterface({ input: this.child.stdout! }).on('line', (line) =>
      this.answer?.(JSON.parse(line) as Result),
    );
    this.child.unref();
    for (const stream of [this.child.stdin, this.child.stdout])
      (stream as { unref?: () => void } | null)?.unref?.();
  }

  get isAlive(): boolean {
    return !this.ended;
  }

  /** @throws WormholeError `timeout` | `closed`: it is of no use any more */
  async ask(order: Order): Promise<Result> {
    if (this.ended) throw new WormholeError('closed', 'the helper process has ended');
    const result = await new Promise<Result>((resolve) => {
      const timer = setTimeout(() => resolve({ error: 'ETIMEDOUT' }), RESULT_TIMEOUT_MS);
      this.answer = (given) => {
        clearTimeout(timer);
        this.answer = undefined;
        resolve(given);
      };
      this.child.stdin?.write(`${JSON.stringify(order)}\n`);
    });
    if (result.error === 'ETIMEDOUT') {
      await this.end();
      throw new WormholeError('timeout', 'the helper process does not answer');
    }
    return result;
  }

  /** Resolves when it is gone, in the middle of whatever it does. */
  async end(): Promise<void> {
    if (this.ended) return;
    this.child.ref();
    this.child.kill('SIGKILL');
    await (this.child.pid === undefined
      ? this.exited
      : Promise.race([this.exited, once(this.child, 'exit')]));
  }
}
