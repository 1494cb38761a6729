import type { PodId } from '../base/index.js';
import type { ContentId } from '../content/index.js';
import type { Layouts } from './layouts.js';
import { holders } from './rendezvous.js';

/** Beyond, contents are only counted. */
const REMEMBERED_MAX = 100_000;

interface Doubt {
  /** Nothing is known of this pod since the start. */
  all: boolean;
  /** With the stamp of each, the oldest first. */
  contents: Map<ContentId, number>;
  /** Contents that were too many to remember, and the stamp of the last of them. */
  more: number;
  moreStamp: number;
}

/**
 * What other pods have not yet said that they hold. A pod is believed only by its own word (contract D5), so at
 * a start everything is in doubt until each pod has spoken.
 */
export class Doubts {
  private readonly pods = new Map<PodId, Doubt>();
  /** Contents that this pod has made itself, and that are in doubt. */
  private readonly own = new Set<ContentId>();
  private counter = 0;
  /** Another one each time that all that was known became void. */
  epoch = 0;

  /** Rises with each new doubt. */
  get stamp(): number {
    return this.counter;
  }

  /** These contents are new in the tree. @param own this pod has made them: nobody else has them yet */
  raise(contents: Iterable<ContentId>, own = false): void {
    for (const content of contents) {
      if (content === '') continue;
      this.counter++;
      if (own && this.own.size < REMEMBERED_MAX) this.own.add(content);
      for (const doubt of this.pods.values()) {
        if (doubt.all) continue;
        // Behind the others: it is in doubt from now on.
        if (doubt.contents.delete(content) || doubt.contents.size < REMEMBERED_MAX) {
          doubt.contents.set(content, this.counter);
        } else {
          doubt.more++;
          doubt.moreStamp = this.counter;
        }
      }
    }
  }

  /** The pod holds its share of everything, or of all that was in doubt up to a stamp. */
  settle(pod: PodId, upTo = this.counter): void {
    const doubt = this.pods.get(pod);
    if (doubt === undefined || doubt.all) this.settleAll(pod, upTo);
    else this.settleSome(doubt, upTo);
    if (upTo === this.counter && [...this.pods.keys()].every((other) => this.isSettled(other)))
      this.own.clear();
  }

  /** True when a pod is believed to hold its share of everything. */
  isSettled(pod: PodId): boolean {
    return !this.doubts(pod, Number.POSITIVE_INFINITY);
  }

  /** True when something that was in doubt up to a stamp still is. */
  doubts(pod: PodId, upTo: number): boolean {
    const doubt = this.pods.get(pod);
    if (doubt === undefined || doubt.all) return true;
    const [oldest] = doubt.contents.values();
    return (oldest !== undefined && oldest <= upTo) || (doubt.more > 0 && upTo > 0);
  }

  /** True when a pod is believed to hold its share of all but what others have made in the last moments. */
  isHandedOver(pod: PodId): boolean {
    const doubt = this.pods.get(pod);
    if (doubt === undefined || doubt.all || doubt.more > 0) return false;
    for (const content of this.own) if (doubt.contents.has(content)) return false;
    return this.own.size < REMEMBERED_MAX;
  }

  /** What belongs where is no longer the same. */
  reset(): void {
    this.pods.clear();
    this.own.clear();
    this.epoch++;
  }

  /** How many of so many files may have fewer copies than they should. */
  count(layouts: Layouts, files: number): number {
    const { candidates, common } = layouts;
    const others = candidates.filter((candidate) => candidate.id !== layouts.self);
    const doubts = others.map(({ id }) => this.doubtOf(id));
    const share = layouts.uniform ? Math.min(1, common.copies / Math.max(1, candidates.length)) : 1;
    // A pod of which nothing is known may lack all of its share.
    const unknown = doubts.some((doubt) => doubt.all) ? Math.ceil(files * share) : 0;
    const more = Math.max(0, ...doubts.map((doubt) => doubt.more));
    const doubted = new Set<ContentId>();
    for (const doubt of doubts) for (const content of doubt.contents.keys()) doubted.add(content);
    let short = 0;
    for (const content of doubted) if (this.isShort(content, layouts)) short++;
    return Math.min(files, Math.max(unknown, short + more));
  }

  /** Nothing was known of the pod; now it is in doubt only about what came after the stamp, which was not noted. */
  private settleAll(pod: PodId, upTo: number): void {
    const more = this.counter - upTo;
    this.pods.set(pod, { all: false, contents: new Map(), more, moreStamp: this.counter });
  }

  private settleSome(doubt: Doubt, upTo: number): void {
    for (const [content, stamp] of doubt.contents) {
      if (stamp > upTo) break;
      doubt.contents.delete(content);
    }
    if (doubt.moreStamp <= upTo) doubt.more = 0;
  }

  /** The chunks of a large content are spread over many pods, and so are files under rules of their own: a doubt
   *  about any pod counts. */
  private isShort(content: ContentId, layouts: Layouts): boolean {
    const exact = layouts.uniform && content.startsWith('c');
    const meant = exact
      ? holders(content.slice(1), layouts.common)
      : layouts.candidates.map((candidate) => candidate.id);
    return meant.some((pod) => pod !== layouts.self && this.doubtOf(pod).contents.has(content));
  }

  private doubtOf(pod: PodId): Doubt {
    let doubt = this.pods.get(pod);
    if (doubt === undefined) {
      doubt = { all: true, contents: new Map(), more: 0, moreStamp: 0 };
      this.pods.set(pod, doubt);
    }
    return doubt;
  }
}
