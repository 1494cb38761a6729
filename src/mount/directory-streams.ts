import type { FileSystem } from '../fs/index.js';
import type { InodeId, Node } from './nodes.js';

export type ListedEntry = Awaited<ReturnType<FileSystem['list']>>[number];

/** Entries asked of the file system at once. */
const PAGE_ENTRIES = 256;
/** Cookies 1 and 2 are those of `.` and `..`. */
const COOKIE_OF_DOTS = 2;
/** Names with a cookie in a folder that nobody has open; of more, all are let go. */
const COOKIES_KEPT_MAX = 16_384;

/**
 * The numbers by which the kernel goes on behind an entry. They are one folder's, not one open folder's: the kernel keeps
 * a listing with them and goes on by it for somebody else.
 */
export class Cookies {
  /** The name with cookie `index + 3`. */
  private readonly names: string[] = [];
  private readonly numbers = new Map<string, number>();

  get size(): number {
    return this.names.length;
  }

  of(name: string): number {
    let cookie = this.numbers.get(name);
    if (cookie === undefined) {
      this.names.push(name);
      cookie = this.names.length + COOKIE_OF_DOTS;
      this.numbers.set(name, cookie);
    }
    return cookie;
  }

  /** Undefined for the cookies before the first name. */
  nameOf(cookie: number): string | undefined {
    return this.names[cookie - COOKIE_OF_DOTS - 1];
  }
}

/**
 * An open folder. Its position is a name, not a number: entries that come and go meanwhile neither hide others
 * nor show them twice. The kernel's cookies stand for names that were handed out.
 */
export class DirectoryStream {
  readonly inode: InodeId;
  private readonly cookies: Cookies;
  private page: ListedEntry[] = [];
  private pageIndex = 0;
  private pageIsLast = false;
  /** The name behind which the page goes on. */
  private position: string | undefined;

  constructor(inode: InodeId, cookies = new Cookies()) {
    this.inode = inode;
    this.cookies = cookies;
  }

  /** Goes to the place behind a cookie; 0 starts anew and sees what has come since. */
  seek(cookie: number): void {
    const name = this.cookies.nameOf(cookie);
    if (cookie !== 0 && name === this.position) return;
    this.position = name;
    this.page = [];
    this.pageIndex = 0;
    this.pageIsLast = false;
  }

  /** The entry at the place, `undefined` at the end, or a promise that there is a page now: ask again. */
  peek(fileSystem: FileSystem): ListedEntry | undefined | Promise<void> {
    for (;;) {
      const entry = this.page[this.pageIndex];
      if (entry !== undefined || this.pageIsLast) return entry;
      const listed = fileSystem.list(this.inode, this.position, PAGE_ENTRIES);
      if (listed instanceof Promise) return listed.then((page) => this.take(page));
      this.take(listed);
    }
  }

  /** The cookie that an entry gets. */
  cookieOf(entry: ListedEntry): number {
    return this.cookies.of(entry.name);
  }

  /** Goes behind the entry at the place, which was handed out. */
  advance(entry: ListedEntry): void {
    this.position = entry.name;
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
}

/** The open folders of a mount, by handle. */
export class DirectoryStreams {
  private readonly streams = new Map<number, { stream: DirectoryStream; node: Node }>();
  private next = 1;

  /** @returns whether what the kernel keeps of an earlier listing still goes with the folder's cookies */
  open(node: Node): { handle: number; keeps: boolean } {
    const handle = this.next++;
    const keeps = node.cookies !== undefined && !node.stale;
    node.stale = false;
    node.cookies ??= new Cookies();
    node.opens++;
    this.streams.set(handle, { stream: new DirectoryStream(node.inode, node.cookies), node });
    return { handle, keeps };
  }

  get(handle: number): DirectoryStream | undefined {
    return this.streams.get(handle)?.stream;
  }

  close(handle: number): void {
    const node = this.streams.get(handle)?.node;
    this.streams.delete(handle);
    if (node === undefined) return;
    node.opens--;
    if (node.opens === 0 && (node.cookies?.size ?? 0) > COOKIES_KEPT_MAX) node.cookies = undefined;
  }
}
