import type { DiskEvent } from './disk-server.js';
import { seededRandom } from './random.js';

/** A disk keeps whole sectors of this size or nothing of them. Bytes. */
const SECTOR_BYTES = 4096;
/** The one that stands for all of nothing but zeros: a new image has them already. */
const ZEROS = new Uint8Array(SECTOR_BYTES);

/** What a disk holds after a power cut at any position of its record. Pure: bytes in, bytes out. */
export class PowerCut {
  readonly bytes: number;
  private readonly events: readonly DiskEvent[];
  private readonly sectors = new Map<number, Uint8Array>();
  /** Events before it are in `sectors`. */
  private applied = 0;

  constructor(bytes: number, events: readonly DiskEvent[]) {
    this.bytes = bytes;
    this.events = events;
  }

  /**
   * All that was flushed before `position`, and of what was written after the last flush any part, as `seed` says:
   * a disk writes from its cache in any order. Seed 0 keeps all of it, a negative one nothing.
   * @returns the sectors that are not zeros, by offset, and how many writes to sectors were lost
   */
  at(position: number, seed: number): { sectors: { offset: number; data: Uint8Array }[]; lost: number } {
    const flushed = this.events.lastIndexOf(undefined, position - 1) + 1;
    this.apply(flushed);
    const cached = new Map<number, Uint8Array>();
    const random = seededRandom(seed);
    let lost = 0;
    for (let index = flushed; index < position; index++) {
      this.write(
        this.events[index],
        (sector, data) => {
          if (seed === 0 || (seed > 0 && random() < 0.5)) cached.set(sector, data);
          else lost++;
        },
        (sector) => cached.get(sector) ?? this.sectors.get(sector),
      );
    }
    const sectors = [...new Map([...this.sectors, ...cached])]
      .filter(([, data]) => data !== ZEROS)
      .sort(([left], [right]) => left - right)
      .map(([sector, data]) => ({ offset: sector * SECTOR_BYTES, data }));
    return { sectors, lost };
  }

  private apply(until: number): void {
    if (until < this.applied) {
      this.sectors.clear();
      this.applied = 0;
    }
    for (; this.applied < until; this.applied++) {
      this.write(
        this.events[this.applied],
        (sector, data) => this.sectors.set(sector, data),
        (sector) => this.sectors.get(sector),
      );
    }
  }

  private write(
    event: DiskEvent,
    put: (sector: number, data: Uint8Array) => void,
    get: (sector: number) => Uint8Array | undefined,
  ): void {
    if (event === undefined) return;
    const { offset, data } = event;
    for (let at = 0; at < data.length; ) {
      const sector = Math.floor((offset + at) / SECTOR_BYTES);
      const from = (offset + at) % SECTOR_BYTES;
      const length = Math.min(SECTOR_BYTES - from, data.length - at);
      const part = data.subarray(at, at + length);
      const whole = length === SECTOR_BYTES ? part : Uint8Array.from(get(sector) ?? ZEROS);
      if (whole !== part) whole.set(part, from);
      put(sector, Buffer.compare(whole, ZEROS) === 0 ? ZEROS : whole);
      at += length;
    }
  }
}
