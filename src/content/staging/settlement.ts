import type { Clock, Log } from '../../base/index.js';

export interface SettlementOptions {
  clock: Clock;
  log: Log;
  /** How long actions wait for others to join them, in milliseconds. */
  delayMs: number;
  /** Resolves when the chunks of everything published so far, and the names that its owners gave it, survive a
   *  power cut. */
  durable(): Promise<void>;
}

const RETRY_MS = 1_000;

/**
 * What was staged is let go only after the name of what was published from it is durable: until then a crash
 * brings it back. Actions are run in their order, in groups.
 */
export class Settlement {
  private readonly options: SettlementOptions;
  private readonly closing = new AbortController();
  private actions: (() => void)[] = [];
  private running: Promise<void> | undefined;

  constructor(options: SettlementOptions) {
    this.options = options;
  }

  add(action: () => void): void {
    this.actions.push(action);
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
  }

  /** Settles what can be settled at once; the rest comes back at the next start. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
    await this.settle().catch((error) =>
      this.options.log.debug('staged files stay for a restart', { error }),
    );
  }

  private async run(): Promise<void> {
    const { clock, log, delayMs } = this.options;
    const { signal } = this.closing;
    let pause = delayMs;
    while (this.actions.length > 0 && !signal.aborted) {
      await clock.sleep(pause, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.settle();
        pause = delayMs;
      } catch (error) {
        log.warn('staged files cannot be let go yet; trying again', { error });
        pause = RETRY_MS;
      }
    }
  }

  /** Lets go now of what waits. @throws what `durable` throws; it is tried again later */
  async settle(): Promise<void> {
    if (this.actions.length === 0) return;
    const count = this.actions.length;
    await this.options.durable();
    for (const action of this.actions.splice(0, count)) {
      try {
        action();
      } catch (error) {
        // Nothing is lost: the staged file comes back at the next start, with a content that is published.
        this.options.log.warn('a staged file could not be let go', { error });
      }
    }
  }
}
