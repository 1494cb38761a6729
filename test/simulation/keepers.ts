import assert from 'node:assert/strict';
import type { Account } from './account.js';
import type { SimulatedPod } from './pod.js';

const CONTENTS_MAX = 10_000;

/**
 * Who has which content to stay, as far as it is one chunk. What so many have as are declared goes on being had by as
 * many: nothing is let go of before others have it, and nothing that is history is collected before its time.
 * What a pod that died had is counted anew when it is up again.
 */
export class Keepers {
  private readonly account: Account;
  private readonly copies: number;
  private readonly historyMs: number;
  /** What each pod had to stay when it was last looked at. */
  private readonly kept = new Map<SimulatedPod, Set<string>>();
  /** Copies of each that are never to be fewer again. */
  private readonly least = new Map<string, number>();
  /** Where a copy rotted that nobody has noticed yet. */
  private readonly rotten = new Map<string, SimulatedPod>();

  constructor(account: Account, options: { copies: number; historyMs: number }) {
    this.account = account;
    this.copies = options.copies;
    this.historyMs = options.historyMs;
  }

  /** @throws AssertionError when something is had by fewer than it was */
  check(pods: readonly SimulatedPod[], nowMs: number): void {
    const needed = [...this.account.needed()];
    const looked = [...needed, ...this.account.history(nowMs - this.historyMs)];
    const small = looked.filter(({ token }) => this.account.isSmall(token));
    const tokens = small.map(({ token }) => token);
    // What was forgotten, and is written again, begins anew.
    const isLooked = new Set(tokens);
    for (const token of this.least.keys()) if (!isLooked.has(token)) this.least.delete(token);
    for (const pod of pods)
      if (pod.isUp)
        this.kept.set(
          pod,
          new Set(pod.ask(({ content }) => tokens.filter((token) => content.isKept(token)))),
        );
    for (const { token, again } of small) {
      // Of what was deleted and written again others may still let go.
      if (again) this.lower(token, 1);
      const count = Math.min(again ? 1 : this.copies, this.of(token).length);
      const least = this.least.get(token) ?? 0;
      assert.ok(count >= least, `${token} had ${least} copies, and now has ${count}`);
      if (!this.rotten.has(token)) this.least.set(token, count);
    }
    const named = new Set(needed.map(({ token }) => token).filter((token) => this.account.isSmall(token)));
    if (pods.every(({ isUp }) => isUp)) for (const pod of pods) this.checkWord(pod, named);
  }

  /** Who says that nothing has too few copies is right, but for what others have replaced, of which it may not know. */
  private checkWord(pod: SimulatedPod, tokens: ReadonlySet<string>): void {
    const named = pod.ask(({ tree, files, placement, isIndexAhead }) => {
      const waits = files.unpublished() + tree.counts().pendingOperations + placement.underReplicated();
      const speaks = waits === 0 && placement.settled && !isIndexAhead();
      return speaks ? tree.contents(undefined, CONTENTS_MAX) : [];
    });
    for (const { content } of named) {
      const token = content.slice(1);
      if (!tokens.has(token) || this.rotten.has(token)) continue;
      const count = this.of(token).length;
      assert.ok(count >= this.copies, `${pod.name} counts enough copies of ${token}, and there are ${count}`);
    }
  }

  /** Pods that have it to stay, and sound. */
  of(token: string): SimulatedPod[] {
    return [...this.kept]
      .filter(([pod, kept]) => kept.has(token) && this.rotten.get(token) !== pod)
      .map(([pod]) => pod);
  }

  /** What the pod has is not certain any more, until it is looked at again: it died, or lost its disk. */
  doubt(pod: SimulatedPod): void {
    const kept = this.kept.get(pod) ?? [];
    this.kept.delete(pod);
    for (const token of kept) this.lower(token, this.of(token).length);
  }

  /** Contents of which this pod's copy may rot: somebody else has a sound one. */
  spare(pod: SimulatedPod): string[] {
    return [...(this.kept.get(pod) ?? [])].filter(
      (token) => !this.rotten.has(token) && this.of(token).length > 1,
    );
  }

  rots(token: string, pod: SimulatedPod): void {
    this.rotten.set(token, pod);
    // Others believe this pod, and may let go of theirs.
    this.lower(token, 1);
  }

  /** What has rotted there, and is not mended yet. */
  rottenAt(pod: SimulatedPod): Set<string> {
    return new Set([...this.rotten].filter(([, on]) => on === pod).map(([token]) => token));
  }

  /** All has been read through. @returns the pods on which something had rotted */
  mended(): SimulatedPod[] {
    const pods = new Set(this.rotten.values());
    this.rotten.clear();
    return [...pods];
  }

  private lower(token: string, copies: number): void {
    this.least.set(token, Math.min(this.least.get(token) ?? 0, copies));
  }
}
