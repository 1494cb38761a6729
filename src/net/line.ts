import { LIMITS } from '../base/index.js';

/** A question that the peer answers at once, sent behind what went before it. */
interface Probe {
  sentAtMs: number;
  /** Of all that was sent, what lay before it. */
  sentBytes: number;
  /** More than could be sent was waiting. */
  full: boolean;
}

/** The share of a new measurement in the smoothed ones. */
const SMOOTHING = 1 / 2;
const BASE_SMOOTHING = 1 / 4;
const PROBES_MAX = 8;
/** A line that was fast may have become slow: it is asked after so much, however wide its window is. */
const UNPROBED_BYTES_MAX = 512 * 1024;

/**
 * How much may be on its way to one peer at a time, so that whatever is sent next gets there soon: what the line
 * carries in its round trip and `lineQueueMs`. Its rate is told by probes, since what the operating system takes
 * may lie in its buffers, and in those of routers, for seconds. Pure; times are given to it.
 */
export class Line {
  /** Bytes of all kinds that were sent, and that the peer has for certain. */
  private sentBytes = 0;
  private confirmedBytes = 0;
  /** What the rate was last measured by, and when. */
  private ratedBytes = 0;
  private ratedAtMs = Number.NEGATIVE_INFINITY;
  private idleUntilMs = Number.NEGATIVE_INFINITY;
  private probedBytes = 0;
  private readonly probes = new Map<number, Probe>();
  /** The shortest round trip, as far as it was ever seen without a queue. */
  private baseMs = Number.POSITIVE_INFINITY;
  private bytesPerMs = 0;
  private windowBytes: number = LIMITS.lineWindowBytesStart;
  /** Smoothed as TCP does (RFC 6298). */
  roundTripMs: number | undefined;

  /** Bytes that may be sent now; negative when too much is on its way. */
  get room(): number {
    return this.windowBytes - (this.sentBytes - this.confirmedBytes);
  }

  /** What is longer is to be cut: it would hold up what comes after it. */
  get pieceBytes(): number {
    return this.windowBytes / 4;
  }

  sent(bytes: number, nowMs: number): void {
    if (this.sentBytes === this.confirmedBytes) {
      this.idleUntilMs = nowMs;
      this.ratedBytes = this.sentBytes;
    }
    this.sentBytes += bytes;
  }

  /** True when it is time to ask how far the peer has got. */
  get wantsProbe(): boolean {
    const unprobedMax = Math.min(this.pieceBytes, UNPROBED_BYTES_MAX);
    if (this.sentBytes - this.probedBytes >= unprobedMax) return this.probes.size < 2;
    return this.room <= 0 && this.probes.size === 0;
  }

  /** @param full whether more waits than may be sent */
  probed(id: number, nowMs: number, full: boolean): void {
    this.probes.set(id, { sentAtMs: nowMs, sentBytes: this.sentBytes, full });
    this.probedBytes = this.sentBytes;
    const [oldest] = this.probes.keys();
    if (this.probes.size > PROBES_MAX && oldest !== undefined) this.probes.delete(oldest);
  }

  answered(id: number, nowMs: number): void {
    const probe = this.probes.get(id);
    if (probe === undefined) return;
    for (const earlier of this.probes.keys()) if (earlier <= id) this.probes.delete(earlier);
    const tookMs = nowMs - probe.sentAtMs;
    this.roundTripMs =
      this.roundTripMs === undefined ? tookMs : this.roundTripMs + (tookMs - this.roundTripMs) / 8;
    this.baseMs = Math.min(this.baseMs, tookMs);
    this.confirmedBytes = Math.max(this.confirmedBytes, probe.sentBytes);
    const bytes = probe.sentBytes - this.ratedBytes;
    const busyMs = nowMs - Math.max(this.ratedAtMs, this.idleUntilMs);
    // Answers that come together show nothing of the line between them: counted with the next one.
    if (bytes <= 0 || busyMs < tookMs / 16) return;
    this.ratedBytes = probe.sentBytes;
    this.ratedAtMs = nowMs;
    // Who waited so long stood in a queue, whether or not more was waiting here: what is there fits into the buffers of the
    // operating system when a line that was fast has become slow.
    const late = tookMs > this.baseMs + LIMITS.lineQueueMs;
    this.measured(bytes / Math.max(busyMs, 1), { full: probe.full || late, late }, tookMs);
  }

  private measured(
    bytesPerMs: number,
    { full, late }: { full: boolean; late: boolean },
    tookMs: number,
  ): void {
    // What stood in a queue shows what the line carries, and no more.
    if (late && bytesPerMs < this.bytesPerMs) this.bytesPerMs = bytesPerMs;
    // A line that was not full carries this much at least.
    else if (!full || this.bytesPerMs === 0) this.bytesPerMs = Math.max(this.bytesPerMs, bytesPerMs);
    else this.bytesPerMs += (bytesPerMs - this.bytesPerMs) * SMOOTHING;
    const window = this.bytesPerMs * (this.baseMs + LIMITS.lineQueueMs);
    this.windowBytes = Math.min(LIMITS.lineWindowBytesMax, Math.max(LIMITS.lineWindowBytesMin, window));
    // So little makes no queue: the round trip itself has become longer.
    if (window < LIMITS.lineWindowBytesMin) this.baseMs += (tookMs - this.baseMs) * BASE_SMOOTHING;
  }
}
