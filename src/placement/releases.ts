import { type Log, messageOf } from '../base/index.js';
import type { Released, Releaser } from './releaser.js';

/** What belongs elsewhere is let go of once nothing has moved for so long. */
const DELAY_MS = 10_000;

export interface ReleasesOptions {
  releaser: Releaser;
  /** False where every pod holds everything, so that there is nothing to let go of. */
  needed: () => boolean;
  agreed: () => boolean;
  log: Log;
}

/** When this pod lets go of what belongs elsewhere: a while after the last change of places, or when it is told to. */
export class Releases {
  private readonly options: ReleasesOptions;
  private readonly stopping = new AbortController();
  private running: Promise<Released> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: ReleasesOptions) {
    this.options = options;
  }

  later(): void {
    clearTimeout(this.timer);
    if (!this.options.needed() || this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => {
      if (!this.options.agreed()) return this.later();
      this.now().catch((error) => {
        if (this.stopping.signal.aborted) return;
        this.options.log.warn('what belongs elsewhere could not be let go of', { reason: messageOf(error) });
        this.later();
      });
    }, DELAY_MS);
    this.timer.unref();
  }

  now(): Promise<Released> {
    this.running ??= this.options.releaser.run(this.stopping.signal).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** What {@link now} would let go of. */
  surplus(signal: AbortSignal): Promise<Released> {
    return this.options.releaser.run(signal, { dry: true });
  }

  close(): void {
    this.stopping.abort();
    clearTimeout(this.timer);
  }
}
