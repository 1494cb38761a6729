import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import {
  type Clock,
  errorFrom,
  LIMITS,
  type Log,
  messageOf,
  Pace,
  type PodId,
  WormholeError,
} from '../base/index.js';
import { Asked, type AskOptions } from './asked.js';
import { FrameParts } from './frame-parts.js';
import { frameSink } from './frame-sink.js';
import { decodeFrame, encodeFrame, type Frame } from './frames.js';
import { Line } from './line.js';
import type { Handler, Link, Priority } from './link.js';
import { Outbox } from './outbox.js';
import { Served } from './served.js';

export interface PeerLinkOptions {
  peer: PodId;
  address: string;
  socket: WebSocket;
  /** The TLS socket below, which tells what was received of a frame that is not whole yet. */
  transport: Socket;
  handlers: ReadonlyMap<string, Handler>;
  /** Of bulk data that is sent; unlimited when left out. */
  pace?: Pace;
  clock: Clock;
  log: Log;
  /** The peer says that this connection is the one to use. */
  onUse?: () => void;
  onClosed: (reason: string) => void;
}

/** A Link over one WebSocket whose peer has been admitted. Nothing the peer sends makes it throw. */
export class PeerLink implements Link {
  readonly peer: PodId;
  readonly address: string;
  readonly openedAtMs: number;
  receivedBytes = 0;
  private readonly options: PeerLinkOptions;
  private readonly outbox: Outbox;
  private readonly asked: Asked;
  private readonly served: Served;
  private readonly ended = new AbortController();
  private readonly line = new Line();
  private readonly parts = new FrameParts();
  private nextPing = 1;
  private heardAtMs: number;
  private wholeFrameAtMs: number;
  private bytesSeen = 0;

  constructor(options: PeerLinkOptions) {
    const { socket, clock } = options;
    this.options = options;
    this.peer = options.peer;
    this.address = options.address;
    this.openedAtMs = clock.monotonicMs();
    this.heardAtMs = this.openedAtMs;
    this.wholeFrameAtMs = this.openedAtMs;
    this.outbox = new Outbox({
      sink: frameSink(socket, options.transport),
      pace: options.pace ?? new Pace(clock),
      line: this.line,
      clock,
      probe: () => this.ping(),
      overflow: () => this.end('the peer does not read what it is sent'),
    });
    const send = (frame: Frame, priority: Priority) => this.sendFrame(frame, priority);
    this.asked = new Asked(send);
    const { handlers, log } = options;
    this.served = new Served({ link: this, handlers, outbox: this.outbox, send, log });
    socket.on('message', (data, isBinary) => this.receive(data, isBinary));
    socket.on('error', (error) => this.end(messageOf(error)));
    socket.on('close', (_code, reason) =>
      this.end(reason.toString().slice(0, 200) || 'the connection ended'),
    );
    // The dialling side paused it, so that nothing arrives before somebody listens.
    socket.resume();
    this.beat().catch((error) => this.end(messageOf(error)));
  }

  get open(): boolean {
    return !this.ended.signal.aborted;
  }

  get roundTripMs(): number | undefined {
    return this.line.roundTripMs;
  }

  get sentBytes(): number {
    return this.outbox.sentBytes;
  }

  /** Milliseconds since the peer last gave a sign of life. */
  get silentMs(): number {
    this.listen();
    return this.options.clock.monotonicMs() - this.heardAtMs;
  }

  send(type: string, body: unknown, priority: Priority = 'control'): void {
    this.sendFrame({ kind: 'send', type, body }, priority);
  }

  request(type: string, body: unknown, options: AskOptions = {}): Promise<unknown> {
    return this.asked.ask(type, body, options);
  }

  drained(): Promise<void> {
    return this.outbox.drained();
  }

  /** Tells the peer that this connection is the one to use. */
  use(): void {
    this.sendFrame({ kind: 'use' }, 'control');
  }

  close(reason: string): void {
    this.end(reason);
  }

  private sendFrame(frame: Frame, priority: Priority): void {
    const bytes = encodeFrame(frame);
    if (this.open)
      this.outbox.push(bytes, priority === 'bulk' && isSmallQuestion(frame, bytes) ? 'control' : priority);
  }

