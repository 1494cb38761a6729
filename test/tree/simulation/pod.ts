import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, silentLog } from '../../../src/base/index.js';
import type { RegisterReader } from '../../../src/tree/engine/indexer.js';
import { type InodeId, openTree, type Tree } from '../../../src/tree/index.js';
import { InlineEngine } from './inline-engine.js';
import type { Numbers } from './numbers.js';

export const NETWORK = new Uint8Array(32).fill(9);
const DECADE_NS = 315_576_000_000_000_000n;
const GROUP_MAX = 8;

/** A pod of the simulation: the real tree with its document, journal and index in a folder, one start after another. */
export class SimulatedPod {
  readonly name: string;
  /** Every change of its own that it gave out, oldest first. */
  outbox: Uint8Array[] = [];
  private readonly folder: string;
  private readonly founder: boolean;
  private readonly numbers: Numbers;
  private readonly clock: Clock;
  private backups = 0;
  private opened: { tree: Tree; engine: InlineEngine } | undefined;

  constructor(folder: string, name: string, founder: boolean, numbers: Numbers) {
    this.folder = join(folder, name);
    this.name = name;
    this.founder = founder;
    this.numbers = numbers;
    this.clock = strangeClock(numbers);
  }

  get tree(): Tree {
    return this.state().tree;
  }

  /** What the document holds. */
  get reader(): RegisterReader {
    const { reader } = this.state().engine;
    if (reader === undefined) throw new Error(`${this.name} has no document`);
    return reader;
  }

  async start(): Promise<void> {
    let engine: InlineEngine | undefined;
    const tree = await openTree({
      folder: this.folder,
      podId: Buffer.from(this.name.padEnd(5)).toString('hex').padEnd(64, '0').slice(0, 64),
      podName: this.name,
      network: NETWORK,
      founder: this.founder,
      clock: this.clock,
      random: this.numbers.bytes(),
      log: silentLog,
      startEngine: (options) => {
        const groupSize = () => 1 + this.numbers.below(GROUP_MAX);
        engine = new InlineEngine(options, { clock: this.clock, random: this.numbers.bytes(), groupSize });
        return engine;
      },
    });
    tree.events.on('changes', ({ changes }) => {
      this.outbox.push(...changes);
    });
    this.opened = { tree, engine: engine as unknown as InlineEngine };
    await this.state().engine.ready;
    await tree.commit();
  }

  async stop(): Promise<void> {
    const { opened } = this;
    this.opened = undefined;
    await opened?.tree.close();
  }

  /** A clean stop and start. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** `kill -9` and start: what was journaled is there, and nothing that was only on its way to the document. */
  async crash(): Promise<void> {
    const dead = `${this.folder}.dead`;
    // What an earlier crash left in it, a snapshot may have taken away since.
    rmSync(dead, { recursive: true, force: true });
    cpSync(this.folder, dead, { recursive: true });
    await this.stop();
    this.replaceBy(dead);
    await this.start();
  }

  /** @returns what puts the store back to how it is now, and tells the inodes of what waited for the document then,
   *  and goes into it */
  backUp(): () => Promise<InodeId[]> {
    const copy = `${this.folder}.backup-${this.backups++}`;
    cpSync(this.folder, copy, { recursive: true });
    return async () => {
      await this.stop();
      this.replaceBy(copy);
      await this.start();
      return [...this.state().engine.handed];
    };
  }

  snapshot(): Promise<void> {
    return this.state().engine.snapshot();
  }

  private replaceBy(copy: string): void {
    rmSync(this.folder, { recursive: true });
    cpSync(copy, this.folder, { recursive: true });
  }

  private state(): { tree: Tree; engine: InlineEngine } {
    if (this.opened === undefined) throw new Error(`${this.name} is down`);
    return this.opened;
  }
}

/** Years from the others', now and then going back; waiting takes no time. */
function strangeClock(numbers: Numbers): Clock {
  let now = 1_700_000_000_000_000_000n + BigInt(numbers.below(21) - 10) * DECADE_NS;
  let passed = 0;
  return {
    wallNs: () => {
      now += BigInt(numbers.below(1_000_000_000)) * (numbers.once(20) ? -100n : 1n);
      return now;
    },
    monotonicMs: () => passed++,
    sleep: () => Promise.resolve(),
  };
}

/** Where runs keep their pods: in memory, where that is a folder. */
export function fastFolder(fallback: string): string {
  return existsSync('/dev/shm') ? '/dev/shm' : fallback;
}
