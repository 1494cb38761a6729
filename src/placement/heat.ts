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

/** Which files are asked for most on this pod. Time comes in; nothing of it is kept over a restart. */
export class Heat {
  private readonly counts = new Map<InodeId, Count>();

  /** The file was opened to be read. @returns true when it became hot by this */
  opened(inode: InodeId, nowMs: number): boolean {
    const count = this.at(inode, nowMs) ?? { sinceMs: nowMs, opens: 0, hot: false };
    count.opens++;
    // To the end, so that what is not asked for comes to the front.
    this.counts.delete(inode);
    this.counts.set(inode, count);
    const [oldest] = this.counts.keys();
    if (this.counts.size > FILES_MAX && oldest !== undefined) this.counts.delete(oldest);
    if (count.hot || count.opens < HOT_OPENS) return false;
    count.hot = true;
    return true;
  }

  isHot(inode: InodeId, nowMs: number): boolean {
    return this.at(inode, nowMs)?.hot === true;
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
