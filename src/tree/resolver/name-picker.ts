import type { InodeId, OpId } from '../schema.js';
import { conflictNames, looksLikeConflict } from './conflict-names.js';
import type { Workspace } from './workspace.js';

/** Gives the plain name once, then conflict names that no real entry of the folder has. */
export class NamePicker {
  private readonly space: Workspace;
  private readonly folder: InodeId;
  private readonly name: string;
  private plainIsFree: boolean;
  private readonly given = new Set<string>();

  constructor(space: Workspace, folder: InodeId, name: string, plainIsFree: boolean) {
    this.space = space;
    this.folder = folder;
    this.name = name;
    this.plainIsFree = plainIsFree;
  }

  pick(claimant: InodeId, version: OpId): string {
    if (this.plainIsFree) {
      this.plainIsFree = false;
      return this.name;
    }
    const names = conflictNames(this.name, version);
    for (;;) {
      const name = names.next().value;
      if (this.given.has(name)) continue;
      if (this.isReal(name)) {
        this.space.tables.putMark(avoidedMark(this.folder, name), claimant);
        continue;
      }
      this.given.add(name);
      return name;
    }
  }

  private isReal(name: string): boolean {
    const { tables } = this.space;
    for (const folder of [this.folder, ...(this.space.row(this.folder)?.members ?? [])]) {
      for (const _ of tables.seated(folder, name)) return true;
    }
    return false;
  }
}

/** Who would be called so if there were no real entry of that name. */
function avoidedMark(folder: InodeId, name: string): string {
  return `avoided:${folder}/${name}`;
}

/** No real entry has the name any more: a conflict may have it. */
export function freeName(space: Workspace, folder: InodeId, name: string): void {
  if (!looksLikeConflict(name)) return;
  const mark = avoidedMark(folder, name);
  for (const inode of [...space.tables.marked(mark)]) {
    space.tables.removeMark(mark, inode);
    const row = space.row(inode);
    if (row?.alive && row.seat !== undefined) space.soil(row.seat);
  }
}
