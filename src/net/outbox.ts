import { LIMITS, type Pace } from '../base/index.js';
import type { Priority } from './link.js';

/** Where frames go: a WebSocket. */
export interface FrameSink {
  send(frame: Uint8Array, written: () => void): void;
  /** Bytes that were sent but that the operating system has not taken yet. */
  readonly bufferedBytes: number;
}

/**
 * What waits to be sent to one peer. Control frames go to the socket at once; bulk frames wait until the
 * socket holds less than `bulkWindowBytes`, so that no control frame ever waits behind more than that, and until
 * the pace of all links together allows it.
 */
export class Outbox {
  private readonly sink: FrameSink;
  private readonly overflow: () => void;
  private bulk: Uint8Array[] = [];
  private bulkBytes = 0;
  private waiting: (() => void)[] = [];
  private closed = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly pace: Pace;
  sentBytes = 0;

  /**
   * @param pace of bulk frames
   * @param overflow called when the peer takes so little that `linkBacklogBytesMax` waits
   */
  constructor(sink: FrameSink, pace: Pace, overflow: () => void) {
    this.sink = sink;
    this.pace = pace;
    this.overflow = overflow;
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
    if (this.bulkBytes + this.sink.bufferedBytes > LIMITS.linkBacklogBytesMax) this.overflow();
  }

  /** True while another bulk frame would only add to what waits. */
  get congested(): boolean {
    return this.bulkBytes > 0 || this.sink.bufferedBytes >= LIMITS.bulkWindowBytes;
  }

  /** Resolves when not congested, or closed. */
  drained(): Promise<void> {
    if (this.closed || !this.congested) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Forgets what waits. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.bulk = [];
    this.bulkBytes = 0;
    this.wake();
  }

  private write(frame: Uint8Array): void {
    this.sentBytes += frame.length;
    this.sink.send(frame, () => this.pump());
  }

  private pump(): void {
    if (this.closed) return;
    let taken = 0;
    while (taken < this.bulk.length && this.sink.bufferedBytes < LIMITS.bulkWindowBytes) {
      const { waitMs } = this.pace;
      if (waitMs > 0) {
        this.pumpLater(waitMs);
        break;
      }
      const frame = this.bulk[taken++];
      if (frame === undefined) break;
      this.bulkBytes -= frame.length;
      this.pace.take(frame.length);
      this.write(frame);
    }
    if (taken > 0) this.bulk.splice(0, taken);
    if (!this.congested) this.wake();
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
