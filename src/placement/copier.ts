import { setMaxListeners } from 'node:events';
import { type Clock, type Log, messageOf, Pace, WormholeError } from '../base/index.js';
import type { ChunkId, ContentStore } from '../content/index.js';
import type { Tree } from '../tree/index.js';
import { ByteBudget } from './byte-budget.js';
import { type FileContent, stillThere } from './content-source.js';
import type { Peers } from './peers.js';
import { type Action, belongsHere, plan } from './plan.js';
import { holdersWithStandIns, type Layout } from './rendezvous.js';

/** Contents up to this size go through the lane for small ones, so that they never wait behind large ones. */
const SMALL_BYTES = 1024 * 1024;
/** Small contents and chunks of large ones that are copied at the same time. */
const SMALL_AT_ONCE = 256;
const LARGE_AT_ONCE = 2;
const CHUNKS_AT_ONCE = 8;
/** Bytes that were fetched or are about to be, and are not stored yet. */
const UNSTORED_BYTES_MAX = 24 * 1024 * 1024;
/** A list of chunks is larger than this only for files of terabytes. */
const MANIFEST_BYTES = 64 * 1024;
/** The newest go first, but every so many the oldest does. */
const OLDEST_EVERY = 4;
/** Contents that are taken up at a time: each is an object in memory. */
const OPEN_MAX = 20_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** The rate that is shown is that of the last seconds. */
const RATE_WINDOW_MS = 5_000;

export interface CopierOptions {
  tree: Pick<Tree, 'node' | 'contentsAt'>;
  content: Pick<ContentStore, 'presence' | 'has' | 'chunksOf' | 'keep' | 'put'>;
  peers: Pick<Peers, 'fetchNow' | 'whoHas'>;
  layout: (file: FileContent) => Layout;
  /** Bytes per second at which such files may be fetched now, together; Infinity is no limit. */
  rate: (layout: Layout) => number;
  /** Contents were put down again, since too many others wait too: they are to be added anew later. */
  putDown: () => void;
  clock: Clock;
  log: Log;
}

/** What is being copied here, for people. */
export interface CopyProgress {
  /** Contents. */
  done: number;
  total: number;
  /** Bytes copied of the contents in `total`. */
  bytes: number;
  /** Bytes per second, lately. */
  rate: number;
  /** Seconds until it is done at the pace so far, where that can be told. */
  eta?: number;
  /** Why the last one that failed did; it is tried again. */
  failure?: string;
}

interface Task extends FileContent {
  /** Counts up: tasks up to a number are done when none with a lower one is left. */
  seq: number;
  failures: number;
  /** It waits for room on this pod. */
  parked: boolean;
}

/** Copies contents here, as far as they belong here: small ones many at a time, the newest first. */
export class Copier {
  private readonly options: CopierOptions;
  private readonly small: Task[] = [];
  private readonly large: Task[] = [];
  /** Every task that is not done, in order; also those that wait to be tried again. */
  private readonly open = new Map<number, Task>();
  private readonly known = new Map<string, Task>();
  private readonly retries = new Map<Task, NodeJS.Timeout>();
  /** Contents for which there is no room, beyond those that are remembered one by one. */
  private roomless = 0;
  private readonly running = { small: 0, large: 0 };
  private readonly barriers = new Set<{ seq: number; resolve: () => void; reject: (error: Error) => void }>();
  private readonly room: (() => void)[] = [];
  private readonly stopping = new AbortController();
  private readonly budget = new ByteBudget(UNSTORED_BYTES_MAX);
  private nextSeq = 1;
  private turns = 0;
  private done = 0;
  private bytes = 0;
  private failure: string | undefined;
  private startedAtMs = 0;
  private readonly held: Pace;
  private readonly moved = { bytes: 0, heldBytes: 0 };
  private marks: { atMs: number; bytes: number }[] = [];

  constructor(options: CopierOptions) {
    this.options = options;
    this.held = new Pace(options.clock);
    setMaxListeners(0, this.stopping.signal);
  }

  /** Takes up a content, unless it is taken up already. @returns false when too many are */
  add(file: FileContent): boolean {
    const key = keyOf(file);
    if (this.stopping.signal.aborted || this.known.has(key)) return true;
    if (this.open.size >= OPEN_MAX) return false;
    if (this.left === 0) this.begin();
    const task: Task = { ...file, seq: this.nextSeq++, failures: 0, parked: false };
    this.open.set(task.seq, task);
    this.known.set(key, task);
    (task.size <= SMALL_BYTES ? this.small : this.large).push(task);
    this.pump();
    return true;
  }

  /** Contents that could not be had lately, and wait to be tried again. */
  get failing(): number {
    let failing = 0;
    for (const { parked } of this.retries.keys()) if (!parked) failing++;
    return failing;
  }

  /** Bytes of the contents that are left to copy. */
  get leftBytes(): number {
    let bytes = 0;
    for (const task of this.open.values()) bytes += task.size;
    return bytes;
  }

