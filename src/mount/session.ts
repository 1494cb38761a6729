import { constants } from 'node:os';
import type { Answer } from '../base/index.js';
import { errnoOf, type Log, messageOf, WormholeError } from '../base/index.js';
import type { FileSystem, Stat } from '../fs/index.js';
import type { Device } from './device.js';
import { DirectoryStreams } from './directory-streams.js';
import { type Node, NodeTable } from './nodes.js';
import { OpenFiles } from './open-files.js';
import { OPCODE, SIZE } from './protocol/constants.js';
import {
  encodeAttrOut,
  encodeEntry,
  encodeHeader,
  encodeNegativeEntry,
  encodeOpen,
  type Timeouts,
} from './protocol/replies.js';
import { decodeNewParent, type RequestBuffer, type RequestHeader } from './protocol/requests.js';
import type { Repeat } from './watching/changes.js';

/** What the helper that repeats remote changes has open; the file system's own handles begin with 1. */
export const REPEATED_HANDLE = 0;

/** The helper process, and what it is repeating. */
export interface Repeating {
  /** -1: there is none. */
  pid: number;
  operation: Repeat | undefined;
}

type ErrnoName = keyof typeof constants.errno;

/**
 * The kernel is told of all that changes, so that these only bound what a fault of ours could do. Where it cannot be
 * told to forget every name at once, as after an index was built anew, names have to go by themselves.
 */
const LONG_TIMEOUTS: Timeouts = { entryMs: 60_000, attributesMs: 60_000, negativeMs: 60_000 };
const SHORT_TIMEOUTS: Timeouts = { entryMs: 1_000, attributesMs: 1_000, negativeMs: 1_000 };

/** One request of the kernel, from its arrival to its answer. */
export interface Request extends RequestHeader {
  /** The bytes it came in; only of use until the first promise, unless {@link Request.keepsBuffer}. */
  readonly buffer: RequestBuffer;
  /** The buffer holds data that the file system still needs: it is given back with the answer. */
  keepsBuffer: boolean;
  answered: boolean;
  /** Tells the file system that nobody waits any more. */
  abort: (() => void) | undefined;
}

/** Answers up to this many bytes are put behind their header, larger ones are sent from where they lie. */
const COPY_BYTES_MAX = 16 * 1024;
/** Data in more places than a few chunks are (a list of chunks may say anything) is put together first. */
const ANSWER_PARTS_MAX = 8;
/** Room for any answer but larger data. */
const ANSWER_BYTES = COPY_BYTES_MAX + SIZE.outHeader;

/** Operations on an inode alone: when it is gone, ESTALE makes the kernel look its name up again. */
const ON_INODE: ReadonlySet<number> = new Set([
  OPCODE.getattr,
  OPCODE.setattr,
  OPCODE.readlink,
  OPCODE.open,
  OPCODE.opendir,
  OPCODE.getxattr,
  OPCODE.setxattr,
  OPCODE.listxattr,
  OPCODE.removexattr,
]);

/** Operations on the entries of a folder. */
const CHANGES_FOLDER: ReadonlySet<number> = new Set([
  OPCODE.create,
  OPCODE.mknod,
  OPCODE.mkdir,
  OPCODE.symlink,
  OPCODE.link,
  OPCODE.unlink,
  OPCODE.rmdir,
  OPCODE.rename,
  OPCODE.rename2,
]);

export interface SessionOptions {
  fileSystem: FileSystem;
  root: Stat['inode'];
  /** Default: as long as the kernel allows, see {@link Session.agreed}. */
  timeouts?: Partial<Timeouts> | undefined;
  log: Log;
}

/** What one mount's operations share: the file system, what the kernel knows of it, and the way to answer. */
export class Session {
  readonly fileSystem: FileSystem;
  readonly nodes: NodeTable;
  readonly directories = new DirectoryStreams();
  readonly files = new OpenFiles();
  private timing: Timeouts = SHORT_TIMEOUTS;
  private readonly wantedTimeouts: Partial<Timeouts> | undefined;
  readonly log: Log;
  /** Requests whose answer is a promise still. */
  readonly pending = new Map<number, Request>();
  readonly repeating: Repeating = { pid: -1, operation: undefined };
  /** Set as soon as there is one; nothing is answered before. */
  device: Device | undefined;
  /** Of a read that was answered at once, so that its signal reached nobody: good for the next. */
  spareController: AbortController | undefined;
  /** The answer under construction; the body starts behind the header. */
  readonly out = Buffer.from(new ArrayBuffer(ANSWER_BYTES));
  readonly view = new DataView(this.out.buffer);

  constructor(options: SessionOptions) {
    this.fileSystem = options.fileSystem;
    this.nodes = new NodeTable(options.root);
    this.wantedTimeouts = options.timeouts;
    this.log = options.log;
    this.agreed(false);
  }

  get timeouts(): Timeouts {
    return this.timing;
  }

  /** @param forgetsAtOnce the kernel can be told to forget every name */
  agreed(forgetsAtOnce: boolean): void {
    this.timing = { ...(forgetsAtOnce ? LONG_TIMEOUTS : SHORT_TIMEOUTS), ...this.wantedTimeouts };
  }

