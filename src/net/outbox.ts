import { type Clock, LIMITS, type Pace } from '../base/index.js';
import { encodeFrame } from './frames.js';
import type { Line } from './line.js';
import type { Priority } from './link.js';

/** Where frames go: a WebSocket. */
export interface FrameSink {
  send(frame: Uint8Array, written: () => void): void;
  /** Bytes that were sent but that the operating system has not taken yet. */
  readonly bufferedBytes: number;
}

export interface OutboxOptions {
  sink: FrameSink;
  /** Of bulk frames. */
  pace: Pace;
  line: Line;
  clock: Pick<Clock, 'monotonicMs'>;
  /** Sends a ping; the line is told. */
  probe: () => void;
  /** Called when the peer takes so little that `linkBacklogBytesMax` waits. */
  overflow: () => void;
}

/**
 * What waits to be sent to one peer. Control frames go to the socket at once; bulk frames wait until the
 * socket holds less than `bulkWindowBytes`, so that no control frame ever waits behind more than that, until the line
 * has carried most of what was sent before, and until the pace of all links together allows it. On a slow line they
 * go in parts.
 */
export class Outbox {
  private readonly options: OutboxOptions;
  private bulk: Uint8Array[] = [];
  private bulkBytes = 0;
  /** Of the first bulk frame, what went in parts already. */
  private partedBytes = 0;
  private waiting: (() => void)[] = [];
  private closed = false;
  private timer: NodeJS.Timeout | undefined;
  sentBytes = 0;

  constructor(options: OutboxOptions) {
    this.options = options;
  }

  push(frame: Uint8Array, priority: Priority): void {
    if (this.closed) return;
    if (priority === 'control') {
      this.write(frame);
    } else {
      this.bulk.push(frame);
      this.bulkBytes += frame.length;
      this.pump();
    }
    const { sink, overflow } = this.options;
    if (this.bulkBytes + sink.bufferedBytes > LIMITS.linkBacklogBytesMax) overflow();
  }

  /** True while another bulk frame would only add to what waits. */
  get congested(): boolean {
    return this.bulkBytes > 0 || this.options.sink.bufferedBytes >= LIMITS.bulkWindowBytes;
  }

  /** True while bulk frames wait. */
  get full(): boolean {
    return this.bulkBytes > 0;
  }

  /** Resolves when not congested, or closed. */
  drained(): Promise<void> {
    if (this.closed || !this.congested) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Sends what may be sent by now: to be called when the line has told something new. */
  pump(): void {
    if (this.closed) return;
    const { sink, line, pace } = this.options;
    while (this.bulk.length > 0 && sink.bufferedBytes < LIMITS.bulkWindowBytes && line.room > 0) {
      const { waitMs } = pace;
      if (waitMs > 0) {
        this.pumpLater(waitMs);
        break;
      }
      const frame = this.nextBulk();
      pace.take(frame.length);
      this.write(frame);
      this.probeIfDue();
    }
    if (this.bulk.length > 0) this.probeIfDue();
    if (!this.congested) this.wake();
  }

  /** Forgets what waits. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.bulk = [];
    this.bulkBytes = 0;
    this.wake();
  }

  /** The first bulk frame, or its next part where it is long for this line. */
  private nextBulk(): Uint8Array {
    const [first = new Uint8Array(0)] = this.bulk;
    const from = this.partedBytes;
    const pieceBytes = Math.max(this.options.line.pieceBytes, first.length / LIMITS.framePartsMax);
    const to = Math.min(first.length, from + Math.ceil(pieceBytes));
    const last = to === first.length;
    if (last) this.bulk.shift();
    this.partedBytes = last ? 0 : to;
    this.bulkBytes -= to - from;
    return last && from === 0 ? first : encodeFrame({ kind: 'part', last, bytes: first.subarray(from, to) });
  }

  private probeIfDue(): void {
    if (this.options.line.wantsProbe) this.options.probe();
  }

  private write(frame: Uint8Array): void {
    const { sink, line, clock } = this.options;
    this.sentBytes += frame.length;
    line.sent(frame.length, clock.monotonicMs());
    sink.send(frame, () => this.pump());
  }

  private pumpLater(ms: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.pump();
    }, ms);
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
