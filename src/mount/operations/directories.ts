/** Operations on open folders. */

import type { Answer } from '../../base/index.js';
import { then, WormholeError } from '../../base/index.js';
import { inodeNumber, type Stat } from '../../fs/index.js';
import type { DirectoryStream, ListedEntry } from '../directory-streams.js';
import { OPEN_ANSWER } from '../protocol/constants.js';
import { type DirectoryEntry, DirectoryPacker, FILE_TYPE } from '../protocol/directory.js';
import { decodeHandle, decodeRead } from '../protocol/requests.js';
import type { Request, Session } from '../session.js';

/** Answers are cut here; the kernel asks again. */
const LISTING_BYTES_MAX = 64 * 1024;

export function opendir(session: Session, request: Request): void {
  const { handle, keeps } = session.directories.open(session.node(request.node));
  const flags = OPEN_ANSWER.cacheDirectory | (keeps ? OPEN_ANSWER.keepCache : 0);
  if (!session.opened(request, handle, flags)) session.directories.close(handle);
}

export function releasedir(session: Session, request: Request): void {
  session.directories.close(decodeHandle(request.buffer.view, request.length));
  session.ok(request);
}

export function fsyncdir(session: Session, request: Request): void {
  const answer = session.fileSystem.fsyncdir(session.node(request.node).inode);
  session.answer(request, answer, () => void session.ok(request));
}

export function readdir(session: Session, request: Request): void {
  new Listing(session, request, false).start();
}

export function readdirplus(session: Session, request: Request): void {
  new Listing(session, request, true).start();
}

/** One READDIR or READDIRPLUS: fills an answer with entries until it is full or the folder ends. */
class Listing {
  private readonly session: Session;
  private readonly request: Request;
  private readonly plus: boolean;
  private readonly stream: DirectoryStream;
  private readonly offset: number;
  private readonly bytes: Buffer;
  private readonly packer: DirectoryPacker;
  /** Nodes whose references the kernel gets with this answer. */
  private readonly given: number[] = [];
  /** The folder is; what is in it then is too. */
  private isFleeting = false;

  constructor(session: Session, request: Request, plus: boolean) {
    const { handle, offset, size } = decodeRead(request.buffer.view, request.length);
    const stream = session.directories.get(handle);
    if (stream === undefined) throw new WormholeError('bad-handle', 'this folder is not open');
    this.session = session;
    this.request = request;
    this.plus = plus;
    this.stream = stream;
    this.offset = offset;
    this.bytes = Buffer.allocUnsafe(Math.min(size, LISTING_BYTES_MAX));
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    this.packer = new DirectoryPacker(this.bytes, view, 0, this.bytes.length);
  }

  start(): void {
    this.stream.seek(this.offset);
    if (this.offset < 1) this.addDot('.', 1, this.request.node);
    if (this.offset < 2)
      this.addDot('..', 2, this.session.nodes.get(this.request.node)?.parent ?? this.request.node);
    const folder = this.plus ? this.statOf(this.stream.inode) : undefined;
    const filled = then(folder, (stat) => {
      this.isFleeting = stat?.fleeting ?? false;
      return this.fill();
    });
    this.session.answer(this.request, filled, () => this.send());
  }

  private fill(): Answer<void> {
    for (;;) {
      const entry = this.stream.peek(this.session.fileSystem);
      if (entry === undefined) return;
      if (entry instanceof Promise) return entry.then(() => this.fill());
      if (!this.plus) {
        if (!this.packer.add(this.describe(entry))) return;
        this.stream.advance(entry);
        continue;
      }
      if (!this.packer.hasRoomFor(entry.name)) return;
      const stat = this.statOf(entry.inode);
      if (stat instanceof Promise)
        return stat.then((later) => this.addPlus(entry, later)).then(() => this.fill());
      this.addPlus(entry, stat);
    }
  }

  private addPlus(entry: ListedEntry, stat: Stat | undefined): void {
    if (stat === undefined) {
      this.stream.skip();
      return;
    }
    if (this.isFleeting) stat.fleeting = true;
    const node = this.session.nodes.remember(stat, this.request.node);
    this.given.push(node.number);
    const { name } = entry;
    const described = {
      name,
      ino: stat.ino,
      type: (stat.mode >> 12) & 15,
      cookie: this.stream.cookieOf(entry),
    };
    this.packer.addWithStat(described, node.number, stat, this.session.timeouts);
    this.stream.advance(entry);
  }

  /** By its inode, which costs less than by its name. Undefined when it has gone since it was listed. */
  private statOf(inode: Stat['inode']): Answer<Stat | undefined> {
    try {
      const stat = this.session.fileSystem.stat(inode);
      return stat instanceof Promise ? stat.catch(undefinedWhenGone) : stat;
    } catch (error) {
      return undefinedWhenGone(error);
    }
  }

  private describe(entry: ListedEntry): DirectoryEntry {
    return {
      name: entry.name,
      ino: inodeNumber(entry.inode),
      type: FILE_TYPE[entry.kind],
      cookie: this.stream.cookieOf(entry),
    };
  }

  private addDot(name: string, cookie: number, number: number): void {
    const inode = this.session.nodes.get(number)?.inode ?? this.stream.inode;
    const entry = { name, cookie, ino: inodeNumber(inode), type: FILE_TYPE.directory };
    if (this.plus) this.packer.addWithStat(entry, 0, undefined, this.session.timeouts);
    else this.packer.add(entry);
  }

  private send(): void {
    const folder = this.session.nodes.get(this.request.node);
    if (folder !== undefined) folder.foundMs = performance.now();
    if (this.session.data(this.request, this.bytes.subarray(0, this.packer.length))) return;
    for (const number of this.given) this.session.nodes.forget(number, 1);
  }
}

function undefinedWhenGone(error: unknown): undefined {
  if (error instanceof WormholeError && error.code === 'not-found') return undefined;
  throw error;
}
