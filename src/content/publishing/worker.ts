/** The thread that cuts, hashes and stores large contents, for publisher.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { errorFrom, plainError } from '../../base/index.js';
import { FileChunks } from '../chunks/file-chunks.js';
import { Job } from './job.js';
import type { FromWorker, ToWorker, WorkerSetup } from './messages.js';

/** The main thread, as this one sees it. */
interface Port {
  on(event: 'message', listener: (message: ToWorker) => void): unknown;
  postMessage(message: FromWorker, transfer: readonly ArrayBuffer[]): void;
}

interface Asked {
  resolve(bytes: Uint8Array | undefined): void;
  reject(error: Error): void;
}

if (parentPort !== null) servePublishing(parentPort, workerData as WorkerSetup);

/** Serves the thread that started this one, over a port. */
export function servePublishing(port: Port, setup: WorkerSetup): void {
  const jobs = new Map<number, Job>();
  const asked = new Map<number, Asked>();
  const chunks = new FileChunks(setup.folders, 'w');
  let asks = 0;
  const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const ask = (job: number, kind: 'chunk' | 'pin', id: string) =>
    new Promise<Uint8Array | undefined>((resolve, reject) => {
      asked.set(++asks, { resolve, reject });
      post({ kind, job, ask: asks, id });
    });

  port.on('message', (message: ToWorker) => {
    if (message.kind === 'cancel') jobs.get(message.job)?.cancel();
    else if (message.kind === 'answer') {
      const { resolve, reject } = asked.get(message.ask) as Asked;
      asked.delete(message.ask);
      if (message.error === undefined) resolve(message.bytes);
      else reject(errorFrom(message.error));
    } else {
      const number = message.job;
      const job = new Job(message, chunks, (kind, id) => ask(number, kind, id));
      jobs.set(number, job);
      job
        .run()
        .then(
          (result) => post({ kind: 'published', job: number, result }),
          (error) => post({ kind: 'failed', job: number, error: plainError(error) }),
        )
        .finally(() => jobs.delete(number));
    }
  });
}
