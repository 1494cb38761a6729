import type { PodId } from '../base/index.js';
import type { ContentId } from '../content/index.js';
import type { Layouts } from './layouts.js';
import { holders } from './rendezvous.js';

/** Beyond, contents are only counted. */
const REMEMBERED_MAX = 100_000;

interface Doubt {
  /** Nothing is known of this pod since the start. */
  all: boolean;
  contents: Set<ContentId>;
  /** Contents that were too many to remember. */
  more: number;
}

/**
 * What other pods have not yet said that they hold. A pod is believed only by its own word (contract D5), so at
 * a start everything is in doubt until each pod has spoken.
 */
export class Doubts {
  private readonly pods = new Map<PodId, Doubt>();
  private counter = 0;

  /** Rises with each new doubt. */
  get stamp(): number {
    return this.counter;
  }

  /** These contents are new in the tree. */
  raise(contents: Iterable<ContentId>): void {
    for (const content of contents) {
      if (content === '') continue;
      this.counter++;
      for (const doubt of this.pods.values()) {
        if (doubt.all || doubt.contents.has(content)) continue;
        if (doubt.contents.size < REMEMBERED_MAX) doubt.contents.add(content);
        else doubt.more++;
      }
    }
  }

  /** The pod holds its share of everything. */
  settle(pod: PodId): void {
    this.pods.set(pod, { all: false, contents: new Set(), more: 0 });
  }

  /** True when a pod is believed to hold its share of everything. */
  isSettled(pod: PodId): boolean {
    const doubt = this.pods.get(pod);
    return doubt !== undefined && !doubt.all && doubt.contents.size + doubt.more === 0;
  }

  /** What belongs where is no longer the same. */
  reset(): void {
    this.pods.clear();
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
    for (const doubt of doubts) for (const content of doubt.contents) doubted.add(content);
    let short = 0;
    for (const content of doubted) if (this.isShort(content, layouts)) short++;
    return Math.min(files, Math.max(unknown, short + more));
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
      doubt = { all: true, contents: new Set(), more: 0 };
      this.pods.set(pod, doubt);
    }
    return doubt;
  }
}
