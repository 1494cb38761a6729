import type { Clock } from './clock.js';

/** After a pause so much may be taken at once: the rate's bytes of so many milliseconds. */
const BURST_MS = 250;
/** However deep the debt is: the rate may be another one by then. */
const LOOK_MS = 1_000;

/**
 * A rate in bytes per second that is kept on average. Whoever takes more than is there leaves a debt, and nobody
 * may take anything before it is paid; so pieces need not be cut to measure.
 */
export class Pace {
  private readonly clock: Clock;
  private bytesPerSecond: number;
  private paidAtMs = Number.NEGATIVE_INFINITY;

  /** @param bytesPerSecond unlimited when left out */
  constructor(clock: Clock, bytesPerSecond = Number.POSITIVE_INFINITY) {
    this.clock = clock;
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Holds for what is taken from now on. */
  set(bytesPerSecond = Number.POSITIVE_INFINITY): void {
    this.bytesPerSecond = bytesPerSecond;
    if (bytesPerSecond === Number.POSITIVE_INFINITY) this.paidAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Milliseconds after which to ask again; 0 when something may be taken now. */
  get waitMs(): number {
    return Math.min(LOOK_MS, Math.max(0, Math.ceil(this.paidAtMs - this.clock.monotonicMs())));
  }

  /** @param bytes that go now; negative to give back what was taken and not used */
  take(bytes: number): void {
    if (this.bytesPerSecond === Number.POSITIVE_INFINITY) return;
    const from = Math.max(this.paidAtMs, this.clock.monotonicMs() - BURST_MS);
    this.paidAtMs = from + (bytes / this.bytesPerSecond) * 1000;
  }
}
