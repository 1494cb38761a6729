/**
 * Reads requests from an open /dev/fuse and writes answers to it. The quick way hands the descriptor to libuv as
 * if it were a pipe, so that requests arrive on the event loop without a detour over a thread; the class for that
 * is an internal one of Node, and where it is missing or refuses, `fs.read` does the same more slowly.
 */
import { close, read, write, writeSync, writevSync } from 'node:fs';
import net from 'node:net';
import { type Log, messageOf } from '../base/index.js';
import { makeRequestBuffer, type RequestBuffer } from './protocol/requests.js';

export type Way = 'pipe' | 'read';

/** How the connection to the kernel ended: by an unmount, by an abort (the mount is dead and still there). */
export type Ended = 'unmounted' | 'aborted' | { error: Error };

export interface DeviceOptions {
  /** /dev/fuse, open for reading and writing and already mounted; the device closes it. */
  descriptor: number;
  /** Size of one buffer in bytes: `max_write` and `REQUEST_OVERHEAD_BYTES`. */
  bufferBytes: number;
  log: Log;
  /** Wanted; the pipe falls back to `fs.read` where Node has no such class. */
  way?: Way | undefined;
  /** Called with each request; must not throw.
   *  @returns true when it keeps the buffer, and gives it back by {@link Device.release} */
  onRequest(buffer: RequestBuffer, length: number): boolean;
  onEnd(ended: Ended): void;
}

/** Buffers that wait for their next use; more are left to the garbage collector. */
const SPARE_BUFFERS_MAX = 8;

export class Device {
  /** How requests are read. */
  readonly way: Way;
  private readonly options: DeviceOptions;
  private readonly spare: RequestBuffer[] = [];
  private current: RequestBuffer;
  private socket: net.Socket | undefined;
  /** Nothing is written any more. */
  private ended = false;
  private finished = false;
  /** Notifications on their way in other threads; the descriptor's number must stay ours until they are through. */
  private notifying = 0;
  private closeDescriptor: (() => void) | undefined;

  constructor(options: DeviceOptions) {
    this.options = options;
    this.current = this.takeBuffer();
    const Pipe = options.way === 'read' ? undefined : findPipeClass();
    this.way = Pipe !== undefined && this.startPipe(Pipe) ? 'pipe' : 'read';
    if (this.way === 'read') this.readNext();
  }

  /** Gives back a buffer that `onRequest` kept. */
  release(buffer: RequestBuffer): void {
    if (this.spare.length < SPARE_BUFFERS_MAX) this.spare.push(buffer);
  }

  /** Writes one answer, in one piece. @returns false when nobody waits for it any more */
  reply(bytes: Uint8Array, length: number): boolean {
    if (this.ended) return false;
    try {
      writeSync(this.options.descriptor, bytes, 0, length);
      return true;
    } catch (error) {
      return this.replyFailed(error);
    }
  }

  /** Writes one answer whose parts, no more than a few, lie apart. */
  replyInParts(parts: Uint8Array[]): boolean {
    if (this.ended) return false;
    try {
      writevSync(this.options.descriptor, parts);
      return true;
    } catch (error) {
      return this.replyFailed(error);
    }
  }

  /** Writes a notification from another thread: it may have to wait for requests that are not answered yet.
   *  Failures do not matter: the kernel did not know what it was to forget. */
  notify(bytes: Uint8Array): Promise<void> {
    if (this.ended) return Promise.resolve();
    this.notifying++;
    return new Promise((resolve) => {
      write(this.options.descriptor, bytes, 0, bytes.length, null, () => {
        this.notifying--;
        this.closeIfDone();
        resolve();
      });
    });
  }

  /** Stops answering and closes the descriptor: the kernel then fails all that is asked of the mount. (By way of
   *  `fs.read` only once its call has returned: unmount before.) */
  end(): void {
    this.finish('aborted');
  }

