import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestPod } from '../test/system/pods.js';

const READ_PAUSE_MS = 40;
/** What pods say about new files counts once nothing has changed for a quarter of a second. */
const WRITE_PAUSE_MS = 1_000;
const WRITE_BYTES = 1024;

/** Milliseconds of every operation since the last look. */
export interface Latencies {
  reads: number[];
  writes: number[];
}

/** Somebody who reads files and writes new ones on a pod while the network changes around him. */
export class Foreground {
  /** Operations that failed, and reads with wrong bytes. */
  errors: string[] = [];
  wrong = 0;
  bytesWritten = 0;
  private readonly pod: TestPod;
  private readonly sums: ReadonlyMap<string, string>;
  private readonly names: string[];
  private latencies: Latencies = { reads: [], writes: [] };
  private running = true;
  private readonly loops: Promise<void>[];

  /** @param sums SHA-256 of the files that are read, by their names in the tree */
  constructor(pod: TestPod, sums: ReadonlyMap<string, string>) {
    this.pod = pod;
    this.sums = sums;
    this.names = [...sums.keys()];
    this.loops = [
      this.loop(READ_PAUSE_MS, (i) => this.read(i)),
      this.loop(WRITE_PAUSE_MS, (i) => this.write(i)),
    ];
  }

  /** The operations since the last call. */
  take(): Latencies {
    const taken = this.latencies;
    this.latencies = { reads: [], writes: [] };
    return taken;
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.loops);
  }

  private async loop(pauseMs: number, act: (i: number) => Promise<void>): Promise<void> {
    for (let i = 0; this.running; i++) {
      await act(i).catch((error: Error) => this.errors.push(error.message));
      await sleep(pauseMs);
    }
  }

  private async read(i: number): Promise<void> {
    // A stride that comes to every file.
    const name = this.names[(i * 7919) % this.names.length] ?? '';
    const started = performance.now();
    const bytes = await readFile(this.pod.path(name));
    this.latencies.reads.push(performance.now() - started);
    if (sha256Of(bytes) !== this.sums.get(name)) this.wrong++;
  }

  private async write(i: number): Promise<void> {
    const bytes = randomBytes(WRITE_BYTES);
    const started = performance.now();
    await writeFile(this.pod.path(`written-${i}`), bytes);
    this.latencies.writes.push(performance.now() - started);
    this.bytesWritten += WRITE_BYTES;
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
