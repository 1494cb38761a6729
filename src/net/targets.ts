import { LIMITS, type PodId } from '../base/index.js';
import { parseAddress } from './websocket.js';

/** An address where a pod may be, and what came of trying it. */
export interface Target {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Given by hand or by members, not found by itself: never forgotten. */
  lasting: boolean;
  /** Who answered there last; only a hint, since addresses change hands. */
  peer: PodId | undefined;
  failures: number;
  /** When a pod last showed that it is there, in milliseconds of the monotonic clock. */
  seenAtMs: number;
  nextAtMs: number;
}

/** What an attempt ended with; `refused`: somebody answered with whom no link is wanted now. */
export type Outcome = 'linked' | 'failed' | 'refused';

/** The addresses to try, and when. Decides only: time and jitter come in, nothing is dialled here. */
export class Targets {
  private readonly byAddress = new Map<string, Target>();

  /** Somebody named this address, or announced itself there: it is tried at once. False when it is none. */
  add(address: string, nowMs: number, lasting: boolean): boolean {
    const parts = parseAddress(address);
    if (parts === undefined) return false;
    const known = this.byAddress.get(address);
    if (known !== undefined) {
      known.lasting ||= lasting;
      known.seenAtMs = nowMs;
      this.hurry(known, nowMs);
      return true;
    }
    if (this.byAddress.size >= LIMITS.addressesMax) this.forgetOldest();
    const fresh = { peer: undefined, failures: 0, seenAtMs: nowMs, nextAtMs: nowMs };
    this.byAddress.set(address, { address, ...parts, lasting, ...fresh });
    return true;
  }

  /** A peer that called says where it listens itself. */
  learn(address: string, peer: PodId, nowMs: number): void {
    if (!this.add(address, nowMs, false)) return;
    const target = this.byAddress.get(address);
    if (target === undefined) return;
    target.peer = peer;
    target.nextAtMs = nowMs + LIMITS.redialFreshMaxMs; // the link is coming up already
  }

  /** Those to dial now. `isLinked` tells whose link is well. */
  due(nowMs: number, isLinked: (peer: PodId) => boolean): Target[] {
    const due: Target[] = [];
    for (const target of this.byAddress.values()) {
      if (!target.lasting && nowMs - target.seenAtMs > LIMITS.addressForgetMs)
        this.byAddress.delete(target.address);
      else if (target.peer !== undefined && isLinked(target.peer)) target.seenAtMs = nowMs;
      else if (target.nextAtMs <= nowMs) due.push(target);
    }
    return due;
  }

  /** Sets when it is tried next. @param jitter 0 to 1 */
  ended(target: Target, outcome: Outcome, nowMs: number, jitter: number): void {
    if (outcome === 'linked') {
      target.failures = 0;
      target.seenAtMs = nowMs;
      target.nextAtMs = nowMs + LIMITS.redialMinMs;
      return;
    }
    const fresh = outcome === 'failed' && nowMs - target.seenAtMs < LIMITS.addressFreshMs;
    const most = fresh ? LIMITS.redialFreshMaxMs : LIMITS.redialMaxMs;
    const delay = Math.min(most, LIMITS.redialMinMs * 2 ** Math.min(target.failures, 20));
    target.failures++;
    target.nextAtMs = nowMs + delay * (0.5 + jitter / 2);
  }

  /** The link to this peer went: where it was is tried at once. */
  lost(peer: PodId, nowMs: number): void {
    for (const target of this.byAddress.values()) {
      if (target.peer === peer) this.hurry(target, nowMs);
    }
  }

  /** The network or the members changed: everything is worth a try. */
  retryAll(nowMs: number): void {
    for (const target of this.byAddress.values()) this.hurry(target, nowMs);
  }

  list(): readonly Target[] {
    return [...this.byAddress.values()];
  }

  private hurry(target: Target, nowMs: number): void {
    target.failures = 0;
    target.nextAtMs = nowMs;
  }

  private forgetOldest(): void {
    const candidates = [...this.byAddress.values()].filter((target) => !target.lasting);
    const oldest = candidates.sort((a, b) => a.seenAtMs - b.seenAtMs)[0];
    if (oldest !== undefined) this.byAddress.delete(oldest.address);
  }
}
