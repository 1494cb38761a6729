import type { PodId } from '../base/index.js';
import type { ContentId } from '../content/index.js';
import type { Layout } from './plan.js';
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
  count(layout: Layout, files: number): number {
    const others = layout.candidates.filter((candidate) => candidate.id !== layout.self);
    const doubts = others.map(({ id }) => this.doubtOf(id));
    const share = Math.min(1, layout.copies / Math.max(1, layout.candidates.length));
    // A pod of which nothing is known may lack all of its share.
    const unknown = doubts.some((doubt) => doubt.all) ? Math.ceil(files * share) : 0;
    const more = Math.max(0, ...doubts.map((doubt) => doubt.more));
    const doubted = new Set<ContentId>();
    for (const doubt of doubts) for (const content of doubt.contents) doubted.add(content);
    let short = 0;
    for (const content of doubted) if (this.isShort(content, layout)) short++;
    return Math.min(files, Math.max(unknown, short + more));
  }

  /** The chunks of a large content are spread over many pods: a doubt about any of them counts. */
  private isShort(content: ContentId, layout: Layout): boolean {
    const meant = content.startsWith('c')
      ? holders(content.slice(1), layout.candidates, layout.copies)
      : layout.candidates.map((candidate) => candidate.id);
    return meant.some((pod) => pod !== layout.self && this.doubtOf(pod).contents.has(content));
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
