import type { Clock } from './clock.js';
import { WormholeError } from './errors.js';

/**
 * A signal that aborts when the time is up or another signal does. (Node may collect `AbortSignal.timeout()` when
 * only `AbortSignal.any()` refers to it, and then it never aborts.)
 */
export class Deadline {
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly timer = new AbortController();
  private readonly forget: () => void;

  constructor(clock: Clock, ms: number, outer?: AbortSignal) {
    this.signal = this.controller.signal;
    const abort = () => this.end(outer?.reason);
    this.forget = () => outer?.removeEventListener('abort', abort);
    clock.sleep(ms, this.timer.signal).then(
      () => this.end(new WormholeError('timeout', 'the time is up')),
      () => {},
    );
    if (outer?.aborted) abort();
    else outer?.addEventListener('abort', abort, { once: true });
  }

  /** Aborts now; also lets go of the timer and of the other signal. */
  end(reason?: unknown): void {
    this.forget();
    this.timer.abort();
    this.controller.abort(reason);
  }
}

/** Settles as the work does; rejects with the signal's reason when that comes first. The work itself goes on. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