  /** Contents that are left to copy. */
  get left(): number {
    return this.open.size + this.roomless;
  }

  /** Bytes fetched since the start, and those of them that waited for a declared rate. */
  get fetched(): { bytes: number; heldBytes: number } {
    return { ...this.moved };
  }

  /** Resolves when everything added so far is here, or no longer belongs here. @throws the reason of a stop */
  allDone(signal?: AbortSignal): Promise<void> {
    const seq = this.nextSeq - 1;
    return new Promise((resolve, reject) => {
      const barrier = {
        seq,
        resolve: () => end(resolve),
        reject: (error: Error) => end(() => reject(error)),
      };
      const abort = () => barrier.reject(interrupted());
      const end = (settle: () => void) => {
        this.barriers.delete(barrier);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      this.barriers.add(barrier);
      if (signal?.aborted || this.stopping.signal.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.passBarriers();
    });
  }

  /** Resolves when fewer than `tasks` wait for their turn, so that a walk over everything keeps pace. */
  async roomFor(tasks: number): Promise<void> {
    while (this.open.size - this.retries.size >= tasks && !this.stopping.signal.aborted) {
      await new Promise<void>((resolve) => this.room.push(resolve));
    }
  }

  /** Whoever has what is missing may be there now. */
  retryNow(): void {
    for (const [task, timer] of [...this.retries]) {
      clearTimeout(timer);
      this.requeue(task);
    }
  }

  /** To be called with a walk over everything: there may be room now, or somebody else to hold it. */
  lookAnew(): void {
    this.roomless = 0;
    this.retryNow();
    this.passBarriers();
  }

  progress(): CopyProgress {
    const { done, bytes } = this;
    const now = this.options.clock.monotonicMs();
    this.marks = this.marks.filter((mark) => now - mark.atMs < RATE_WINDOW_MS);
    const lately = this.marks.reduce((sum, mark) => sum + mark.bytes, 0);
    const since = Math.max(1_000, now - (this.marks[0]?.atMs ?? now));
    const total = done + this.left;
    const progress: CopyProgress = { done, total, bytes, rate: Math.round((lately * 1000) / since) };
    if (done > 0) progress.eta = Math.ceil(((now - this.startedAtMs) / done / 1000) * (total - done));
    if (this.failure !== undefined && this.retries.size + this.roomless > 0) progress.failure = this.failure;
    return progress;
  }

  close(): void {
    this.stopping.abort();
    for (const timer of this.retries.values()) clearTimeout(timer);
    for (const barrier of [...this.barriers]) barrier.reject(interrupted());
    this.wakeRoom();
  }

  /** What is shown counts from the last time that there was nothing to do. */
  private begin(): void {
    this.done = 0;
    this.bytes = 0;
    this.startedAtMs = this.options.clock.monotonicMs();
  }

  private pump(): void {
    if (this.stopping.signal.aborted) return;
    while (this.running.small < SMALL_AT_ONCE && this.small.length > 0)
      this.start('small', this.take(this.small));
    while (this.running.large < LARGE_AT_ONCE && this.large.length > 0)
      this.start('large', this.take(this.large));
  }

  private take(tasks: Task[]): Task {
    const oldest = this.turns++ % OLDEST_EVERY === 0;
    return (oldest ? tasks.shift() : tasks.pop()) as Task;
  }

  private start(lane: 'small' | 'large', task: Task): void {
    this.running[lane]++;
    this.copy(task)
      .then(
        (isWhole) => (isWhole ? this.finish(task) : this.park(task)),
        (error) => this.fail(task, error),
      )
      .finally(() => {
        this.running[lane]--;
        this.pump();
      });
  }

  /** @returns false when there is no room for some of it */
  private async copy(task: Task): Promise<boolean> {
    const { tree, content, layout } = this.options;
    // Checked again right before the act: it may be gone, or be here by now.
    const presence = content.presence(task.content);
    if (presence === 'here' || !stillThere(tree, task)) return true;
    const where = layout(task);
    const manifest = task.content.slice(1);
    if (task.content.startsWith('m') && !content.has(manifest)) {
      await this.bring(manifest, MANIFEST_BYTES, belongsHere(manifest, where), where);
    }
    const chunks = await content.chunksOf(task.content, task.size);
    // Keeping what is kept already costs next to nothing, so the store need not be asked.
    const { actions, isShort } = await this.possible(
      plan(chunks, where, () => false),
      where,
    );
    let next = 0;
    const work = async () => {
      for (let action = actions[next++]; action !== undefined; action = actions[next++]) {
        if (this.stopping.signal.aborted) throw interrupted();
        // Asking the store costs a look at the disk, which can be spared for the many small contents.
        const absent = chunks.length === 1 ? presence === 'remote' : !content.has(action.id);
        if (absent) await this.bring(action.id, action.length, true, where);
        else await content.keep(action.id);
        this.copied(action.length);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CHUNKS_AT_ONCE, actions.length) }, work));
    return !isShort;
  }

