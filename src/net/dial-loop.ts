import { type Clock, LIMITS, type Log, messageOf, type PodId, WormholeError } from '../base/index.js';
import { type Dialled, dial, Refused } from './dialler.js';
import type { Identity } from './identity.js';
import { type Outcome, type Target, Targets } from './targets.js';
import { LINK_PATH, PORT_HEADER } from './websocket.js';

export interface DialLoopOptions {
  identity: Identity;
  clock: Clock;
  log: Log;
  /** 0 to 1. */
  random: () => number;
  admit: (pod: PodId) => boolean;
  /** True while there is a link to this peer that gives signs of life. */
  isWell: (peer: PodId) => boolean;
  /** The port on which this pod listens. */
  port: () => number;
  dialled: (dialled: Dialled, address: string) => void;
}

const WATCH_INTERVAL_MS = 1_000;

/** Keeps trying the known addresses of pods to which there is no link. */
export class DialLoop {
  readonly targets = new Targets();
  private readonly options: DialLoopOptions;
  /** Addresses being dialled, and the wanted peers that answered there. */
  private readonly dialling = new Map<string, { peer: PodId | undefined }>();
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  /** Makes the loop look again now. */
  wake: () => void = () => {};

  constructor(options: DialLoopOptions) {
    this.options = options;
  }

  start(): void {
    this.running = this.run().catch((error) => this.options.log.error('the pod no longer dials', { error }));
  }

  async stop(): Promise<void> {
    this.stopping.abort(new WormholeError('closed', 'the pod stops'));
    this.wake();
    await this.running;
  }

  retryAll(): void {
    this.targets.retryAll(this.options.clock.monotonicMs());
    this.wake();
  }

  private async run(): Promise<void> {
    const { clock, log } = this.options;
    while (!this.stopping.signal.aborted) {
      const now = clock.monotonicMs();
      for (const target of this.targets.due(now, (peer) => this.needsNoDial(peer))) {
        if (this.dialling.size >= LIMITS.dialsMax) break;
        if (this.dialling.has(target.address)) continue;
        this.attempt(target).catch((error) => log.error('an attempt to dial failed', { error }));
      }
      const woken = new AbortController();
      this.wake = () => woken.abort();
      const next = Math.min(
        WATCH_INTERVAL_MS,
        ...this.targets.list().map((target) => this.waitFor(target, now)),
      );
      await clock.sleep(next, woken.signal).catch(() => {});
    }
  }

  /** Milliseconds until this target needs a look. */
  private waitFor(target: Target, nowMs: number): number {
    const idle =
      this.dialling.has(target.address) || (target.peer !== undefined && this.needsNoDial(target.peer));
    return idle ? WATCH_INTERVAL_MS : Math.max(10, target.nextAtMs - nowMs);
  }

  private needsNoDial(peer: PodId): boolean {
    return peer === this.options.identity.pod || this.options.isWell(peer);
  }

  private async attempt(target: Target): Promise<void> {
    const { identity, clock, random, log, port } = this.options;
    const entry: { peer: PodId | undefined } = { peer: undefined };
    this.dialling.set(target.address, entry);
    let outcome: Outcome = 'linked';
    try {
      const greet = (peer: PodId) => {
        target.peer = peer;
        this.checkWanted(peer);
        entry.peer = peer;
        return { [PORT_HEADER]: String(port()) };
      };
      const { signal } = this.stopping;
      const where = { host: target.host, port: target.port, path: LINK_PATH };
      this.options.dialled(await dial({ identity, ...where, greet, signal }), target.address);
    } catch (error) {
      outcome = outcomeOf(error);
      log.debug('no link', { address: target.address, reason: messageOf(error) });
    } finally {
      this.dialling.delete(target.address);
      this.targets.ended(target, outcome, clock.monotonicMs(), random());
      this.wake();
    }
  }

  /** @throws Unwanted */
  private checkWanted(peer: PodId): void {
    if (peer === this.options.identity.pod) throw new Unwanted('refused', 'this is the pod itself');
    if (!this.options.admit(peer)) throw new Unwanted('refused', 'a stranger answers there');
    const another = [...this.dialling.values()].some((entry) => entry.peer === peer);
    if (another || this.options.isWell(peer)) throw new Unwanted('linked', 'there is a link already');
  }
}

/** Ends an attempt before anything is sent. */
class Unwanted extends WormholeError {
  readonly outcome: Outcome;

  constructor(outcome: Outcome, message: string) {
    super('closed', message);
    this.outcome = outcome;
  }
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Unwanted) return error.outcome;
  if (error instanceof Refused) return error.reason === 'already-linked' ? 'linked' : 'refused';
  return 'failed';
}
