import { createHash } from 'node:crypto';
import {
  type Clock,
  Emitter,
  LIMITS,
  type Log,
  makeLog,
  type PodId,
  sha256,
  sha256Bytes,
  systemClock,
} from '../../src/base/index.js';
import { CUTTING } from '../../src/content/chunker.js';
import { type ContentStore, openContentStore } from '../../src/content/index.js';
import { servePublishing } from '../../src/content/publishing/worker.js';
import { makeNotes } from '../../src/daemon/notes.js';
import { openFileSystem, type WormholeFileSystem } from '../../src/fs/index.js';
import type { Member, MembershipEvents } from '../../src/membership/index.js';
import { Placement } from '../../src/placement/index.js';
import type { Database } from '../../src/store/index.js';
import { ChunkFetcher, Sync } from '../../src/sync/index.js';
import { serveEngine } from '../../src/tree/engine/worker.js';
import { readMeta } from '../../src/tree/index/database-tables.js';
import { openTree, sameHeads, type Tree } from '../../src/tree/index.js';
import { Numbers } from '../tree/simulation/numbers.js';
import { openSimulatedDatabase, rotRow } from './database.js';
import { Disk } from './disk.js';
import { SIMULATED } from './disk-calls.js';
import { type Network, SimulatedLinks } from './links.js';
import { Actor, type Stage } from './stage.js';
import { addProgram } from './threads.js';
import { START_MS } from './world-calls.js';

const NETWORK = sha256Bytes(Buffer.from('simulated'));
const PRESENCE_MS = 10_000;
const FORGET_MS = 5 * 60_000;
const START_WITHIN_MS = 120_000;
/** Small enough that contents of some KiB meet all of them. */
export const STORE_LIMITS = {
  freeFloorBytes: 1024,
  reserveBytes: 64 * 1024,
  cacheBytes: 256 * 1024,
  memoryBytes: 256,
};

// Some minutes and some files are to meet what takes hours and millions of them.
Object.assign(LIMITS, {
  /** Every start and every first sync has to do with all of them. */
  derivedBuckets: 4,
  /** Room for as many is set aside at every start. */
  evictableChunksMax: 512,
  changeLogChangesMax: 8,
  contentUpkeepMs: 1_500,
  publishEarlyMs: 3_000,
  collectFirstMs: 20_000,
  collectIntervalMsMin: 20_000,
  collectGraceMs: 10_000,
  keptLeaseMs: 30_000,
});

// And some KiB what takes megabytes.
Object.assign(CUTTING, {
  minBytes: 16 * 1024,
  normalBytes: 32 * 1024,
  maxBytes: 80 * 1024,
  looseMask: 0xfffe0000 | 0,
});

/** Up to so long an fsync takes: of most disks, and of slow ones. */
const SYNCS_MS = [4, 4, 40, 400];

/** What is declared, as a pod knows it. */
export interface Declared {
  number: number;
  text: string;
}

/** What runs while a pod is up: the product's own parts, as the daemon puts them together. */
export interface Running {
  actor: Actor;
  links: SimulatedLinks;
  tree: Tree;
  content: ContentStore;
  sync: Sync;
  placement: Placement;
  files: WormholeFileSystem;
  /** True once the index shows what the document holds, as far as there is one. */
  isReady(): boolean;
  /** True while the index shows what the document's thread has put there, and readers have not been told of yet. */
  isIndexAhead(): boolean;
  /** Ends each part, the last built first. */
  stop(): Promise<void>;
}

export interface Town {
  stage: Stage;
  network: Network;
  members: Member[];
  /** Lines of the pods' logs of what went wrong. */
  troubles: string[];
}

addProgram('tree/engine/worker.js', (port, settings: { podId: string; database: string }, exit) => {
  const pod = pods.get(settings.podId) as SimulatedPod;
  const { clock, random } = pod.world();
  const openDatabase = (folder: string) => openSimulatedDatabase(pod.disk, folder, { flushed: false });
  serveEngine(port, settings as never, { clock, random, openDatabase, exit });
});
addProgram('content/publishing/worker.js', (port, settings) => servePublishing(port, settings));

/** Those of the run: a thread finds its pod by the id that it is started with. */
const pods = new Map<PodId, SimulatedPod>();

/** One pod with its disk, through starts, crashes and power cuts. */
export class SimulatedPod {
  readonly name: string;
  readonly id: PodId;
  readonly disk = new Disk();
  running: Running | undefined;
  declared: Declared = { number: 0, text: '' };
  /** Since when it is down, if it is. */
  downMs = 0;
  private readonly town: Town;
  private readonly founder: boolean;
  private readonly numbers: Numbers;
  private skewMs: number;
  private actor: Actor | undefined;
  private readonly events = new Emitter<MembershipEvents>();
  private readonly presence = new Map<PodId, Record<string, unknown>>();

