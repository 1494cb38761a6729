import { derivedInode } from '../engine/allocator.js';
import type { Change, Row } from '../resolver/tables.js';
import type { InodeId, Operation, OpId, Registers, RegisterWrite, Versioned } from '../schema.js';

/** Operation ids of the document's own writes are far below. */
const PROVISIONAL = 2 ** 50;
const ACTOR = 'pending';
/** So that places sort as texts. */
const PLACE_DIGITS = 5;

/**
 * The id that a register has here until the document's own is echoed: above every real one, in the order of the
 * operations. `place` tells apart the writes of one operation.
 */
export function provisionalId(seq: number, place: number): OpId {
  const id = `${PROVISIONAL + seq}@${ACTOR}`;
  return place === 0 ? id : id + place.toString(36).padStart(PLACE_DIGITS, '0');
}

export function isProvisional(id: OpId): boolean {
  return id.includes(`@${ACTOR}`);
}

/** The operation whose write has a provisional id. */
export function operationOf(id: OpId): number {
  return Number(id.slice(0, id.indexOf('@'))) - PROVISIONAL;
}

/**
 * What an operation makes of the registers as far as they are known here: what the engine will do to the
 * document, with provisional ids.
 * @param own says of an operation id whether it is of this pod and was pending when the operation was made
 */
export function patch(
  operation: Operation,
  rowOf: (inode: InodeId) => Row | undefined,
  own: (id: OpId) => boolean,
): Change[] {
  const changes: Change[] = [];
  for (const [place, write] of operation.writes.entries()) {
    const row = rowOf(write.inode);
    const id = provisionalId(operation.seq, place);
    const before = row?.registers ?? { l: [], d: [], a: [], x: [] };
    changes.push({ inode: write.inode, registers: patchRegisters(before, write, id, own) });
    if (write.x !== undefined && row !== undefined) changes.push(...madeReal(row, write, id, own));
  }
  return changes;
}

function patchRegisters(
  before: Registers,
  write: RegisterWrite,
  id: OpId,
  own: (id: OpId) => boolean,
): Registers {
  const after = { ...before };
  const { l, d, a, x, replaces = [] } = write;
  if (l !== undefined) after.l = [{ id, value: l }];
  if (a !== undefined) after.a = [{ id, value: a }];
  if (d !== undefined) {
    const unseen = (value: Versioned<Registers['d'][number]['value']>) =>
      !own(value.id) && !replaces.includes(value.id) && value.value.content !== d.content;
    after.d = [...before.d.filter(unseen), { id, value: d }];
  }
  if (x !== undefined) {
    const mine = [...before.l, ...before.d].map((value) => value.id).filter(own);
    after.x = [...before.x, { id, value: { saw: [...new Set([...x.saw, ...mine])] } }];
  }
  return after;
}

/** Losing values shown beside a file that is removed become inodes of their own, where they are shown. */
function madeReal(row: Row, write: RegisterWrite, id: OpId, own: (id: OpId) => boolean): Change[] {
  const { x, replaces } = write;
  if (x === undefined || replaces === undefined) return [];
  const made: Change[] = [];
  for (const value of row.registers.d) {
    if (own(value.id) || replaces.includes(value.id) || !x.saw.includes(value.id)) continue;
    const shadow = row.shadows.find((other) => other.inode.endsWith(`~${value.id}`));
    if (shadow === undefined) continue;
    const at = { parent: shadow.parent, name: shadow.name };
    const registers: Registers = {
      l: [{ id, value: at }],
      d: [{ id, value: value.value }],
      a: row.registers.a,
      x: [],
    };
    made.push({ inode: derivedInode(value.id), registers });
  }
  return made;
}
