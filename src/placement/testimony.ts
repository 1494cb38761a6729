import { type Clock, type Log, messageOf, type PodId } from '../base/index.js';
import type { ContentId } from '../content/index.js';
import type { Membership } from '../membership/index.js';
import { sameHeads, type Tree } from '../tree/index.js';
import { Doubts } from './doubts.js';
import type { Outlook } from './outlook.js';
import type { Peers } from './peers.js';
import { candidatesOf } from './rendezvous.js';

/** A pod's word about a version counts for new files once nothing has changed for so long. */
const CALM_MS = 250;
/** A pod is asked whether it holds what has been in doubt for long, at most so often. */
const ASK_INTERVAL_MS = 2_000;
const ASK_TIMEOUT_MS = 60_000;

export interface TestimonyOptions {
  tree: Pick<Tree, 'heads' | 'commit' | 'counts'>;
  membership: Pick<Membership, 'self' | 'members'>;
  peers: Pick<Peers, 'linked' | 'settledAt' | 'whenSettled'>;
  outlook: Pick<Outlook, 'layouts' | 'config'>;
  clock: Clock;
  log: Log;
}

/** What other pods have said that they hold, and what may be concluded from it. */
export class Testimony {
  private readonly options: TestimonyOptions;
  private readonly doubts = new Doubts();
  /** Pods whose word is being weighed. */
  private readonly weighed = new Set<PodId>();
  /** Pods that are asked just now. */
  private readonly asked = new Set<PodId>();
  private readonly stopping = new AbortController();
  private lookedMs = Number.NEGATIVE_INFINITY;
  private lookedStamp = 0;

  constructor(options: TestimonyOptions) {
    this.options = options;
  }

  /** Rises with each new doubt. */
  get stamp(): number {
    return this.doubts.stamp;
  }

  /** These contents are new: nobody has said yet that it has them. @see Doubts.raise */
  raise(contents: Iterable<ContentId>, own = false): void {
    this.doubts.raise(contents, own);
  }

  /** To be called now and then: asks pods whether they hold what has been in doubt since the last time. While somebody
   *  writes without a pause, no pod ever says that it holds just what the tree here has. */
  look(): void {
    const { peers, clock, outlook } = this.options;
    const now = clock.monotonicMs();
    if (now - this.lookedMs < ASK_INTERVAL_MS || this.stopping.signal.aborted) return;
    const stamp = this.lookedStamp;
    this.lookedMs = now;
    this.lookedStamp = this.doubts.stamp;
    const meant = new Set(outlook.layouts.candidates.map(({ id }) => id));
    for (const pod of peers.linked()) {
      if (!meant.has(pod) || this.asked.has(pod) || !this.doubts.doubts(pod, stamp)) continue;
      if (this.placesAlike(pod)) this.ask(pod);
    }
  }

  /** What belongs where is no longer the same. Pods that found so before this one have told already what they hold
   *  now, and do not tell again. */
  reset(): void {
    this.doubts.reset();
    for (const pod of this.options.peers.linked()) this.heard(pod);
  }

  /** A pod has all that was in doubt. */
  settle(pod: PodId): void {
    this.doubts.settle(pod);
  }

  /** Files that may have fewer copies than they should, counting a pod only by its own word. */
  doubted(): number {
    return this.doubts.count(this.options.outlook.layouts, this.options.tree.counts().files);
  }

  /** A pod told what it holds, or the tree has come to what it told before. */
  heard(pod: PodId): void {
    if (this.weighed.has(pod) || this.stopping.signal.aborted) return;
    if (this.doubts.isSettled(pod) || !this.saysAll(pod)) return;
    this.weighed.add(pod);
    this.weigh(pod)
      .then(() => this.weighed.delete(pod))
      // It may have said more, or the tree moved on, just as its word was put aside.
      .then(() => this.heard(pod))
      .catch((error) => {
        this.weighed.delete(pod);
        if (this.stopping.signal.aborted) return;
        this.options.log.warn('what a pod holds could not be taken in', { pod, reason: messageOf(error) });
      });
  }

  /** True while all other pods that may hold anything hold their share, and place everything as this one does. */
  othersAgree(): boolean {
    return this.ofAllOthers((pod) => this.saysAll(pod));
  }

