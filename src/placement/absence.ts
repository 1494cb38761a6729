import type { PodId } from '../base/index.js';

/** Since when pods are silent: a pod that is not linked is asleep for a grace time, then lost. Time comes in. */
export class Absence {
  private readonly self: PodId;
  /** Monotonic ms when each silent pod was last linked, or this pod started. */
  private readonly since = new Map<PodId, number>();

  constructor(self: PodId) {
    this.self = self;
  }

  /** Takes in who is linked now. */
  look(members: Iterable<PodId>, linked: readonly PodId[], nowMs: number): void {
    const silent = new Set(members);
    silent.delete(this.self);
    for (const pod of linked) silent.delete(pod);
    for (const pod of this.since.keys()) if (!silent.has(pod)) this.since.delete(pod);
    for (const pod of silent) if (!this.since.has(pod)) this.since.set(pod, nowMs);
  }

  /** Pods that are silent for longer than the grace time. */
  gone(nowMs: number, graceMs: number): PodId[] {
    return [...this.since].filter(([, sinceMs]) => nowMs - sinceMs >= graceMs).map(([pod]) => pod);
  }
}
