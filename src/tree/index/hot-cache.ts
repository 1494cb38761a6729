/**
 * A bounded map in two generations: what was used since the last turn is in the young one; when that is full it
 * becomes the old one, and what nobody asked for in a whole generation is gone. An approximate LRU whose hit
 * costs one look-up and no bookkeeping.
 */
export class HotCache<Value> {
  private young = new Map<string, Value>();
  private old = new Map<string, Value>();
  private readonly entriesMax: number;

  /** @param entriesMax at most so many entries are held */
  constructor(entriesMax: number) {
    this.entriesMax = entriesMax;
  }

  get(key: string): Value | undefined {
    const value = this.young.get(key);
    if (value !== undefined) return value;
    const older = this.old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, value: Value): void {
    this.young.set(key, value);
    if (this.young.size < this.entriesMax / 2) return;
    this.old = this.young;
    this.young = new Map();
  }

  delete(key: string): void {
    this.young.delete(key);
    this.old.delete(key);
  }

  clear(): void {
    this.young.clear();
    this.old.clear();
  }

  get size(): number {
    return this.young.size + this.old.size;
  }
}
