import { type Clock, LIMITS, type Log } from '../../base/index.js';

export interface SettlementOptions {
  clock: Clock;
  log: Log;
  /** How long actions wait for others to join them, in milliseconds. */
  delayMs: number;
  /** Resolves when the chunks of everything published so far, and the names that its owners gave it, survive a
   *  power cut. */
  durable(): Promise<void>;
  /** Resolves when what actions recorded survives a power cut. */
  recorded(): Promise<void>;
}

/** Records that something staged is no longer needed. @returns what removes it, if that takes more */
export type Action = () => (() => void) | undefined;

const RETRY_MS = 1_000;

/**
 * What was staged is let go only after the name of what was published from it is durable: until then a crash
 * brings it back. Actions are run in their order, in groups.
 */
export class Settlement {
  private readonly options: SettlementOptions;
  private readonly closing = new AbortController();
  private readonly actions: { key: string; action: Action }[] = [];
  private running: Promise<void> | undefined;

  constructor(options: SettlementOptions) {
    this.options = options;
  }

  /** @param key whose staged bytes these are */
  add(key: string, action: Action): void {
    this.actions.push({ key, action });
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
  }

  /** True when a crash now would bring back bytes under this key, although they were published. */
  waits(key: string): boolean {
    return this.actions.some((waiting) => waiting.key === key);
  }

  /** Settles what can be settled soon; the rest comes back at the next start. */
  async close(): Promise<void> {
    const { clock, log } = this.options;
    this.closing.abort();
    const settled = (async () => {
      await this.running;
      await this.settle();
    })().catch((error) => log.debug('staged files stay for a restart', { error }));
    const waited = new AbortController();
    await Promise.race([settled, clock.sleep(LIMITS.stagingCloseMs, waited.signal).catch(() => {})]);
    waited.abort();
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
    const later: (() => void)[] = [];
    for (const { action } of this.actions.splice(0, count)) {
      try {
        const remove = action();
        if (remove !== undefined) later.push(remove);
      } catch (error) {
        // Nothing is lost: the staged file comes back at the next start, with a content that is published.
        this.options.log.warn('a staged file could not be let go', { error });
      }
    }
    if (later.length === 0) return;
    // Files go only after the record that they are no longer needed is safe.
    await this.options.recorded();
    for (const remove of later) remove();
  }
}
