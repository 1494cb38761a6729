import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIMITS } from '../../../src/base/index.js';
import type { InodeId, Registers } from '../../../src/tree/schema.js';
import { lines } from '../fixture.js';
import { look as lookAt, WatchedTables } from '../resolver/helpers.js';
import { Numbers } from './numbers.js';
import { fastFolder, SimulatedPod } from './pod.js';
import { Record } from './record.js';
import { User } from './user.js';

// Every start has to do with all of them.
Object.assign(LIMITS, { derivedBuckets: 4 });

const NAMES = ['laptop', 'desk', 'phone', 'nas', 'büro'];
const STEPS_MIN = 20;
const STEPS_MORE = 30;
const ROUNDS_MAX = 20;
const STEPS = {
  act: 60,
  commit: 8,
  talk: 14,
  push: 8,
  circle: 6,
  partition: 4,
  restart: 1,
  crash: 1,
  snapshot: 1,
  backUp: 1,
  restore: 1,
  heal: 2,
} as const;

/** One run: what the pods do follows from the seed alone. @throws Error that tells what went wrong, and how it came */
export async function simulate(seed: number): Promise<void> {
  const folder = mkdtempSync(join(fastFolder(tmpdir()), 'wormhole-simulation-'));
  const world = new World(folder, new Numbers(seed));
  try {
    await world.run();
  } catch (error) {
    throw new Error(`seed ${seed}\n${world.story.join('\n')}`, { cause: error });
  } finally {
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Backup {
  restore: () => Promise<InodeId[]>;
  restored: (again: readonly InodeId[]) => void;
}

class World {
  readonly story: string[] = [];
  private readonly numbers: Numbers;
  private readonly pods: SimulatedPod[];
  private readonly users: User[];
  private readonly record = new Record();
  private readonly backups = new Map<SimulatedPod, Backup>();
  /** Away for all of the run but its beginning and its end. */
  private readonly asleep: SimulatedPod | undefined;
  /** Only pods of one side can talk. */
  private side = new Map<SimulatedPod, number>();

  constructor(folder: string, numbers: Numbers) {
    this.numbers = numbers;
    const count = 2 + numbers.below(NAMES.length - 1);
    this.pods = NAMES.slice(0, count).map(
      (name, at) => new SimulatedPod(folder, name, at === 0, new Numbers(numbers.below(2 ** 31))),
    );
    this.users = this.pods.map((pod) => new User(pod, numbers, this.record));
    this.asleep = count > 2 && numbers.once(3) ? this.pods[1] : undefined;
  }

  async run(): Promise<void> {
    for (const pod of this.pods) await pod.start();
    await this.heal(this.pods);
    for (let steps = 3; steps > 0; steps--) this.act(this.numbers.pick(this.users));
    if (this.numbers.once(2)) await this.heal(this.pods);
    for (let steps = STEPS_MIN + this.numbers.below(STEPS_MORE); steps > 0; steps--) await this.step();
    this.story.push('at last');
    await this.heal(this.pods);
    this.check();
  }

  async close(): Promise<void> {
    for (const pod of this.pods) await pod.stop();
  }

  private get awake(): SimulatedPod[] {
    return this.pods.filter((pod) => pod !== this.asleep);
  }

  private async step(): Promise<void> {
    const pod = this.numbers.pick(this.awake);
    const what = this.numbers.weighted(STEPS);
    if (what === 'act') {
      const user = this.numbers.once(15) ? this.numbers.pick(this.users) : this.users[this.pods.indexOf(pod)];
      this.act(user as User);
      return;
    }
    this.story.push(`${pod.name}: ${what}`);
    if (what === 'commit') await pod.tree.commit();
    else if (what === 'talk') await this.talkNowAndThen(pod);
    else if (what === 'push') await this.push(pod);
    else if (what === 'circle') this.circle();
    else if (what === 'partition') this.partition();
    else if (what === 'restart') await this.down(pod, () => pod.restart());
    else if (what === 'crash') await this.down(pod, () => pod.crash());
    else if (what === 'snapshot') await pod.snapshot();
    else if (what === 'backUp') this.backUp(pod);
    else if (what === 'restore') await this.restore(pod);
    else await this.heal(this.awake);
  }

  private act(user: User): void {
    this.story.push(`${user.pod.name}: ...`);
    this.story[this.story.length - 1] = `${user.pod.name}: ${user.act()}`;
  }

  private partition(): void {
    this.side = new Map(this.pods.map((pod) => [pod, this.numbers.below(2)]));
  }

  private reachable(pod: SimulatedPod): SimulatedPod[] {
    return this.awake.filter((other) => other !== pod && this.side.get(other) === this.side.get(pod));
  }

  /** A link that comes, and goes after some messages, or when all is said. */
  private async talkNowAndThen(pod: SimulatedPod): Promise<void> {
    const others = this.reachable(pod);
    if (others.length === 0) return;
    const other = this.numbers.pick(others);
    const messages = this.numbers.once(3) ? this.numbers.below(5) : Number.POSITIVE_INFINITY;
    if (this.numbers.once(2)) await pod.tree.commit();
    await this.talk(pod, other, messages);
  }

  /** @returns whether anything was said */
  private async talk(a: SimulatedPod, b: SimulatedPod, messages: number): Promise<boolean> {
    let said = 0;
    for (let quiet = 0; quiet < 2 && said < messages; ) {
      quiet = 0;
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        const message = await from.tree.sync.generate(to.name);
        if (message === undefined) quiet++;
        else if (said++ < messages) await to.tree.sync.receive(from.name, message);
      }
    }
    await a.tree.sync.disconnect(b.name);
    await b.tree.sync.disconnect(a.name);
    return said > 0;
  }

  /** Changes that were pushed, some of them twice, some never, in any order. */
  private async push(pod: SimulatedPod): Promise<void> {
    if (this.numbers.once(2)) await pod.tree.commit();
    for (const other of this.reachable(pod)) {
      const recent = pod.outbox.slice(-1 - this.numbers.below(8));
      const chosen = [...recent, ...recent].filter(() => !this.numbers.once(3));
      for (let mixed = this.numbers.shuffled(chosen); mixed.length > 0; ) {
        const size = 1 + this.numbers.below(mixed.length);
        await other.tree.sync.apply(mixed.slice(0, size));
        mixed = mixed.slice(size);
      }
    }
  }

  private async down(pod: SimulatedPod, work: () => Promise<void>): Promise<void> {
    await work();
    for (const other of this.pods) if (other !== pod) await other.tree.sync.disconnect(pod.name);
  }

  private backUp(pod: SimulatedPod): void {
    this.backups.set(pod, { restore: pod.backUp(), restored: this.record.beforeBackup(pod) });
  }

  private async restore(pod: SimulatedPod): Promise<void> {
    const backup = this.backups.get(pod);
    if (backup === undefined) return;
    this.backups.delete(pod);
    await this.down(pod, async () => backup.restored(await backup.restore()));
  }

  /** Some pods each move a folder into one that another of them moves: a cycle, where they do not know of each other. */
  private circle(): void {
    const users = this.numbers.shuffled(this.users).slice(0, 2 + this.numbers.below(2));
    const folders = this.numbers.shuffled(users[0]?.folders() ?? []);
    if (folders.length < users.length) return;
    for (const [at, user] of users.entries()) {
      const what = user.moveInto(folders[at] ?? '', folders[(at + 1) % users.length] ?? '');
      this.story.push(`${user.pod.name}: ${what}`);
    }
  }

  /** All of these talk until nobody has anything to say. */
  private async heal(pods: readonly SimulatedPod[]): Promise<void> {
    for (const pod of pods) await pod.tree.commit();
    for (let rounds = 0; ; rounds++) {
      let said = false;
      for (const [at, a] of pods.entries()) {
        for (const b of pods.slice(at + 1)) {
          if (String(a.tree.heads()) === String(b.tree.heads()) && a.tree.heads().length > 0) continue;
          said = true;
          await this.talk(a, b, Number.POSITIVE_INFINITY);
        }
      }
      for (const pod of pods) await pod.tree.commit();
      if (!said) break;
      assert.ok(rounds < ROUNDS_MAX, 'they talk, and never have the same heads');
    }
    this.checkEqual(pods);
    const visible = this.visible(pods[0] as SimulatedPod);
    this.record.agreed(pods, visible);
  }

  private checkEqual(pods: readonly SimulatedPod[]): void {
    const [first, ...others] = pods;
    if (first === undefined) return;
    const shown = lines(first.tree);
    for (const other of others) {
      assert.deepEqual(lines(other.tree), shown, `${other.name} shows another tree than ${first.name}`);
      assert.deepEqual(other.tree.counts(), first.tree.counts());
    }
  }

  private visible(pod: SimulatedPod): Set<string> {
    const contents = lines(pod.tree).map((line) => line.slice(line.lastIndexOf(' ') + 1));
    return new Set(contents.filter((content) => content !== 'directory'));
  }

  /** The tree is what a rebuild from the registers shows, each thing once, and nothing is lost or back. */
  private check(): void {
    const [first] = this.pods as [SimulatedPod];
    const rebuilt = new WatchedTables();
    const registers: { inode: string; registers: Registers | undefined }[] = [];
    for (const each of first.reader.all()) registers.push(each);
    rebuilt.resolve(registers, false);
    rebuilt.check();
    const shown = Object.fromEntries(lines(first.tree).map(contentOfLine));
    assert.deepEqual(shown, lookAt(rebuilt.tables), 'the index is not what a rebuild shows');
    const { pendingOperations: _, ...counts } = first.tree.counts();
    assert.deepEqual(counts, rebuilt.counts);
    assert.deepEqual(this.record.problems(this.visible(first)), []);
  }
}

/** `path kind content`; names have no spaces but those of conflicts. */
function contentOfLine(line: string): [string, string] {
  const match = /^(.*) (directory|file|symlink)(?: (\S*))?$/.exec(line);
  assert.ok(match !== null, line);
  return [match[1] ?? '', match[2] === 'directory' ? '/' : (match[3] ?? '')];
}
