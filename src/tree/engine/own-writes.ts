import type { OpId } from '../schema.js';
import { actorOf, counterOf } from './document.js';

/** One committed group: which of this actor's counters are of operations up to `seq`. */
export interface OwnGroup {
  actor: string;
  firstCounter: number;
  lastCounter: number;
  seq: number;
}

/** Starts whose operations may still wait in the journal. */
const ACTORS_MAX = 16;

/**
 * Which versions this store wrote, and under which journal numbers as far as that may still matter: an
 * operation that was journaled while another was pending did not know the other's version, but did see it.
 */
export class OwnWrites {
  private readonly actors: string[];
  private groups: OwnGroup[];

  constructor(actors: readonly string[] = [], groups: readonly OwnGroup[] = []) {
    this.actors = [...actors];
    this.groups = [...groups];
  }

  add(group: OwnGroup): void {
    this.groups.push(group);
    if (this.actors.includes(group.actor)) return;
    this.actors.push(group.actor);
    if (this.actors.length > ACTORS_MAX) this.actors.shift();
  }

  /** The journal number of a version's group; 0 when it was echoed long ago, undefined for another pod's. */
  seqOf(version: OpId): number | undefined {
    const actor = actorOf(version);
    if (!this.actors.includes(actor)) return undefined;
    const counter = counterOf(version);
    const group = this.groups.find(
      ({ actor: by, firstCounter, lastCounter }) =>
        by === actor && firstCounter <= counter && counter <= lastCounter,
    );
    return group?.seq ?? 0;
  }

  /** What had been echoed when the next operations were made need not be told apart any more. */
  forget(seen: number): void {
    const keep = this.groups.findIndex(({ seq }) => seq > seen);
    this.groups = keep < 0 ? [] : keep === 0 ? this.groups : this.groups.slice(keep);
  }

  plain(): { actors: string[]; groups: OwnGroup[] } {
    return { actors: [...this.actors], groups: [...this.groups] };
  }
}
