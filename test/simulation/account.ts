import type { InodeId } from '../../src/tree/index.js';

/** So long after a close a power cut may still take what was closed (contract D2). */
const CLOSED_DURABLE_MS = 5_000;

/** A content up to this size is one chunk, which has the name of its bytes. */
const SMALL_BYTES = 64 * 1024;

/** A content that somebody was told is written. */
export interface Written {
  readonly token: string;
  readonly bytes: number;
  readonly pod: string;
  /** Where, on that pod. */
  readonly inode: InodeId;
  readonly atMs: number;
  /** fsync has returned. */
  synced: boolean;
  /** That pod was told that two have it. */
  held: boolean;
  /** It had been deleted, and others may not know yet that it is there again. */
  readonly again: boolean;
}

/**
 * What users were told: contents, by their hash. What must be there in the end, what may be there, and what nobody ever
 * wrote and so must not be.
 */
export class Account {
  private readonly written = new Map<string, Written>();
  private readonly possible = new Set<string>();
  private readonly gone = new Map<string, number>();
  acknowledged = 0;
  /** How often an fsync returned. */
  syncs = 0;

  /** Somebody begins to write it: from now on it may be seen. */
  begun(token: string): void {
    this.possible.add(token);
  }

  /** close() returned. */
  wrote(token: string, written: Omit<Written, 'token' | 'synced' | 'held' | 'again'>): void {
    this.possible.add(token);
    this.acknowledged++;
    const again = this.gone.has(token);
    this.written.set(token, { ...written, token, synced: false, held: false, again });
    // Who writes again what was deleted wants it to stay.
    this.gone.delete(token);
  }

  /** fsync() returned. */
  synced(token: string): void {
    const written = this.written.get(token);
    if (written === undefined) return;
    written.synced = true;
    this.syncs++;
  }

  /** Somebody is about to delete or to replace it. */
  removing(token: string, atMs: number, by?: string): void {
    if (token !== by && !this.gone.has(token)) this.gone.set(token, atMs);
  }

  /** What these pods closed just before the power was cut, or after their disk had begun to fail, and did not sync, may
   *  be gone. */
  powerCut(pod: string, atMs: number, failingMs = Number.POSITIVE_INFINITY): void {
    const fromMs = Math.min(atMs, failingMs) - CLOSED_DURABLE_MS;
    for (const [token, written] of this.written)
      if (written.pod === pod && !written.synced && !written.held && written.atMs >= fromMs)
        this.written.delete(token);
  }

  /** The pod's disk is gone: what it alone had been given is gone with it. */
  destroyed(pod: string): void {
    for (const [token, written] of this.written)
      if (written.pod === pod && !written.held) this.written.delete(token);
  }

  /** Whether anybody ever wrote it. */
  mayBe(token: string): boolean {
    return this.possible.has(token);
  }

  /** Whether its chunk is called as it is. */
  isSmall(token: string): boolean {
    return (this.written.get(token)?.bytes ?? 0) <= SMALL_BYTES;
  }

  /** Contents that must be there. */
  *needed(): Generator<Written> {
    for (const [token, written] of this.written) if (!this.gone.has(token)) yield written;
  }

  /** What was acknowledged, and deleted or replaced no longer ago than this. */
  *history(sinceMs: number): Generator<Written> {
    for (const [token, atMs] of this.gone) {
      const written = this.written.get(token);
      if (atMs > sinceMs && written !== undefined) yield written;
    }
  }

  /** @returns what is wrong with a tree in which these contents are seen */
  problems(seen: ReadonlySet<string>): string[] {
    const problems: string[] = [];
    for (const { token, pod } of this.needed())
      if (!seen.has(token))
        problems.push(`${token} was acknowledged on ${pod}, nobody removed it, and it is gone`);
    for (const token of seen)
      if (!this.possible.has(token)) problems.push(`${token} is there, and nobody wrote it`);
    return problems;
  }
}
