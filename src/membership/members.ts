import { type PodId, type Sha256, shortId } from '../base/index.js';
import type { Role } from '../config/index.js';
import type { Fact, Statement } from './fact.js';

/** A pod that belongs. */
export interface Member {
  id: PodId;
  /** Unique among the members. */
  name: string;
  role: Role;
  addedBy: PodId;
  /** The signer's wall clock in milliseconds; decides nothing. */
  addedAt: number;
}

/** A configuration that a member declared. */
export interface Declaration {
  text: string;
  number: number;
  by: PodId;
  /** The signer's wall clock in milliseconds, to be shown; decides nothing. */
  at: number;
}

/** Who belongs and who no longer does, as the facts prove it. */
export interface Roll {
  members: ReadonlyMap<PodId, Member>;
  removed: ReadonlySet<PodId>;
  /** The number that the next declaration takes: those above it do not count. */
  nextNumber: number;
  /** The declared configuration, if a member declared one. */
  config: Declaration | undefined;
  /** All that were declared, in the order in which they came to hold. */
  declarations: readonly Declaration[];
}

type FactOf<Kind extends Statement['kind']> = Fact & { statement: Extract<Statement, { kind: Kind }> };

/**
 * Who belongs: those whom a chain of signatures leads to from the founder, but for those removed. Pure, and
 * independent of the order of the facts.
 *
 * A removal voids what the removed pod signed and its remover had not seen, so that it lets nobody in behind
 * the others' backs; whom it let in before stays. Where pods remove one another at the same time, the one
 * nearer to the founder prevails.
 */
export function callTheRoll(facts: Iterable<Fact>, founder: PodId): Roll {
  const all = [...facts].sort((a, b) => (a.hash < b.hash ? -1 : 1));
  const adds = all.filter((fact): fact is FactOf<'add'> => fact.statement.kind === 'add');
  const removals = all.filter((fact): fact is FactOf<'remove'> => fact.statement.kind === 'remove');
  const voided = new Set<Sha256>();
  const removed = new Set<PodId>();

  const seniority = reach(adds, founder, voided);
  const rank = (fact: Fact) => seniority.get(fact.by)?.depth ?? Number.POSITIVE_INFINITY;
  const accepted = new Set<Sha256>();
  for (const removal of removals.sort((a, b) => rank(a) - rank(b))) {
    // Earlier removals may have cut the chain that leads to this signer.
    if (voided.has(removal.hash) || !reach(adds, founder, voided).has(removal.by)) continue;
    accepted.add(removal.hash);
    removed.add(removal.statement.pod);
    const saw = new Set(removal.statement.saw);
    for (const fact of all) {
      const unseen = fact.by === removal.statement.pod && !saw.has(fact.hash);
      if (unseen && !accepted.has(fact.hash)) voided.add(fact.hash);
    }
  }

  const reached = reach(adds, founder, voided);
  const standing = [...reached].filter(([pod]) => !removed.has(pod));
  const configs = all.filter((fact): fact is FactOf<'config'> => fact.statement.kind === 'config');
  const nextNumber = firstMissing(configs);
  const counted = configs.filter((fact) => reached.has(fact.by) && !voided.has(fact.hash));
  const declarations = declared(counted, nextNumber);
  return { members: named(standing), removed, nextNumber, config: declarations.at(-1), declarations };
}

/** Every pod that a chain of valid signatures reaches, with the fact that let it in and the chain's length. */
function reach(
  adds: readonly FactOf<'add'>[],
  founder: PodId,
  voided: ReadonlySet<Sha256>,
): Map<PodId, { depth: number; fact: FactOf<'add'> | undefined }> {
  const bySigner = new Map<PodId, FactOf<'add'>[]>();
  for (const fact of adds) {
    if (voided.has(fact.hash)) continue;
    const list = bySigner.get(fact.by);
    if (list === undefined) bySigner.set(fact.by, [fact]);
    else list.push(fact);
  }
  const reached = new Map<PodId, { depth: number; fact: FactOf<'add'> | undefined }>();
  const own = bySigner.get(founder)?.find((fact) => fact.statement.pod === founder);
  reached.set(founder, { depth: 0, fact: own });
  // Breadth first, and the facts are in order of their hash: the same answer everywhere.
  for (const [pod, { depth }] of reached) {
    for (const fact of bySigner.get(pod) ?? []) {
      if (!reached.has(fact.statement.pod)) reached.set(fact.statement.pod, { depth: depth + 1, fact });
    }
  }
  return reached;
}

/** Two pods may have been let in under one name at the same time: all but the first get their id behind it. */
function named(reached: [PodId, { fact: FactOf<'add'> | undefined }][]): ReadonlyMap<PodId, Member> {
  const taken = new Set<string>();
  const members = new Map<PodId, Member>();
  for (const [id, { fact }] of reached.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const wanted = fact?.statement.name ?? shortId(id);
    const name = taken.has(wanted) ? `${wanted}-${shortId(id)}` : wanted;
    taken.add(name);
    const { role } = fact?.statement ?? { role: 'storage' as const };
    members.set(id, { id, name, role, addedBy: fact?.by ?? id, addedAt: fact?.at ?? 0 });
  }
  return members;
}

/**
 * The first number that no declaration has. Whoever declares takes it, so the numbers follow one another from 1 on; one
 * above it came out of the blue, as the highest there is would, after which there were no next one.
 */
function firstMissing(configs: readonly FactOf<'config'>[]): number {
  const numbers = new Set(configs.map(({ statement }) => statement.number));
  let number = 1;
  while (numbers.has(number)) number++;
  return number;
}

/** The declarations below a number, the one in force last. */
function declared(facts: readonly FactOf<'config'>[], below: number): Declaration[] {
  return (
    facts
      .map(({ statement, by, at }) => ({ text: statement.text, number: statement.number, by, at }))
      .filter(({ number }) => number >= 1 && number < below)
      // The facts come in order of their hash, and sorting keeps that: among equal numbers the last one wins.
      .sort((a, b) => a.number - b.number)
  );
}
