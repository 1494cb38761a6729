import { WormholeError } from '../../base/index.js';

/** The promise's outcome, or `interrupted` as soon as the signal is aborted. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(interrupted(signal.reason));
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

export function interrupted(cause: unknown): WormholeError {
  return new WormholeError('interrupted', 'the read was given up', { cause });
}