  constructor(town: Town, name: string, numbers: Numbers) {
    this.town = town;
    this.name = name;
    this.id = sha256(Buffer.from(name));
    this.numbers = numbers;
    this.skewMs = (numbers.below(21) - 10) * 365 * 86_400_000;
    this.founder = town.members.length === 0;
    town.members.push({ id: this.id, name, role: 'storage', addedBy: this.id, addedAt: 0 });
    this.disk.syncMs = numbers.pick(SYNCS_MS);
    town.stage.disks.set(name, this.disk);
    pods.set(this.id, this);
  }

  get isUp(): boolean {
    return this.running !== undefined;
  }

  /** What runs now. @throws Error while nothing does */
  get process(): Actor {
    if (this.actor?.isAlive !== true) throw new Error(`${this.name} is down`);
    return this.actor;
  }

  /** Asks what runs something that takes no time and changes nothing. */
  ask<T>(question: (running: Running) => T): T {
    const { running } = this;
    if (running === undefined) throw new Error(`${this.name} is down`);
    return this.town.stage.ask(running.actor, () => question(running));
  }

  /** @param options.alone no other pod can be reached until {@link enter}
   *  @throws why it cannot start */
  async start(options = { alone: false }): Promise<void> {
    const { stage } = this.town;
    const actor = new Actor(this.name, new Numbers(this.numbers.below(2 ** 31)));
    actor.setClock(this.skewMs);
    actor.bootId = `${this.name} ${this.disk.boots}`;
    this.actor = actor;
    let failure: unknown;
    let over = false;
    stage.after(actor, 0, () => {
      this.build(actor)
        .then((running) => {
          this.running = running;
          if (!options.alone) this.enter();
        })
        .catch((error) => {
          failure = error;
        })
        .finally(() => {
          over = true;
        });
    });
    if (!(await stage.until(() => over, START_WITHIN_MS))) throw new Error(`${this.name} does not start`);
    if (failure !== undefined) throw new Error(`${this.name} cannot start`, { cause: failure });
  }

  /** From now on others can be reached. */
  enter(): void {
    if (this.running !== undefined) this.town.network.enter(this.running.links);
  }

  /** The clock on the wall is set to another time. */
  setClock(byMs: number): void {
    this.skewMs += byMs;
    this.actor?.setClock(this.skewMs);
  }

  /** The lid is shut for so long. */
  sleep(ms: number): void {
    this.actor?.sleep(this.town.stage.nowMs + ms);
  }

  /** Machine and disk are gone for good, and the others take it off their list. */
  destroy(): void {
    this.kill();
    const { members, stage } = this.town;
    members.splice(
      members.findIndex(({ id }) => id === this.id),
      1,
    );
    stage.disks.delete(this.name);
    pods.delete(this.id);
  }

  /** A byte of a chunk turns where it lies. @returns false when it does not lie on the disk yet */
  rot(chunk: string): boolean {
    return (
      rotRow(this.disk, `${SIMULATED}${this.name}/database`, 'content.small', chunk) ||
      this.disk.rot(['content', 'chunks', chunk.slice(0, 2), chunk.slice(2)])
    );
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    const { running } = this;
    if (running === undefined) return;
    let over = false;
    this.town.stage.after(running.actor, 0, () => {
      running.stop().finally(() => {
        over = true;
      });
    });
    if (!(await this.town.stage.until(() => over, START_WITHIN_MS)))
      throw new Error(`${this.name} does not stop`);
    this.kill();
  }

  /** `kill -9`: what was written to files is there, nothing else. */
  kill(): void {
    if (this.actor?.isAlive === true) this.downMs = this.town.stage.nowMs;
    this.actor?.end();
    this.running = undefined;
    this.presence.clear();
    this.town.network.leave(this.id);
  }

  /** What was not synced is gone, or any part of it. */
  powerCut(numbers = this.numbers): void {
    this.kill();
    this.disk.powerCut(numbers);
  }

  /** A new declaration reaches this pod, and those that it is linked to. */
  declare(declared: Declared): void {
    if (declared.number <= this.declared.number) return;
    this.declared = declared;
    this.events.emit('changed', undefined);
    for (const link of this.running?.links.list() ?? []) link.send('simulated.declared', declared);
  }

  world(): { clock: Clock; random: ReturnType<Numbers['bytes']> } {
    const { stage } = this.town;
    const clock: Clock = {
      wallNs: () => BigInt(START_MS + this.skewMs) * 1_000_000n + BigInt(Math.round(stage.nowMs * 1e6)),
      monotonicMs: () => stage.nowMs,
      // By the simulated timers, since they stand in for Node's while the pod has its turn.
      sleep: systemClock.sleep,
    };
    return { clock, random: this.numbers.bytes() };
  }