  private startPipe(Pipe: PipeClass): boolean {
    try {
      const handle = new Pipe(0);
      const failed = handle.open(this.options.descriptor);
      if (typeof failed === 'number' && failed < 0) return false;
      this.holdClose(handle);
      const onread = {
        buffer: () => this.current.bytes,
        callback: (length: number) => {
          this.accept(length);
          return true;
        },
      };
      // The declared options of Socket leave out `handle` and `onread`, which net.connect uses itself.
      const options = { handle, readable: true, writable: false, onread } as net.SocketConstructorOpts;
      const socket = new net.Socket(options);
      socket.on('error', (error: NodeJS.ErrnoException) => this.finish(endOf(error)));
      socket.on('end', () => this.finish('unmounted'));
      socket.read(0);
      this.socket = socket;
      return true;
    } catch (error) {
      this.options.log.warn('reading /dev/fuse as a pipe failed; going on with fs.read', {
        error: messageOf(error),
      });
      return false;
    }
  }

  /** Puts off that the socket closes its handle, and thus the descriptor, while notifications are under way. */
  private holdClose(handle: PipeHandle): void {
    const closeHandle = handle.close.bind(handle);
    handle.close = (done) => {
      this.ended = true;
      this.closeDescriptor = () => closeHandle(done);
      this.closeIfDone();
    };
  }

  private readNext(): void {
    const { bytes } = this.current;
    read(this.options.descriptor, bytes, 0, bytes.length, null, (error, length) => {
      if (error === null && !this.ended) this.accept(length);
      // ENOENT: a request was taken back while it was read.
      const goOn = error === null || ['ENOENT', 'EINTR', 'EAGAIN'].includes(error.code ?? '');
      if (goOn && !this.ended) return this.readNext();
      this.closeDescriptor = () => close(this.options.descriptor, () => {});
      if (error !== null) this.finish(endOf(error));
      this.closeIfDone();
    });
  }

  private accept(length: number): void {
    if (this.ended) return;
    if (this.options.onRequest(this.current, length)) this.current = this.takeBuffer();
  }

  private takeBuffer(): RequestBuffer {
    // Memory of its own for each: a buffer out of Node's pool would share one with unrelated data.
    return this.spare.pop() ?? makeRequestBuffer(Buffer.from(new ArrayBuffer(this.options.bufferBytes)));
  }

  private replyFailed(error: unknown): boolean {
    const { code } = error as NodeJS.ErrnoException;
    // ENOENT: the request was interrupted or its mount is going; nobody waits for the answer.
    if (code !== 'ENOENT' && code !== 'ENODEV' && code !== 'EPERM' && code !== 'ECONNABORTED')
      this.options.log.error('the kernel refused an answer', { error: messageOf(error) });
    return false;
  }

  private finish(ended: Ended): void {
    if (this.finished) return;
    this.finished = true;
    this.ended = true;
    this.socket?.destroy();
    this.options.onEnd(ended);
  }

  private closeIfDone(): void {
    if (this.notifying > 0) return;
    this.closeDescriptor?.();
    this.closeDescriptor = undefined;
  }
}

function endOf(error: NodeJS.ErrnoException): Ended {
  if (error.code === 'ENODEV') return 'unmounted';
  return error.code === 'ECONNABORTED' ? 'aborted' : { error };
}

interface PipeHandle {
  open(descriptor: number): number | undefined;
  close(done?: () => void): void;
}
type PipeClass = new (type: number) => PipeHandle;

/** The class of libuv's pipes, taken from a server that listens for an instant on a name without a file. */
function findPipeClass(): PipeClass | undefined {
  const server = net.createServer();
  try {
    server.listen(`\0wormhole-${process.pid}-${process.hrtime.bigint()}`);
    // `_handle` is not declared; its class is the only way to the one that net.Socket itself uses.
    const handle = (server as { _handle?: { constructor?: unknown } })._handle;
    const found = handle?.constructor as PipeClass | undefined;
    return typeof found?.prototype?.open === 'function' ? found : undefined;
  } catch {
    return undefined;
  } finally {
    server.close(() => {});
  }
}
