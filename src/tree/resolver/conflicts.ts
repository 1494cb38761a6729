import type { InodeId } from '../schema.js';
import type { Row, Tables } from './tables.js';
import { primaryOf } from './view.js';

/** Several things that want one name: who has it, and what the others are called meanwhile. */
export interface Conflict {
  /** The folder that shows them. */
  parent: InodeId;
  /** The name that they all want; one of them has it. */
  name: string;
  /** The others' names, in byte order. */
  copies: string[];
}

/** The conflict that an entry is part of, whether it has the name or not; undefined when it is in none. */
export function conflictAt(tables: Tables, parent: InodeId, name: string): Conflict | undefined {
  const folder = primaryOf(tables, parent);
  const dentry = tables.dentry(folder, name);
  const wanted = dentry === undefined ? undefined : tables.row(dentry.by ?? dentry.inode)?.seat?.name;
  return wanted === undefined ? undefined : conflictOver(tables, folder, wanted);
}

function conflictOver(tables: Tables, parent: InodeId, name: string): Conflict | undefined {
  const copies: string[] = [];
  for (const folder of [parent, ...(tables.row(parent)?.members ?? [])]) {
    for (const { inode } of [...tables.seated(folder, name)]) {
      const row = tables.row(inode);
      if (row !== undefined) copies.push(...copiesOf(row));
    }
  }
  copies.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return copies.length === 0 ? undefined : { parent, name, copies };
}

/** The conflict names that an inode's row makes visible. */
function copiesOf({ shown, seat, shadows }: Row): string[] {
  const names = shadows.map((shadow) => shadow.name);
  if (shown !== undefined && shown.name !== seat?.name) names.push(shown.name);
  return names;
}

/** The folder and the wanted name of the conflict that a row shows a copy of; undefined when it shows none. */
export function conflictOf(row: Row): { parent: InodeId; name: string } | undefined {
  const parent = row.shadows[0]?.parent ?? row.shown?.parent;
  if (parent === undefined || row.seat === undefined || copiesOf(row).length === 0) return undefined;
  return { parent, name: row.seat.name };
}
