/** Lets tasks run while the bytes they need stay within a limit; the others wait in order. */
export class ByteBudget {
  private free: number;
  private readonly bytesMax: number;
  private readonly waiting: { bytes: number; start: () => void }[] = [];

  constructor(bytesMax: number) {
    this.free = bytesMax;
    this.bytesMax = bytesMax;
  }

  /** Runs the task when there is room. One that needs more than there can be takes all of it. */
  async use<T>(bytes: number, task: () => Promise<T>): Promise<T> {
    const needed = Math.min(bytes, this.bytesMax);
    if (this.waiting.length > 0 || needed > this.free) {
      await new Promise<void>((start) => this.waiting.push({ bytes: needed, start }));
    } else this.free -= needed;
    try {
      return await task();
    } finally {
      this.free += needed;
      this.wake();
    }
  }

  private wake(): void {
    for (let next = this.waiting[0]; next !== undefined && next.bytes <= this.free; next = this.waiting[0]) {
      this.free -= next.bytes;
      this.waiting.shift();
      next.start();
    }
  }
}
