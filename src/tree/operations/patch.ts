import type { PodId } from '../../base/index.js';
import { makeActor } from '../engine/actor.js';
import { derivedInode } from '../engine/allocator.js';
import { contentKey, NO_REGISTERS } from '../resolver/registers.js';
import { type Change, conflictInode, type Tables } from '../resolver/tables.js';
import { shownShadow } from '../resolver/view.js';
import type { Data, InodeId, Operation, OpId, Registers, RegisterWrite, Versioned } from '../schema.js';

/** Operation ids of the document's own writes are far below. */
const PROVISIONAL = 2 ** 50;
/** Writes of one operation have numbers of their own, so that they sort in their order. */
const WRITES_MAX = 2 ** 12;
/** In an actor id: five bytes of the pod, then five random ones. No start draws these. */
const POD_DIGITS = 10;
const NO_START = 'ffffffffff';

/** The actor of provisional ids: conflict names show the pod as they will when the document has the operation. */
export function provisionalActor(pod: PodId, podName: string): string {
  return makeActor(pod, podName, { bytes: (length) => new Uint8Array(length).fill(0xff) });
}

/**
 * The id that a register has here until the document's own is echoed: above every real one, in the order of the
 * operations. `place` tells apart the writes of one operation.
 */
export function provisionalId(actor: string, seq: number, place: number): OpId {
  return `${PROVISIONAL + seq * WRITES_MAX + Math.min(place, WRITES_MAX - 1)}@${actor}`;
}

export function isProvisional(id: OpId): boolean {
  return id.startsWith(NO_START, id.indexOf('@') + 1 + POD_DIGITS);
}

/** Whether a version is one of this pod's, whatever start wrote it; `actor` is any of the pod's. */
export function isOfPod(actor: string, id: OpId): boolean {
  return id.startsWith(actor.slice(0, POD_DIGITS), id.indexOf('@') + 1);
}

/** The operation whose write has a provisional id. */
export function operationOf(id: OpId): number {
  return Math.floor((Number(id.slice(0, id.indexOf('@'))) - PROVISIONAL) / WRITES_MAX);
}

/**
 * What an operation makes of the registers as far as they are known here: what the engine will do to the
 * document, with provisional ids.
 * @param actor see {@link provisionalActor}
 * @param own says of an operation id whether it is of this pod and was pending when the operation was made
 * @returns `isWhole`: false when the document will do more than that (a value that is not shown beside another here
 *   becomes an inode there)
 */
export function patch(
  operation: Operation,
  tables: Tables,
  actor: string,
  own: (id: OpId) => boolean,
): { changes: Change[]; isWhole: boolean } {
  const changes: Change[] = [];
  let isWhole = true;
  for (const [place, write] of operation.writes.entries()) {
    const id = provisionalId(actor, operation.seq, place);
    const before = tables.row(write.inode)?.registers ?? NO_REGISTERS;
    const kept = keptValues(before, write, own);
    const registers = patchRegisters(before, write, id, own);
    if (settles(write)) registers.d = registers.d.filter((value) => !kept.includes(value)).slice(-1);
    changes.push({ inode: write.inode, registers });
    for (const value of kept) {
      if (tables.row(derivedInode(value.id)) !== undefined) continue;
      const made = madeReal(tables, write.inode, before, value, id);
      if (made === undefined) isWhole = false;
      else changes.push(made);
    }
  }
  return { changes, isWhole };
}

function patchRegisters(
  before: Registers,
  { l, d, a, x }: RegisterWrite,
  id: OpId,
  own: (id: OpId) => boolean,
): Registers {
  const after = { ...before };
  if (l !== undefined) after.l = [{ id, value: l }];
  if (a !== undefined) after.a = [{ id, value: a }];
  if (d !== undefined) after.d = [{ id: idAfter(before.d, d) ?? id, value: d }];
  if (x !== undefined) {
    const mine = [...before.l, ...before.d].map((value) => value.id).filter(own);
    after.x = [...before.x, { id, value: { saw: [...new Set([...x.saw, ...mine])] } }];
  }
  return after;
}

/** Putting the very value that is there settles a conflict without a new id (Automerge does it so). */
function idAfter(
  before: readonly Versioned<Data>[],
  { kind, size, mtime, content, mode }: Data,
): OpId | undefined {
  const winner = before.at(-1);
  if (winner === undefined) return undefined;
  const { value } = winner;
  const isSame = value.kind === kind && value.size === size && value.mtime === mtime;
  return isSame && value.content === content && value.mode === mode ? winner.id : undefined;
}

/** A move of a file that has losing values beside it. */
function settles({ l, d, x, replaces }: RegisterWrite): boolean {
  return l !== undefined && d === undefined && x === undefined && replaces !== undefined;
}

/** Values of `d` that a write or a removal does not mean: they were shown beside, under names of their own. */
function keptValues(
  { d: before }: Registers,
  write: RegisterWrite,
  own: (id: OpId) => boolean,
): Versioned<Data>[] {
  const { d, x, replaces } = write;
  if (d === undefined && x === undefined && !settles(write)) return [];
  const given = new Set(replaces ?? x?.saw ?? []);
  const givenUp = new Set(before.filter(({ id }) => given.has(id)).map(({ value }) => contentKey(value)));
  if (d !== undefined) givenUp.add(contentKey(d));
  const open = before.filter(({ id, value }) => {
    return (
      !own(id) && !given.has(id) && !givenUp.has(contentKey(value)) && (x === undefined || x.saw.includes(id))
    );
  });
  // Of values with equal bytes only the last.
  return [...new Map(open.map((value) => [contentKey(value.value), value])).values()];
}

/** Such a value becomes an inode of its own, where it is shown; its id is the same on every pod. Undefined where it is not
 *  shown beside another: it came while the file was open, and was the only one. */
function madeReal(
  tables: Tables,
  inode: InodeId,
  { a }: Registers,
  { id: version, value }: Versioned<Data>,
  id: OpId,
): Change | undefined {
  const at = shownShadow(tables, conflictInode(inode, version));
  if (at === undefined) return undefined;
  const l = [{ id, value: { parent: at.parent, name: at.name } }];
  return { inode: derivedInode(version), registers: { l, d: [{ id, value }], a: a.slice(-1), x: [] } };
}
