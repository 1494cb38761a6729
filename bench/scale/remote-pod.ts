import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { processorMs, residentMegabytes } from '../../test/system/pods.js';
import type { Answer, RequestName, Requests } from './messages.js';

/** A pod's tree in a process of its own. */
export class RemotePod {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  private next = 1;

  constructor() {
    this.child = fork(new URL('./pod.js', import.meta.url), { serialization: 'advanced' });
    this.child.on('message', (message: Answer) => {
      const waiter = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if ('error' in message) waiter?.reject(new Error(message.error));
      else waiter?.resolve(message.answer);
    });
    this.child.on('exit', (code) => {
      for (const waiter of this.waiting.values()) waiter.reject(new Error(`the pod ended with ${code}`));
    });
  }

  ask<Name extends RequestName>(name: Name, ask: Requests[Name]['ask']): Promise<Requests[Name]['answer']> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.child.send({ id, name, ask });
    });
  }

  /** Anonymous memory of all threads, MB. */
  get megabytes(): number {
    return residentMegabytes(this.child.pid ?? 0);
  }

  /** Processor time of all threads so far, seconds: what a machine that others use too does not lengthen much. */
  get processorSeconds(): number {
    return processorMs(this.child.pid ?? 0) / 1000;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