  /** Without what this pod, being full, cannot take, and what a full one that it stands in for has. `isShort`: nobody
   *  stands in for this pod, and so there are too few copies. */
  private async possible(
    actions: Action[],
    layout: Layout,
  ): Promise<{ actions: Action[]; isShort: boolean }> {
    if (!layout.candidates.some((pod) => pod.full)) return { actions, isShort: false };
    const { content, peers } = this.options;
    const { self } = layout;
    const absent = actions.filter(({ id }) => !content.has(id));
    const places = new Map(absent.map(({ id }) => [id, holdersWithStandIns(id, layout)]));
    const asked = [...new Set([...places.values()].flatMap(({ full }) => full))].filter(
      (pod) => pod !== self,
    );
    const ids = absent.map(({ id }) => id);
    const answers = await peers.whoHas(ids, asked, this.stopping.signal);
    const dropped = new Set<ChunkId>();
    let isShort = false;
    for (const [i, id] of ids.entries()) {
      const { full, standIns } = places.get(id) ?? { full: [], standIns: [] };
      const lacking = full.filter((pod) => answers.get(pod)?.[i] !== true).length;
      const place = standIns.indexOf(self);
      const isFull = full.includes(self);
      if (isFull || (place >= 0 && lacking <= place)) dropped.add(id);
      if (isFull && lacking > standIns.length) isShort = true;
    }
    return { actions: actions.filter(({ id }) => !dropped.has(id)), isShort };
  }

  /** Fetches and stores; the store checks the bytes. Only so much at a time, whatever the network's pace. */
  private async bring(id: ChunkId, bytes: number, keep: boolean, layout: Layout): Promise<void> {
    const { content, peers } = this.options;
    const held = await this.pace(bytes, layout);
    await this.budget.use(bytes, async () => {
      const chunk = await peers.fetchNow(id, this.stopping.signal);
      await content.put(id, chunk, { keep });
      this.moved.bytes += chunk.length;
      if (held) this.moved.heldBytes += chunk.length;
    });
  }

  /** Waits for its turn at the declared rate, as long as that is declared. @returns true when there is one */
  private async pace(bytes: number, layout: Layout): Promise<boolean> {
    const { rate, clock } = this.options;
    for (;;) {
      const bytesPerSecond = rate(layout);
      if (!Number.isFinite(bytesPerSecond)) return false;
      this.held.set(bytesPerSecond);
      const { waitMs } = this.held;
      if (waitMs === 0) break;
      await clock.sleep(waitMs, this.stopping.signal);
    }
    this.held.take(bytes);
    return true;
  }

  private copied(bytes: number): void {
    this.bytes += bytes;
    const atMs = this.options.clock.monotonicMs();
    const last = this.marks.at(-1);
    if (last !== undefined && atMs - last.atMs < 100) last.bytes += bytes;
    else this.marks.push({ atMs, bytes });
  }

  private finish(task: Task): void {
    this.done++;
    this.forget(task);
  }

  private forget(task: Task): void {
    this.open.delete(task.seq);
    this.known.delete(keyOf(task));
    this.passBarriers();
    this.wakeRoom();
  }

  private wakeRoom(): void {
    for (const resolve of this.room.splice(0)) resolve();
  }

  private fail(task: Task, error: unknown): void {
    if (this.stopping.signal.aborted) return;
    this.failure = messageOf(error);
    const delayMs = Math.min(RETRY_MIN_MS * 2 ** task.failures++, RETRY_MAX_MS);
    this.options.log.debug('a file is not here yet', {
      content: task.content,
      reason: this.failure,
      delayMs,
    });
    if (this.open.size > OPEN_MAX / 2) {
      // Those that can be had must find room beside those that cannot.
      this.options.putDown();
      this.forget(task);
      return;
    }
    this.retries.set(
      task,
      setTimeout(() => this.requeue(task), delayMs),
    );
    this.wakeRoom();
  }

  /** It stays undone, so that this pod does not say that it holds its share, until there is room or somebody else. */
  private park(task: Task): void {
    if (this.stopping.signal.aborted) return;
    this.failure = 'this pod is full, and no other one stands in for it: make room';
    if (this.open.size > OPEN_MAX / 2) {
      this.roomless++;
      this.forget(task);
      return;
    }
    task.parked = true;
    this.retries.set(
      task,
      setTimeout(() => this.requeue(task), RETRY_MAX_MS),
    );
    this.wakeRoom();
  }

  private requeue(task: Task): void {
    this.retries.delete(task);
    task.parked = false;
    (task.size <= SMALL_BYTES ? this.small : this.large).push(task);
    this.pump();
  }

  private passBarriers(): void {
    if (this.barriers.size === 0 || this.roomless > 0) return;
    const [oldest = Number.POSITIVE_INFINITY] = this.open.keys();
    for (const barrier of [...this.barriers]) if (barrier.seq < oldest) barrier.resolve();
  }
}

function keyOf(file: FileContent): string {
  return `${file.inode} ${file.content}`;
}

function interrupted(): WormholeError {
  return new WormholeError('interrupted', 'copying was stopped');
}