  /** @throws WormholeError `not-found` for a number that was given back; the kernel then looks up anew */
  node(number: number): Node {
    const node = this.nodes.get(number);
    if (node === undefined)
      throw new WormholeError('not-found', 'the kernel names an inode that it gave back');
    return node;
  }

  /** Sends what the file system answers: in this tick if it can, else when its promise is kept. */
  answer<T>(request: Request, answer: Answer<T>, send: (value: T) => void): void {
    if (!(answer instanceof Promise)) {
      send(answer);
      return;
    }
    this.pending.set(request.unique, request);
    const locked = this.foldersLockedBy(request);
    for (const folder of locked) folder.pendingChanges++;
    const settled = () => {
      for (const folder of locked) folder.pendingChanges--;
      this.settled(request);
    };
    answer.then(send).then(settled, (error: unknown) => {
      this.fail(request, error);
      settled();
    });
  }

  /** @returns false when nobody waits for the answer any more */
  ok(request: Request): boolean {
    return this.send(request, 0);
  }

  /** Sends the body of `length` bytes that lies in {@link Session.out} behind the header. */
  send(request: Request, length: number): boolean {
    if (request.answered) return false;
    request.answered = true;
    encodeHeader(this.view, SIZE.outHeader + length, 0, request.unique);
    return this.device?.reply(this.out, SIZE.outHeader + length) ?? false;
  }

  data(request: Request, data: Uint8Array): boolean {
    return this.dataInParts(request, [data]);
  }

  /** Sends data that lies in several places, one after the other. */
  dataInParts(request: Request, parts: readonly Uint8Array[]): boolean {
    if (request.answered) return false;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length <= COPY_BYTES_MAX) {
      let at: number = SIZE.outHeader;
      for (const part of parts) {
        this.out.set(part, at);
        at += part.length;
      }
      return this.send(request, length);
    }
    request.answered = true;
    encodeHeader(this.view, SIZE.outHeader + length, 0, request.unique);
    const pieces = parts.length > ANSWER_PARTS_MAX ? [Buffer.concat(parts)] : parts;
    return this.device?.replyInParts([this.out.subarray(0, SIZE.outHeader), ...pieces]) ?? false;
  }

  /** An inode found or made under `parent`: the kernel gets a reference to it. */
  entry(request: Request, stat: Stat, parent: number): void {
    const node = this.nodes.remember(stat, parent);
    encodeEntry(this.view, SIZE.outHeader, node.number, stat, this.timeouts);
    if (!this.send(request, SIZE.entryOut)) this.nodes.forget(node.number, 1);
  }

  /** There is no such name, and the kernel may remember that for a while. */
  noEntry(request: Request): void {
    if (this.timeouts.negativeMs <= 0) {
      this.failWith(request, 'ENOENT');
      return;
    }
    encodeNegativeEntry(this.view, SIZE.outHeader, this.timeouts);
    this.send(request, SIZE.entryOut);
  }

  attributes(request: Request, stat: Stat): void {
    encodeAttrOut(this.view, SIZE.outHeader, stat, this.timeouts);
    this.send(request, SIZE.attrOut);
  }

  /** @returns false when nobody waits any more: the handle is to be let go */
  opened(request: Request, handle: number, flags: number): boolean {
    encodeOpen(this.view, SIZE.outHeader, handle, flags);
    return this.send(request, SIZE.openOut);
  }

  fail(request: Request, error: unknown): void {
    const name = errnoOf(error);
    // A full disk has its errno in whatever was thrown; the rest is a fault of the program.
    if (!(error instanceof WormholeError) && name === 'EIO')
      this.log.error('an operation failed unexpectedly', { opcode: request.opcode, error: stackOf(error) });
    const gone = name === 'ENOENT' && ON_INODE.has(request.opcode);
    this.failWith(request, gone ? 'ESTALE' : (name as ErrnoName));
  }

  failWith(request: Request, errno: ErrnoName): void {
    if (request.answered) return;
    request.answered = true;
    encodeHeader(this.view, SIZE.outHeader, -(constants.errno[errno] ?? constants.errno.EIO), request.unique);
    this.device?.reply(this.out, SIZE.outHeader);
  }

  /** Runs what nobody waits for; a failure is logged. */
  background(what: string, task: () => Answer<void>): void {
    Promise.resolve()
      .then(task)
      .catch((error: unknown) => this.log.warn(`${what} failed`, { error: messageOf(error) }));
  }

  /** The kernel holds their locks until it has the answer. */
  private foldersLockedBy({ opcode, node, buffer }: Request): Node[] {
    if (!CHANGES_FOLDER.has(opcode)) return [];
    const numbers = new Set([node]);
    if (opcode === OPCODE.rename || opcode === OPCODE.rename2) numbers.add(decodeNewParent(buffer.view));
    return [...numbers].map((number) => this.nodes.get(number)).filter((folder) => folder !== undefined);
  }

  private settled(request: Request): void {
    this.pending.delete(request.unique);
    if (request.keepsBuffer) this.device?.release(request.buffer);
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}
