import type { Numbers } from './numbers.js';
import type { SimulatedPod } from './pod.js';

/** What users were told is written, and what they took away: what must, may and must not be there in the end. */
export class Record {
  private written = new Map<string, SimulatedPod>();
  private readonly everWritten = new Set<string>();
  private readonly gone = new Set<string>();
  /** Who meddled with it. */
  private readonly touched = new Map<string, Set<SimulatedPod>>();
  /** Deleted, and all who knew of it agreed: it must not come back by itself. */
  private readonly buried = new Set<string>();
  private serial = 0;

  /** For a new file: bytes of its own, now and then some that others have as well. */
  content(numbers: Numbers): string {
    return numbers.once(6) ? `common${numbers.below(3)}` : `own${this.serial++}`;
  }

  wrote(content: string, pod: SimulatedPod): void {
    this.written.set(content, pod);
    this.everWritten.add(content);
    this.touch(content, pod);
  }

  /** A user deleted or replaced it, unless what it was replaced by is the same. */
  removed(content: string, by?: string): void {
    if (content !== by) this.gone.add(content);
  }

  touch(content: string, pod: SimulatedPod): void {
    const pods = this.touched.get(content);
    if (pods === undefined) this.touched.set(content, new Set([pod]));
    else pods.add(pod);
    this.buried.delete(content);
  }

  /** A pod is about to be put back to how it is now. @returns to be called when it was */
  beforeBackup(pod: SimulatedPod): () => void {
    const before = new Set(this.everWritten);
    return () => {
      // What it wrote since then, and told nobody, is lost as the backup's owner must expect.
      for (const [content, by] of this.written) {
        if (by === pod && !before.has(content)) this.written.delete(content);
      }
    };
  }

  /** These pods agree that these contents, and no others, are visible. */
  agreed(pods: readonly SimulatedPod[], visible: ReadonlySet<string>): void {
    for (const content of this.everWritten) {
      const by = this.touched.get(content);
      if (!visible.has(content) && [...(by ?? [])].every((pod) => pods.includes(pod)))
        this.buried.add(content);
    }
  }

  /** @returns what is wrong with a tree in which these contents are visible */
  problems(visible: ReadonlySet<string>): string[] {
    const problems: string[] = [];
    for (const content of this.written.keys()) {
      if (!visible.has(content) && !this.gone.has(content))
        problems.push(`${content} was acknowledged, nobody removed it, and it is gone`);
    }
    for (const content of visible) {
      if (content !== '' && !this.everWritten.has(content))
        problems.push(`${content} is there, and nobody wrote it`);
      if (this.buried.has(content)) problems.push(`${content} was deleted, all agreed, and it is back`);
    }
    return problems;
  }
}
