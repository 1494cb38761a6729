import type { InodeId, Node } from '../../../src/tree/index.js';
import { parseConflictInode } from '../../../src/tree/resolver/tables.js';
import type { Numbers } from './numbers.js';
import type { SimulatedPod } from './pod.js';

/** What users were told is written, and what they took away: what must, may and must not be there in the end. */
export class Record {
  private written = new Map<string, SimulatedPod>();
  private readonly everWritten = new Set<string>();
  private readonly gone = new Set<string>();
  /** Files with all that was ever in them, and who meddled with them: whoever moves a file that he knows with other
   *  bytes keeps what it has elsewhere by now. */
  private readonly files = new Map<InodeId, { contents: Set<string>; by: Set<SimulatedPod> }>();
  /** Deleted, and all who knew of it agreed: it must not come back by itself. */
  private readonly buried = new Set<string>();
  private serial = 0;

  /** For a new file: bytes of its own, now and then some that others have as well. */
  content(numbers: Numbers): string {
    return numbers.once(6) ? `common${numbers.below(3)}` : `own${this.serial++}`;
  }

  wrote(file: InodeId, content: string, pod: SimulatedPod): void {
    this.written.set(content, pod);
    this.everWritten.add(content);
    this.touch({ id: file, content }, pod);
  }

  /** A user deleted or replaced it, unless what it was replaced by is the same. */
  removed(content: string, by?: string): void {
    if (content !== by) this.gone.add(content);
  }

  touch({ id, content }: Pick<Node, 'id' | 'content'>, pod: SimulatedPod): void {
    const inode = parseConflictInode(id)?.inode ?? id;
    const file = this.files.get(inode) ?? { contents: new Set(), by: new Set() };
    this.files.set(inode, file);
    file.contents.add(content);
    this.meddle(inode, pod);
  }

  /** A pod is about to be put back to how it is now.
   *  @returns to be called when it was, with the files of what it then did again, since that waited in the backup */
  beforeBackup(pod: SimulatedPod): (again: readonly InodeId[]) => void {
    const before = new Set(this.everWritten);
    return (again) => {
      // What it wrote since then, and told nobody, is lost as the backup's owner must expect.
      for (const [content, by] of this.written) {
        if (by === pod && !before.has(content)) this.written.delete(content);
      }
      // Whatever was done to them meanwhile did not see this: nobody can tell that it is not new.
      for (const inode of again) this.meddle(inode, pod);
    };
  }

  private meddle(inode: InodeId, pod: SimulatedPod): void {
    const file = this.files.get(inode);
    file?.by.add(pod);
    for (const content of file?.contents ?? []) this.buried.delete(content);
  }

  /** These pods agree that these contents, and no others, are visible. */
  agreed(pods: readonly SimulatedPod[], visible: ReadonlySet<string>): void {
    const open = new Set<string>();
    for (const { contents, by } of this.files.values()) {
      if ([...by].every((pod) => pods.includes(pod))) continue;
      for (const content of contents) open.add(content);
    }
    for (const content of this.everWritten)
      if (!visible.has(content) && !open.has(content)) this.buried.add(content);
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
