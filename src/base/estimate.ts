import type { Clock } from './clock.js';

/** Before so many seconds have passed, nobody can tell. */
const TELLS_AFTER_SECONDS = 2;

/** Seconds as people say them: `40 s`, `3 min`, `2 h`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** How long work will still take, judged by how long what is done took. */
export class Estimate {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly startedMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.clock = clock;
    this.startedMs = clock.monotonicMs();
  }

  /** @returns `, about 3 min left` to be put behind what is said; nothing where that cannot be told */
  left(done: number, total: number): string {
    const seconds = (this.clock.monotonicMs() - this.startedMs) / 1000;
    if (done <= 0 || done >= total || seconds < TELLS_AFTER_SECONDS) return '';
    return `, about ${formatSeconds((seconds / done) * (total - done))} left`;
  }
}

/** As {@link Estimate}, of work of which only what is left is known: the most that was ever left is all of it. */
export class Countdown {
  private readonly estimate: Estimate;
  private total = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.estimate = new Estimate(clock);
  }

  /** @returns as {@link Estimate.left} */
  left(remaining: number): string {
    this.total = Math.max(this.total, remaining);
    return this.estimate.left(this.total - remaining, this.total);
  }
}
