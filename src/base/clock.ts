/** Time comes in through constructors, so that a simulation can own it. No clock decides a merge. */
export interface Clock {
  /** Wall clock in nanoseconds since 1970, for the times that `stat` shows. */
  wallNs(): bigint;
  /** Milliseconds of a clock that never jumps, for timeouts and latencies. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

// Date.now() follows a stepped wall clock but has a grain of 1 ms; the monotonic clock fills in the rest, so
// that two changes within one millisecond still have different times.
let anchorMs = Date.now();
let anchorNs = process.hrtime.bigint();

function wallNs(): bigint {
  const elapsed = process.hrtime.bigint() - anchorNs;
  const ns = BigInt(anchorMs) * 1_000_000n + elapsed;
  const now = Date.now();
  if (Math.abs(Number(ns / 1_000_000n) - now) < 20) return ns;
  anchorMs = now;
  anchorNs = process.hrtime.bigint();
  return BigInt(now) * 1_000_000n;
}

export const systemClock: Clock = {
  wallNs,
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', abort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', abort, { once: true });
    }),
};