  private receive(data: RawData, isBinary: boolean): void {
    if (!this.open) return;
    try {
      if (!isBinary || !(data instanceof Uint8Array))
        throw new WormholeError('protocol', 'a message is no frame');
      this.receivedBytes += data.length;
      this.heardAtMs = this.wholeFrameAtMs = this.options.clock.monotonicMs();
      this.take(decodeFrame(data));
    } catch (error) {
      this.options.log.warn('cut off a peer', { peer: this.peer, reason: messageOf(error) });
      this.end(messageOf(error));
    }
  }

  private take(frame: Frame): void {
    switch (frame.kind) {
      case 'send':
      case 'request':
        this.served.accept(frame);
        break;
      case 'cancel':
        this.served.cancel(frame.id);
        break;
      case 'answer':
        this.asked.answered(frame.id, frame.body);
        break;
      case 'error':
        this.asked.failed(frame.id, errorFrom(frame));
        break;
      case 'ping':
        this.sendFrame({ kind: 'pong', id: frame.id }, 'control');
        break;
      case 'pong':
        this.line.answered(frame.id, this.options.clock.monotonicMs());
        this.outbox.pump();
        break;
      case 'part':
        this.takePart(frame);
        break;
      case 'use':
        this.options.onUse?.();
    }
  }

  private async beat(): Promise<void> {
    const { clock } = this.options;
    const { signal } = this.ended;
    let pingedAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const before = clock.monotonicMs();
      if (before - pingedAt >= LIMITS.heartbeatIntervalMs) {
        this.ping();
        pingedAt = before;
      }
      await clock.sleep(WATCH_INTERVAL_MS, signal).catch(() => {});
      this.listen();
      const now = clock.monotonicMs();
      // Whoever overslept (a suspended machine, a busy thread) has not read what the peer sent meanwhile.
      if (now - before > 2 * WATCH_INTERVAL_MS) continue;
      if (now - this.heardAtMs >= LIMITS.heartbeatTimeoutMs) this.end('the peer is silent');
      if (now - this.wholeFrameAtMs >= LIMITS.frameTimeoutMs) this.end('a frame took too long');
    }
  }

  /** Behind everything that was sent before, so that its answer says that all of that has come. */
  private ping(): void {
    const id = this.nextPing++;
    this.line.probed(id, this.options.clock.monotonicMs(), this.outbox.full);
    this.sendFrame({ kind: 'ping', id }, 'control');
  }

  private takePart(part: Extract<Frame, { kind: 'part' }>): void {
    const whole = this.parts.add(part);
    if (whole === undefined) return;
    const frame = decodeFrame(whole);
    if (frame.kind === 'part') throw new WormholeError('protocol', 'a part of a frame is cut into parts');
    this.take(frame);
  }

  /** Part of a large frame on a slow network is a sign of life too. */
  private listen(): void {
    const bytes = this.options.transport.bytesRead;
    if (bytes === this.bytesSeen) return;
    this.bytesSeen = bytes;
    this.heardAtMs = this.options.clock.monotonicMs();
  }

  /** Once; nothing waits on a link that has ended. */
  private end(reason: string): void {
    if (!this.open) return;
    const error = new WormholeError('closed', `the link to the peer ended: ${reason}`);
    this.ended.abort(error);
    this.outbox.close();
    this.asked.close(error);
    this.served.close(error);
    closeSocket(this.options.socket, reason);
    this.options.onClosed(reason);
  }
}

const WATCH_INTERVAL_MS = 1_000;

/** A question for bulk data is small itself and must not wait behind our own bulk data. */
const SMALL_QUESTION_BYTES = 16 * 1024;

function isSmallQuestion(frame: Frame, bytes: Uint8Array): boolean {
  return frame.kind === 'request' && bytes.length <= SMALL_QUESTION_BYTES;
}

function closeSocket(socket: WebSocket, reason: string): void {
  if (socket.readyState === socket.OPEN) socket.close(1000, Buffer.from(reason).subarray(0, 120).toString());
  // What the socket still holds may be megabytes that nobody reads: the farewell gets a moment, not more.
  setTimeout(() => socket.terminate(), 500).unref();
}
