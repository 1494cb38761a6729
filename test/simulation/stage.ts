import type { Numbers } from '../tree/simulation/numbers.js';
import type { Disk, File, Folder } from './disk.js';

/** A process of the simulation, or a thread of one: what it has under way ends with it. */
export class Actor {
  readonly name: string;
  readonly numbers: Numbers;
  /** Names the run of the kernel that it is part of. */
  bootId = '';
  /** Until then it sleeps, as on a laptop whose lid is shut. */
  private asleepUntilMs = 0;
  private offMs = 0;
  private readonly parent: Actor | undefined;
  private ended = false;

  constructor(name: string, numbers: Numbers, parent?: Actor) {
    this.name = name;
    this.numbers = numbers;
    this.parent = parent;
    if (parent === undefined) return;
    this.bootId = parent.bootId;
  }

  get isAlive(): boolean {
    return !this.ended && this.parent?.isAlive !== false;
  }

  /** What its wall clock is off by, in milliseconds. */
  get skewMs(): number {
    return this.parent?.skewMs ?? this.offMs;
  }

  setClock(offMs: number): void {
    this.offMs = offMs;
  }

  /** When it may have its turn next. */
  get wakesMs(): number {
    return this.parent?.wakesMs ?? this.asleepUntilMs;
  }

  /** Nothing of it happens until then, all that waits follows. */
  sleep(untilMs: number): void {
    this.asleepUntilMs = untilMs;
  }

  /** `kill -9`: nothing of it happens any more. */
  end(): void {
    this.ended = true;
  }
}

export interface Turn {
  atMs: number;
  readonly order: number;
  readonly actor: Actor;
  act: (() => void) | undefined;
}

/** An open file or folder. */
export interface Opened {
  disk: Disk;
  node: File | Folder;
  append: boolean;
  /** Where the next read or write without a position goes. */
  at: number;
}

/** The actor whose turn it is. Whatever reaches for clock, disk, chance or threads meanwhile gets the stage's. */
let acting: { stage: Stage; actor: Actor } | undefined;

export function onStage(): { stage: Stage; actor: Actor } | undefined {
  return acting;
}

const realImmediate = setImmediate;

/** Every promise that can be settled is, with all that follows. */
function settled(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve));
}

/**
 * Time, and who does something when: one turn after the other, each with all that follows from it before the next one
 * begins. Turns at the same time come in the order in which they were asked for. So a run follows from what was asked
 * for, and that from a seed.
 */
export class Stage {
  nowMs = 0;
  turns = 0;
  /** Follows from every turn that was taken, and from all that was noted. */
  fingerprint = 0x811c9dc5;
  /** By the name that follows `/simulated/` in a path. */
  readonly disks = new Map<string, Disk>();
  descriptors = 0;
  /** By descriptor. */
  readonly opened = new Map<number, Opened>();
  /** What was noted, where somebody wants to read it. */
  readonly lines: string[] | undefined;
  private readonly heap: Turn[] = [];
  private asked = 0;

  constructor(options: { lines?: boolean } = {}) {
    this.lines = options.lines === true ? [] : undefined;
  }

  /** Has something done by an actor that lives then. */
  after(actor: Actor, ms: number, act: () => void): Turn {
    const turn: Turn = { atMs: this.nowMs + Math.max(0, ms), order: this.asked++, actor, act };
    this.push(turn);
    return turn;
  }

  /** Takes the turns of the next so many milliseconds. */
  async pass(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    while ((this.heap[0]?.atMs ?? Number.POSITIVE_INFINITY) <= end) await this.take();
    this.nowMs = end;
  }

  /** Takes turns until something is so. @returns false when it is not after so many milliseconds */
  async until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const end = this.nowMs + withinMs;
    while (!isSo()) {
      if ((this.heap[0]?.atMs ?? Number.POSITIVE_INFINITY) > end) {
        this.nowMs = end;
        return isSo();
      }
      await this.take();
    }
    return true;
  }

  /** Asks an actor something that takes no time and changes nothing. */
  ask<T>(actor: Actor, question: () => T): T {
    acting = { stage: this, actor };
    try {
      return question();
    } finally {
      acting = undefined;
    }
  }

  /** Makes something part of what two runs of a seed must have in common. */
  note(text: string): void {
    const line = `${Math.round(this.nowMs * 1000)} ${text}`;
    let hash = this.fingerprint;
    for (let at = 0; at < line.length; at++) hash = Math.imul(hash ^ line.charCodeAt(at), 0x01000193);
    this.fingerprint = hash >>> 0;
    this.lines?.push(line);
  }

  private async take(): Promise<void> {
    const turn = this.pop();
    const { actor, act, atMs } = turn;
    this.nowMs = Math.max(this.nowMs, atMs);
    if (act === undefined || !actor.isAlive) return;
    if (actor.wakesMs > this.nowMs) {
      turn.atMs = actor.wakesMs;
      return this.push(turn);
    }
    this.turns++;
    this.note(actor.name);
    acting = { stage: this, actor };
    try {
      act();
      await settled();
    } finally {
      acting = undefined;
    }
  }

  private push(turn: Turn): void {
    const { heap } = this;
    let at = heap.push(turn) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(turn, heap[above] as Turn)) break;
      heap[at] = heap[above] as Turn;
      at = above;
    }
    heap[at] = turn;
  }

  private pop(): Turn {
    const { heap } = this;
    const first = heap[0] as Turn;
    const last = heap.pop() as Turn;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Turn, heap[below] as Turn)) below++;
      if (!isBefore(heap[below] as Turn, last)) break;
      heap[at] = heap[below] as Turn;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Turn, b: Turn): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
