/**
 * Works on a pod that it opens without a mount, step by step, as it is told; a process of its own, started by
 * {@link FaultyPod}, to which faults of the disk are done.
 */
import { makeLog, messageOf, WormholeError } from '../../src/base/index.js';
import { ROOT } from '../../src/tree/index.js';
import { type InnerPod, openInnerPod, readInside, writeInside } from './inner-pod.js';
import { seededBytes } from './random.js';

export type Step =
  | { do: 'open'; folder: string }
  /** Truncates or makes a file, writes it, and fsyncs it. */
  | { do: 'write'; name: string; length: number; seed: number }
  /** Writes beside it, fsyncs, renames over it, fsyncs the folder. */
  | { do: 'save'; name: string; length: number; seed: number }
  | { do: 'remove'; name: string }
  /** Until all that was closed is in the document, durably. */
  | { do: 'publish'; patienceMs: number }
  | { do: 'read'; name: string }
  | { do: 'close' };

export interface Outcome {
  /** Why it did not happen; a code of ours, or `crash` for an error that is none of ours. */
  failed?: { code: string; message: string };
  /** Of `read`; undefined where nothing is. */
  bytes?: Buffer | undefined;
  log: string;
}

let log = '';
let pod: InnerPod | undefined;

async function take(step: Step): Promise<Buffer | undefined> {
  if (step.do === 'open') {
    log = '';
    const write = (line: string) => {
      log += line;
    };
    // The disk is small.
    const limits = { freeFloorBytes: 1024 * 1024, reserveBytes: 1024 * 1024 };
    pod = await openInnerPod(step.folder, { log: makeLog(write), alone: true, limits });
    return undefined;
  }
  if (pod === undefined) throw new WormholeError('closed', 'the pod is not open');
  switch (step.do) {
    case 'write':
      return void (await writeInside(pod, step.name, seededBytes(step.length, step.seed)));
    case 'save':
      await writeInside(pod, `${step.name}.tmp`, seededBytes(step.length, step.seed));
      await pod.fileSystem.rename(ROOT, `${step.name}.tmp`, ROOT, step.name, {
        noreplace: false,
        exchange: false,
      });
      return void (await pod.fileSystem.fsyncdir(ROOT));
    case 'remove':
      await pod.fileSystem.unlink(ROOT, step.name);
      return void (await pod.fileSystem.fsyncdir(ROOT));
    case 'publish':
      await pod.fileSystem.publishAll(AbortSignal.timeout(step.patienceMs));
      return void (await soon(pod.tree.commit(), step.patienceMs));
    case 'read':
      return readInside(pod, step.name);
    case 'close': {
      const { close } = pod;
      pod = undefined;
      return void (await close());
    }
  }
}

function soon<T>(work: Promise<T>, patienceMs: number): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new WormholeError('timeout', 'it takes too long')), patienceMs).unref();
  });
  return Promise.race([work, late]);
}

process.on('message', (step: Step) => {
  take(step).then(
    (bytes) => process.send?.({ bytes, log } satisfies Outcome),
    (error) => {
      const aborted = error instanceof Error && error.name === 'TimeoutError';
      const code = error instanceof WormholeError ? error.code : aborted ? 'timeout' : 'crash';
      const message = code === 'crash' && error instanceof Error ? error.stack : undefined;
      process.send?.({ failed: { code, message: message ?? messageOf(error) }, log } satisfies Outcome);
    },
  );
});
// Whoever gave the steps is gone.
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
