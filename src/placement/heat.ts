import type { InodeId } from '../tree/index.js';

/** Opened so often here within a window, a file is hot; opened less often in a later one, it is no longer. */
const HOT_OPENS = 4;
const WINDOW_MS = 24 * 60 * 60 * 1000;
/** Files that are counted; the one that was not opened for longest goes first. */
const FILES_MAX = 10_000;

interface Count {
  /** In the window that began then, in monotonic ms. */
  sinceMs: number;
  opens: number;
  hot: boolean;
}

/** Files that are told to other pods, those that were opened most. */
const TOLD_MAX = 100;

/** How often files were opened, by inode. */
export type Opens = readonly [InodeId, number];

/** Which files are asked for most, on this pod and, as far as they tell, on the others. Time comes in; nothing of it is
 *  kept over a restart. */
export class Heat {
  private readonly counts = new Map<InodeId, Count>();
  /** What the other pods told last, added up. */
  private elsewhere: ReadonlyMap<InodeId, number> = new Map();

  /** The file was opened to be read. @returns true when it became hot by this */
  opened(inode: InodeId, nowMs: number): boolean {
    const count = this.at(inode, nowMs) ?? { sinceMs: nowMs, opens: 0, hot: false };
    count.opens++;
    // To the end, so that what is not asked for comes to the front.
    this.counts.delete(inode);
    this.counts.set(inode, count);
    const [oldest] = this.counts.keys();
    if (this.counts.size > FILES_MAX && oldest !== undefined) this.counts.delete(oldest);
    const elsewhere = this.elsewhere.get(inode) ?? 0;
    if (count.hot || count.opens + elsewhere < HOT_OPENS) return false;
    count.hot = count.opens >= HOT_OPENS;
    // Before this one it was hot already, where it was not opened here alone.
    return count.hot || count.opens + elsewhere === HOT_OPENS;
  }

  isHot(inode: InodeId, nowMs: number): boolean {
    const count = this.at(inode, nowMs);
    return count?.hot === true || (count?.opens ?? 0) + (this.elsewhere.get(inode) ?? 0) >= HOT_OPENS;
  }

  /** What the other pods tell. @returns files that became hot by this */
  heard(told: Iterable<Opens>, nowMs: number): InodeId[] {
    const before = this.elsewhere;
    const sums = new Map<InodeId, number>();
    for (const [inode, opens] of told) sums.set(inode, (sums.get(inode) ?? 0) + opens);
    const wasHot = new Set([...sums.keys()].filter((inode) => before.has(inode) && this.isHot(inode, nowMs)));
    this.elsewhere = sums;
    return [...sums.keys()].filter((inode) => !wasHot.has(inode) && this.isHot(inode, nowMs));
  }

  /** What is told to the other pods. */
  told(nowMs: number): Opens[] {
    const counted: Opens[] = [];
    for (const inode of [...this.counts.keys()]) {
      const count = this.at(inode, nowMs);
      if (count !== undefined) counted.push([inode, Math.max(count.opens, count.hot ? HOT_OPENS : 0)]);
    }
    return counted.sort((a, b) => b[1] - a[1]).slice(0, TOLD_MAX);
  }

  /** The count in the present window. */
  private at(inode: InodeId, nowMs: number): Count | undefined {
    const count = this.counts.get(inode);
    if (count === undefined || nowMs - count.sinceMs < WINDOW_MS) return count;
    const passed = nowMs - count.sinceMs;
    // What was asked for often in the window just before stays hot through this one.
    count.hot = passed < 2 * WINDOW_MS && count.opens >= HOT_OPENS;
    count.sinceMs = nowMs;
    count.opens = 0;
    if (!count.hot) this.counts.delete(inode);
    return count.hot ? count : undefined;
  }
}