  private log(): Log {
    const { stage, troubles } = this.town;
    const write = (line: string) => {
      const said = `${this.name}: ${line.slice(25).trim()}`;
      stage.note(said);
      troubles.push(`${(stage.nowMs / 1000).toFixed(3)} ${said}`);
    };
    return makeLog(write, 'warn');
  }

  /** As `build` in src/daemon/pod.ts, without what needs a kernel or a network. */
  private async build(actor: Actor): Promise<Running> {
    const { members } = this.town;
    const { clock, random } = this.world();
    const { id, name, founder, disk } = this;
    const [log, folder] = [this.log(), `${SIMULATED}${name}`];
    const undo: (() => unknown)[] = [];
    const links = new SimulatedLinks(id, actor);
    const isMember = (pod: PodId) => members.some((member) => member.id === pod);
    const chunks = new ChunkFetcher({ links, isMember, clock, log });
    undo.push(() => chunks.close());
    const database: Database = openSimulatedDatabase(disk, `${folder}/database`, { flushed: true });
    undo.push(() => database.close());
    let tree: Tree | undefined;
    let index: Database | undefined;
    let placement: Placement | undefined;
    const content = await openContentStore({
      folder: `${folder}/content`,
      database,
      source: chunks,
      clock,
      log,
      namesDurable: async () => tree?.flush(),
      limits: STORE_LIMITS,
    });
    undo.push(() => content.close());
    tree = await openTree({
      folder: `${folder}/tree`,
      podId: id,
      podName: name,
      network: NETWORK,
      founder,
      clock,
      random,
      log,
      beforePublish: (contents) => {
        placement?.published(contents);
        return content.flush();
      },
      contents: content,
      openIndex: (indexFolder) => {
        index = openSimulatedDatabase(disk, indexFolder, { flushed: false });
        return { database: index, session: { end: () => {} } };
      },
    });
    const opened = tree;
    undo.push(() => opened.close());
    let ready = false;
    tree.events.on('engine', ({ state }) => {
      ready = state === 'ready';
    });
    const memberIds = () => members.map((member) => member.id);
    const sync = new Sync({
      links,
      tree,
      content,
      chunks,
      self: id,
      isMember,
      members: memberIds,
      clock,
      log,
    });
    undo.push(() => sync.close());
    const notes = makeNotes(database, 'placement');
    const membership = this.membership();
    placement = new Placement({ tree, content, membership, peers: sync, notes, clock, log });
    const placed = placement;
    undo.push(() => placed.close());
    const files = openFileSystem({
      tree,
      content,
      invalidator: { inode: () => {}, entry: () => {}, everything: () => {} },
      podId: id,
      storeFolder: folder,
      clock,
      log,
    });
    undo.push(() => files.close());
    placement.start();
    undo.push(() => links.stop());
    this.converse(links, placement, content, undo);
    const forget = setInterval(() => void opened.forgetHistory(placed.historyMs).catch(() => {}), FORGET_MS);
    undo.push(() => clearInterval(forget));
    const stop = async () => {
      for (const step of undo.splice(0).reverse()) await step();
    };
    const isIndexAhead = () => index !== undefined && !sameHeads(readMeta(index).heads, opened.heads());
    const isReady = () => ready;
    return { actor, links, tree, content, sync, placement, files, isReady, isIndexAhead, stop };
  }

  private membership(): ConstructorParameters<typeof Placement>[0]['membership'] {
    return {
      self: this.id,
      events: this.events,
      members: () => this.town.members,
      declared: () => ({ ...this.declared, by: this.id, at: 0 }),
      presenceOf: (pod) => ({ status: this.presence.get(pod) as never }),
    };
  }

  /** What members tell each other in the product's shared notebook: here by messages. */
  private converse(
    links: SimulatedLinks,
    placement: Placement,
    content: ContentStore,
    undo: (() => unknown)[],
  ): void {
    links.handle('simulated.declared', (_, declared) => this.declare(declared as Declared));
    links.handle('simulated.presence', (link, status) => {
      this.presence.set(link.peer, status as Record<string, unknown>);
      this.events.emit('presence', link.peer);
    });
    const tell = () => {
      const { missing, isFull } = placement;
      const status = { free: content.usage().freeBytes, state: 'ready', missing, full: isFull };
      for (const link of links.list()) link.send('simulated.presence', status);
    };
    links.events.on('up', (link) => {
      if (this.declared.number > 0) link.send('simulated.declared', this.declared);
      tell();
    });
    const timer = setInterval(tell, PRESENCE_MS);
    undo.push(() => clearInterval(timer));
  }
}

/** What bytes are called in the account. */
export function tokenOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
