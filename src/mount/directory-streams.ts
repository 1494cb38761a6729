import type { FileSystem } from '../fs/index.js';
import type { InodeId } from './nodes.js';

export type ListedEntry = Awaited<ReturnType<FileSystem['list']>>[number];

/** Entries asked of the file system at once. */
const PAGE_ENTRIES = 256;
/** Cookies 1 and 2 are those of `.` and `..`. */
const COOKIE_OF_DOTS = 2;

/**
 * An open folder. Its position is a name, not a number: entries that come and go meanwhile neither hide others
 * nor show them twice. The kernel's cookies stand for names that were handed out.
 */
export class DirectoryStream {
  readonly inode: InodeId;
  /** The name with cookie `index + 3`. */
  private names: string[] = [];
  private page: ListedEntry[] = [];
  private pageIndex = 0;
  private pageIsLast = false;
  /** The cookie behind which the page goes on. */
  private position = COOKIE_OF_DOTS;

  constructor(inode: InodeId) {
    this.inode = inode;
  }

  /** Goes to the place behind a cookie; 0 starts anew and sees what has come since. */
  seek(cookie: number): void {
    if (cookie === 0) {
      this.names = [];
      this.drop(COOKIE_OF_DOTS);
    } else if (Math.max(cookie, COOKIE_OF_DOTS) !== this.position) {
      this.drop(Math.max(cookie, COOKIE_OF_DOTS));
    }
  }

  /** The entry at the place, `undefined` at the end, or a promise that there is a page now: ask again. */
  peek(fileSystem: FileSystem): ListedEntry | undefined | Promise<void> {
    for (;;) {
      const entry = this.page[this.pageIndex];
      if (entry !== undefined || this.pageIsLast) return entry;
      const listed = fileSystem.list(
        this.inode,
        this.names[this.position - COOKIE_OF_DOTS - 1],
        PAGE_ENTRIES,
      );
      if (listed instanceof Promise) return listed.then((page) => this.take(page));
      this.take(listed);
    }
  }

  /** The cookie that the entry at the place gets. */
  get cookie(): number {
    return this.names.length + COOKIE_OF_DOTS + 1;
  }

  /** Goes behind the entry at the place, which was handed out. */
  advance(entry: ListedEntry): void {
    this.position = this.cookie;
    this.names.push(entry.name);
    this.pageIndex++;
  }

  /** Goes behind an entry that has vanished, without a cookie for it. */
  skip(): void {
    this.page.splice(this.pageIndex, 1);
  }

  private take(page: ListedEntry[]): void {
    this.page = page;
    this.pageIndex = 0;
    this.pageIsLast = page.length < PAGE_ENTRIES;
  }

  private drop(position: number): void {
    this.position = position;
    this.page = [];
    this.pageIndex = 0;
    this.pageIsLast = false;
  }
}

/** The open folders of a mount, by handle. */
export class DirectoryStreams {
  private readonly streams = new Map<number, DirectoryStream>();
  private next = 1;

  open(inode: InodeId): number {
    const handle = this.next++;
    this.streams.set(handle, new DirectoryStream(inode));
    return handle;
  }

  get(handle: number): DirectoryStream | undefined {
    return this.streams.get(handle);
  }

  close(handle: number): void {
    this.streams.delete(handle);
  }
}
