import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** The timer behind it is due so often; what it is late by is what everything on this thread had to wait. */
const RESOLUTION_MS = 20;

/**
 * How late the main thread is with what is due, which is what requests of the kernel wait for. It is measured from the
 * first time on that somebody asks: a daemon whose figures nobody reads is not woken for them.
 */
export class LoopDelay {
  private histogram: IntervalHistogram | undefined;

  /** In seconds: so many of a thousand times it was not later. */
  quantile(perMille: number): number {
    if (this.histogram === undefined) {
      this.histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      this.histogram.enable();
    }
    const late = this.histogram.percentile(perMille / 10) / 1e9 - RESOLUTION_MS / 1000;
    return Math.max(0, late);
  }
}
