/** What a file may hold: its bytes, or undefined while there is none. */
export type Content = Buffer | undefined;

/** One change of a file, and between which positions of the disk's record it happened. */
interface Step {
  started: number;
  /** From here on no power cut may take it back. */
  durable: number;
  after: Content;
  /** What may be seen while it is under way, beside what was before and what is after. */
  during: (seen: Content) => boolean;
}

/** What becomes of one path. */
export interface Fate {
  path: string;
  after: Content;
  during?: (seen: Content) => boolean;
}

export interface Deed {
  /** Does it. What is promised counts from when it returns, or that much later. Milliseconds. */
  act: () => Promise<unknown>;
  durableAfterMs?: number;
}

/** Nothing between before and after may be seen. */
const atomic = () => false;
/** The contract's time from close() until a power cut no longer harms (D2). */
export const CLOSE_DURABLE_MS = 5_000;

/**
 * Does changes and remembers what was promised of them, and then says whether what a power cut left keeps the
 * promises. Changes of one path come one after the other.
 */
export class Witness {
  private readonly position: () => Promise<number>;
  private readonly steps = new Map<string, Step[]>();
  private readonly delayed: Promise<void>[] = [];

  constructor(position: () => Promise<number>) {
    this.position = position;
  }

  change({ act, durableAfterMs, ...fate }: Fate & Deed): Promise<void> {
    return this.changeAll([fate], { act, ...(durableAfterMs === undefined ? {} : { durableAfterMs }) });
  }

  /** One deed, many paths. */
  async changeAll(fates: readonly Fate[], { act, durableAfterMs = 0 }: Deed): Promise<void> {
    const started = await this.position();
    const steps = fates.map(({ path, after, during = atomic }) => {
      const step: Step = { started, durable: Number.POSITIVE_INFINITY, after, during };
      this.steps.set(path, [...(this.steps.get(path) ?? []), step]);
      return step;
    });
    await act();
    const settle = async () => {
      const durable = await this.position();
      for (const step of steps) step.durable = durable;
    };
    if (durableAfterMs === 0) await settle();
    else {
      this.delayed.push(new Promise((resolve) => setTimeout(resolve, durableAfterMs)).then(settle));
    }
  }

  /** Resolves when every promise's time has come. */
  async settled(): Promise<void> {
    await Promise.all(this.delayed);
  }

  get paths(): string[] {
    return [...this.steps.keys()];
  }

  /** From where on at least one promise holds. */
  get firstPromise(): number {
    const all = [...this.steps.values()].flat();
    return Math.min(...all.map(({ durable }) => durable));
  }

  /** How many promises hold at a position. */
  promisedAt(position: number): number {
    let count = 0;
    for (const steps of this.steps.values()) count += steps.filter((step) => step.durable <= position).length;
    return count;
  }

  /** Whether something is promised of a path at a position, and nothing is under way that may take its place. */
  isSettled(path: string, position: number): boolean {
    const steps = this.steps.get(path) ?? [];
    return (
      steps.length > 0 && steps.every(({ started, durable }) => durable <= position || started > position)
    );
  }

  /** Why what is seen of a path after a power cut at `position` breaks a promise; nothing when it does not. */
  complaint(path: string, position: number, seen: Content): string[] {
    const steps = this.steps.get(path) ?? [];
    const kept = steps.findLastIndex((step) => step.durable <= position);
    const under = steps.slice(kept + 1).filter((step) => step.started <= position);
    const before = steps[kept]?.after;
    if (same(before, seen)) return [];
    if (under.some((step) => same(step.after, seen) || step.during(seen))) return [];
    return [
      `${path}: ${describe(seen)}, not change ${kept} of it ` +
        `(${describe(before)}), nor one of the ${under.length} that were under way`,
    ];
  }
}

function same(left: Content, right: Content): boolean {
  return left === undefined || right === undefined ? left === right : left.equals(right);
}

function describe(content: Content): string {
  if (content === undefined) return 'not there';
  return `${content.length} bytes beginning with ${content.subarray(0, 24).toString('latin1')}`;
}
