import { type Clock, type Log, messageOf, unlessAborted } from '../base/index.js';
import type { ContentStore } from '../content/index.js';
import type { Heads, Tree } from '../tree/index.js';
import type { Copier } from './copier.js';
import type { Intake } from './intake.js';
import type { Walker } from './walker.js';

/** Changes of the last moments are told together. */
const DELAY_MS = 20;
const RETRY_MS = 1_000;

export interface SettlementOptions {
  tree: Pick<Tree, 'heads'>;
  content: Pick<ContentStore, 'flush'>;
  intake: Intake;
  copier: Copier;
  walker: Walker;
  tell: (heads: Heads) => void;
  clock: Clock;
  log: Log;
}

/** Finds out when this pod holds its share of a version, durably, and says so. */
export class Settlement {
  private readonly options: SettlementOptions;
  private readonly stopping = new AbortController();
  private told: Heads | undefined;
  private epoch = 0;
  private wanted = false;
  private running = false;

  constructor(options: SettlementOptions) {
    this.options = options;
  }

  /** The version whose share is known to be here. */
  get heads(): Heads | undefined {
    return this.told;
  }

  /** The tree has moved on. */
  look(): void {
    this.wanted = true;
    if (this.running || this.stopping.signal.aborted) return;
    this.running = true;
    void this.run();
  }

  /** What belongs here is no longer the same: what was told is void. */
  restart(holdsAnything: boolean): void {
    this.epoch++;
    this.told = undefined;
    this.options.tell([]);
    if (holdsAnything) this.look();
  }

  /** Resolves when the share of everything that the tree has now is here durably. */
  async untilSettled(signal: AbortSignal): Promise<void> {
    const { content, intake, copier, walker } = this.options;
    let epoch: number;
    do {
      epoch = this.epoch;
      await intake.done();
      await unlessAborted(walker.done(), signal);
      await copier.allDone(signal);
      await content.flush();
      // What was put down meanwhile has set off another walk.
    } while (epoch !== this.epoch || walker.busy);
  }

  close(): void {
    this.stopping.abort();
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    const { tree, tell, clock, log } = this.options;
    const { signal } = this.stopping;
    while (this.wanted && !signal.aborted) {
      this.wanted = false;
      try {
        await clock.sleep(DELAY_MS, signal);
        // Whatever these heads brought was taken in before the tree said that it had them.
        const heads = tree.heads();
        const epoch = this.epoch;
        await this.untilSettled(signal);
        if (heads.length === 0 || epoch !== this.epoch) continue;
        this.told = heads;
        tell(heads);
      } catch (error) {
        if (signal.aborted) break;
        log.warn('this pod cannot say what it holds', { reason: messageOf(error) });
        this.wanted = true;
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
    this.running = false;
  }
}