  /** True while they place every chunk as this one does, whatever they have by now. */
  othersPlaceAlike(): boolean {
    return this.ofAllOthers((pod) => this.placesAlike(pod));
  }

  /** Why {@link othersAgree} does not hold, for people; undefined while it does. */
  disagreement(): string | undefined {
    return this.objection((pod) => {
      if (!this.placesAlike(pod)) return 'does not place everything as this pod does yet';
      return this.saysAll(pod) ? undefined : 'has not said yet that it holds its share';
    });
  }

  /** True while they place every chunk as this one does, and hold all that this one has made or that was there when they
   *  said so: what others have made in the last moments may still be on its way. */
  othersTookOver(): boolean {
    return this.ofAllOthers((pod) => this.placesAlike(pod) && this.doubts.isHandedOver(pod));
  }

  private ofAllOthers(holds: (pod: PodId) => boolean): boolean {
    return this.objection((pod) => (holds(pod) ? undefined : 'does not')) === undefined;
  }

  /** What of the other pods that may hold anything speaks against counting on all of them.
   *  @param against what does of one that is linked */
  private objection(against: (pod: PodId) => string | undefined): string | undefined {
    const { membership, peers, outlook } = this.options;
    const declared = candidatesOf(membership.members(), outlook.config);
    const counted = new Set(outlook.layouts.candidates.map(({ id }) => id));
    const linked = new Set(peers.linked());
    for (const { id, name } of declared) {
      if (id === membership.self) continue;
      // It may come back and count on what is here.
      if (!counted.has(id)) return `${name} is lost`;
      if (!linked.has(id)) return `${name} is not linked`;
      const why = against(id);
      if (why !== undefined) return `${name} ${why}`;
    }
    return declared.length === counted.size ? undefined : 'the pods are being counted anew';
  }

  close(): void {
    this.stopping.abort();
  }

  /** Asks a pod until it holds its share of what is here now. */
  private ask(pod: PodId): void {
    this.asked.add(pod);
    this.settleByAsking(pod)
      .catch((error) => {
        // Its link went, or it is still copying: the next look asks again.
        if (this.stopping.signal.aborted) return;
        this.options.log.debug('a pod did not say what it holds', { pod, reason: messageOf(error) });
      })
      .finally(() => this.asked.delete(pod));
  }

  private async settleByAsking(pod: PodId): Promise<void> {
    const { tree, peers } = this.options;
    const { stamp, epoch } = this.doubts;
    const heads = await tree.commit();
    await peers.whenSettled(pod, heads, { timeoutMs: ASK_TIMEOUT_MS, signal: this.stopping.signal });
    // Its word is void when either of the two places otherwise by now.
    if (this.doubts.epoch === epoch && this.placesAlike(pod)) this.doubts.settle(pod, stamp);
  }

  /** Nothing is in doubt about a pod that holds its share of these heads, once they are all there is. */
  private async weigh(pod: PodId): Promise<void> {
    const { tree, clock } = this.options;
    while (this.saysAll(pod)) {
      const { stamp } = this.doubts;
      await clock.sleep(CALM_MS, this.stopping.signal);
      if (this.doubts.stamp !== stamp || tree.counts().pendingOperations > 0) continue;
      await tree.commit();
      if (this.doubts.stamp !== stamp || !this.saysAll(pod)) continue;
      this.doubts.settle(pod);
      return;
    }
  }

  /** The layout by which a pod placed everything when it spoke last; it takes that back when it places otherwise. */
  private saidLayout(pod: PodId): string | undefined {
    return this.options.peers.settledAt(pod)?.[0];
  }

  private placesAlike(pod: PodId): boolean {
    return this.saidLayout(pod) === this.options.outlook.layouts.fingerprint;
  }

  /** True when a pod says that it holds its share of just what the tree has now. */
  private saysAll(pod: PodId): boolean {
    const { peers, tree, outlook } = this.options;
    const [layout, ...heads] = peers.settledAt(pod) ?? [];
    if (layout !== outlook.layouts.fingerprint || heads.length === 0) return false;
    return sameHeads(heads, tree.heads());
  }
}
