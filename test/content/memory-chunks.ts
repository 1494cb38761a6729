import type { Chunks } from '../../src/content/chunks/chunks.js';

/** Chunks in a map: what the contract says and nothing more. */
export class MemoryChunks implements Chunks {
  readonly chunks = new Map<string, Uint8Array>();
  readonly aside = new Map<string, Uint8Array>();

  has(id: string): boolean {
    return this.chunks.has(id);
  }

  get(id: string): Uint8Array | undefined {
    return this.chunks.get(id);
  }

  stored(id: string): Uint8Array | undefined {
    return this.chunks.get(id);
  }

  getNow(id: string): Uint8Array | undefined {
    return this.chunks.get(id);
  }

  put(id: string, bytes: Uint8Array): void {
    this.chunks.set(id, bytes);
  }

  remove(id: string): void {
    this.chunks.delete(id);
  }

  setAside(id: string): void {
    const bytes = this.chunks.get(id);
    if (bytes !== undefined) this.aside.set(id, bytes);
    this.chunks.delete(id);
  }

  length(id: string): number | undefined {
    return this.chunks.get(id)?.length;
  }

  async *ids(): AsyncIterable<string> {
    yield* [...this.chunks.keys()];
  }

  async flush(): Promise<void> {}
}
