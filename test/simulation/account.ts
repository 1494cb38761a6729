/** So long after a close a power cut may still take what was closed (contract D2). */
const CLOSED_DURABLE_MS = 5_000;

/** A content up to this size is one chunk, which has the name of its bytes. */
const SMALL_BYTES = 64 * 1024;

interface Written {
  bytes: number;
  pod: string;
  atMs: number;
  /** fsync has returned. */
  synced: boolean;
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

  /** Somebody begins to write it: from now on it may be seen. */
  begun(token: string): void {
    this.possible.add(token);
  }

  /** close() returned. */
  wrote(token: string, bytes: number, pod: string, atMs: number): void {
    this.possible.add(token);
    this.acknowledged++;
    this.written.set(token, { bytes, pod, atMs, synced: false });
  }

  /** fsync() returned. */
  synced(token: string): void {
    const written = this.written.get(token);
    if (written !== undefined) written.synced = true;
  }

  /** Somebody is about to delete or to replace it. */
  removing(token: string, atMs: number, by?: string): void {
    if (token !== by && !this.gone.has(token)) this.gone.set(token, atMs);
  }

  /** A pod's power was cut: what it closed just before, and did not sync, may be gone. */
  powerCut(pod: string, atMs: number): void {
    for (const [token, written] of this.written)
      if (written.pod === pod && !written.synced && atMs - written.atMs <= CLOSED_DURABLE_MS)
        this.written.delete(token);
  }

  /** Whether its chunk is called as it is. */
  isSmall(token: string): boolean {
    return (this.written.get(token)?.bytes ?? 0) <= SMALL_BYTES;
  }

  /** Contents that must be there. */
  *needed(): Generator<string> {
    for (const token of this.written.keys()) if (!this.gone.has(token)) yield token;
  }

  /** What was acknowledged, and deleted or replaced no longer ago than this. */
  *history(sinceMs: number): Generator<string> {
    for (const [token, atMs] of this.gone) if (atMs > sinceMs && this.written.has(token)) yield token;
  }

  /** @returns what is wrong with a tree in which these contents are seen */
  problems(seen: ReadonlySet<string>): string[] {
    const problems: string[] = [];
    for (const token of this.needed())
      if (!seen.has(token))
        problems.push(
          `${token} was acknowledged on ${this.written.get(token)?.pod}, nobody removed it, and it is gone`,
        );
    for (const token of seen)
      if (!this.possible.has(token)) problems.push(`${token} is there, and nobody wrote it`);
    return problems;
  }
}
