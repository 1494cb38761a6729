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
  /** Owners say when they have named what they published; else it counts as named at once. */
  ownersTell: boolean;
}

/** Records that something staged is no longer needed. @returns what removes it, if that takes more */
export type Action = () => (() => void) | undefined;

interface Waiting {
  owner: string;
  record: number;
  action: Action;
  /** Its owner has named what was published. Until then the chunks alone are worth nothing. */
  named: boolean;
}

const RETRY_MS = 1_000;

/**
 * What was staged is let go only after the name of what was published from it is durable: until then a crash
 * brings it back. Actions are run in their order, in groups.
 */
export class Settlement {
  private readonly options: SettlementOptions;
  private readonly closing = new AbortController();
  private waiting: Waiting[] = [];
  private readonly ofOwner = new Map<string, Set<Waiting>>();
  private running: Promise<void> | undefined;

  constructor(options: SettlementOptions) {
    this.options = options;
  }

  /** @param owner whose staged bytes these are
   *  @param record the number of their staging record */
  add(owner: string, record: number, action: Action): void {
    const waiting = { owner, record, action, named: !this.options.ownersTell };
    this.waiting.push(waiting);
    this.enter(waiting);
    this.start();
  }

  /** The owner named all that it published so far, or wants none of it. */
  named(owner: string): void {
    for (const waiting of this.ofOwner.get(owner) ?? []) waiting.named = true;
    this.start();
  }

  /** True when a crash now would bring back bytes of this owner, although they were published. */
  waits(owner: string): boolean {
    return this.ofOwner.has(owner);
  }

  /** What waits belongs to another owner from now on. @returns the numbers of the staging records */
  rename(from: string, to: string): number[] {
    const moved = [...(this.ofOwner.get(from) ?? [])];
    for (const waiting of moved) {
      this.leave(waiting);
      waiting.owner = to;
      this.enter(waiting);
    }
    return moved.map(({ record }) => record);
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

  private start(): void {
    if (this.running === undefined && this.hasReady) this.running = this.run();
  }

  private get hasReady(): boolean {
    return this.waiting.some(({ named }) => named);
  }

  private async run(): Promise<void> {
    const { clock, log, delayMs } = this.options;
    const { signal } = this.closing;
    let pause = delayMs;
    while (this.hasReady && !signal.aborted) {
      await clock.sleep(pause, signal).catch(() => {});
      if (signal.aborted) break;
      try {
        await this.settle();
        pause = delayMs;
      } catch (error) {
        log.warn('staged files cannot be let go yet; trying again', { error });
        pause = RETRY_MS;
      }
    }
    // At once after the last look, so that whoever comes next begins anew.
    this.running = undefined;
  }

  /** Lets go now of what waits. @throws what `durable` throws; it is tried again later */
  async settle(): Promise<void> {
    const ready = new Set(this.waiting.filter(({ named }) => named));
    if (ready.size === 0) return;
    await this.options.durable();
    const later: (() => void)[] = [];
    const settling = this.waiting.filter((waiting) => ready.has(waiting));
    this.waiting = this.waiting.filter((waiting) => !ready.has(waiting));
    for (const waiting of settling) {
      this.leave(waiting);
      try {
        const remove = waiting.action();
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

  private enter(waiting: Waiting): void {
    const others = this.ofOwner.get(waiting.owner);
    if (others === undefined) this.ofOwner.set(waiting.owner, new Set([waiting]));
    else others.add(waiting);
  }

  private leave(waiting: Waiting): void {
    const all = this.ofOwner.get(waiting.owner);
    all?.delete(waiting);
    if (all?.size === 0) this.ofOwner.delete(waiting.owner);
  }
}
