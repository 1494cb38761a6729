import assert from 'node:assert/strict';
import { Numbers } from '../tree/simulation/numbers.js';
import { Account } from './account.js';
import { Network } from './links.js';
import { type Running, SimulatedPod, type Town } from './pod.js';
import { Stage } from './stage.js';
import { isContent, User } from './user.js';

const NAMES = ['laptop', 'desk', 'phone', 'nas', 'büro'];
const STEPS_MIN = 25;
const STEPS_MORE = 35;
const PAUSE_MS = 3_000;
const ANSWER_WITHIN_MS = 90_000;
const HEAL_WITHIN_MS = 30 * 60_000;
const LOOK_MS = 250;
const CALM_MS = 2_000;
const COPIES = 2;
const HISTORY_MS = 120_000;

/** What may happen, each as often as its number says. */
const STEPS = {
  act: 100,
  pause: 10,
  partition: 5,
  heal: 5,
  flap: 4,
  kill: 4,
  powerCut: 4,
  restart: 2,
  start: 10,
  collect: 4,
  full: 1,
  room: 3,
} as const;
type Step = keyof typeof STEPS;

export interface Outcome {
  /** The same for the same seed. */
  fingerprint: number;
  turns: number;
  acknowledged: number;
  /** Faults that struck while a pod had something acknowledged. */
  faults: number;
  /** What was noted, when asked for. */
  lines: string[] | undefined;
}

/**
 * One run of whole pods: what users do, what breaks and when follows from the seed alone.
 * @throws Error that tells what went wrong, and how it came
 */
export async function simulateWhole(seed: number, options: { lines?: boolean } = {}): Promise<Outcome> {
  const world = new World(seed, options);
  try {
    await world.run();
  } catch (error) {
    throw new Error(`seed ${seed}\n${world.story.join('\n')}\n${world.troubles.slice(-20).join('\n')}`, {
      cause: error,
    });
  }
  return world.outcome();
}

class World {
  readonly story: string[] = [];
  private readonly numbers: Numbers;
  private readonly stage: Stage;
  private readonly town: Town;
  private readonly pods: SimulatedPod[];
  private readonly users: User[];
  private readonly account = new Account();
  private declared = 0;
  private faults = 0;

  constructor(seed: number, options: { lines?: boolean }) {
    this.numbers = new Numbers(seed);
    this.stage = new Stage(options);
    const network = new Network(this.stage, new Numbers(this.numbers.below(2 ** 31)));
    network.slownessMs = this.numbers.pick([2, 20, 200]);
    this.town = { stage: this.stage, network, members: [], troubles: [] };
    const count = 3 + this.numbers.below(NAMES.length - 2);
    this.pods = NAMES.slice(0, count).map(
      (name) => new SimulatedPod(this.town, name, new Numbers(this.numbers.below(2 ** 31))),
    );
    this.users = this.pods.map((pod) => new User(pod, this.stage, this.numbers, this.account));
  }

  get troubles(): string[] {
    return this.town.troubles;
  }

  outcome(): Outcome {
    const { fingerprint, turns, lines } = this.stage;
    return { fingerprint, turns, acknowledged: this.account.acknowledged, faults: this.faults, lines };
  }

  async run(): Promise<void> {
    for (const pod of this.pods) await pod.start();
    this.declare();
    for (let steps = STEPS_MIN + this.numbers.below(STEPS_MORE); steps > 0; steps--) {
      const step = this.numbers.weighted(STEPS);
      await this.step(step);
      await this.stage.pass(this.numbers.below(this.numbers.once(3) ? PAUSE_MS : 100));
      this.checkHolders();
    }
    await this.heal();
    await this.check();
    if (this.numbers.once(3)) await this.darkness();
    for (const pod of this.pods) pod.kill();
  }

  private async step(step: Step): Promise<void> {
    const pod = this.numbers.pick(this.pods);
    if (step === 'act') return this.act(this.users[this.pods.indexOf(pod)] as User);
    this.say(`${pod.name}: ${step}`);
    if (step === 'pause') await this.stage.pass(this.numbers.below(20_000));
    else if (step === 'partition') this.partition();
    else if (step === 'heal') this.town.network.heal();
    else if (step === 'flap') this.town.network.flap(pod.id);
    else if (step === 'kill') this.kill(pod);
    else if (step === 'powerCut') this.powerCut(pod);
    else if (step === 'restart') await this.restart(pod);
    else if (step === 'start') await this.start(pod);
    else if (step === 'collect') await this.collect(pod);
    else if (step === 'full') pod.disk.limitBytes = pod.disk.usedBytes;
    else if (step === 'room') for (const each of this.pods) each.disk.limitBytes = undefined;
  }

  private say(what: string): void {
    this.stage.note(what);
    this.story.push(`${(this.stage.nowMs / 1000).toFixed(3)} ${what}`);
  }

  private async act(user: User): Promise<void> {
    const { running } = user.pod;
    if (running === undefined || user.busy !== undefined) return;
    let failed: string | undefined;
    this.stage.after(running.actor, 0, () =>
      user.act((what) => {
        this.say(what);
        if (what.includes('FAILED')) failed = what;
      }),
    );
    // Now and then something else happens before it is answered.
    if (this.numbers.once(4)) return;
    await this.stage.until(() => user.busy === undefined, ANSWER_WITHIN_MS);
    assert.equal(failed, undefined);
  }

  private partition(): void {
    const sides = new Map(this.pods.map(({ id }) => [id, this.numbers.below(2)]));
    this.town.network.partition(
      (pod) => sides.get(pod) ?? 0,
      this.pods.map(({ id }) => id),
    );
    this.struck();
  }

  private kill(pod: SimulatedPod): void {
    if (pod.isUp) this.struck();
    pod.kill();
    this.forgetWork(pod);
  }

  private powerCut(pod: SimulatedPod): void {
    if (pod.isUp) this.struck();
    pod.powerCut();
    // Whoever was killed before has not made anything durable since.
    this.account.powerCut(pod.name, pod.downMs);
    this.forgetWork(pod);
  }

  private struck(): void {
    if (this.account.acknowledged > 0) this.faults++;
  }

  private forgetWork(pod: SimulatedPod): void {
    const user = this.users[this.pods.indexOf(pod)] as User;
    if (user.busy !== undefined) this.say(`${pod.name}: ${user.busy} was never answered`);
    user.busy = undefined;
  }

  private async restart(pod: SimulatedPod): Promise<void> {
    if (!pod.isUp) return;
    pod.disk.limitBytes = undefined;
    await pod.stop();
    this.forgetWork(pod);
    await pod.start();
  }

  private async start(pod: SimulatedPod): Promise<void> {
    if (pod.isUp) return;
    // A pod does not start on a disk that is full to the last byte.
    pod.disk.limitBytes = undefined;
    await pod.start();
  }

  private async collect(pod: SimulatedPod): Promise<void> {
    const { running } = pod;
    if (running === undefined) return;
    let over = false;
    this.stage.after(running.actor, 0, () => {
      running.placement.collection
        .collect()
        .then(
          (found) => this.say(`${pod.name}: collected ${JSON.stringify(found)}`),
          (error) => this.say(`${pod.name}: did not collect: ${(error as Error).message}`),
        )
        .finally(() => {
          over = true;
        });
    });
    await this.stage.until(() => over || !running.actor.isAlive, ANSWER_WITHIN_MS);
  }

  private declare(): void {
    const text = `copies: ${COPIES}\nhistory: ${HISTORY_MS / 1000}s\n`;
    const pod = this.pods[0] as SimulatedPod;
    const declared = { number: ++this.declared, text };
    this.stage.after(pod.process, 0, () => pod.declare(declared));
  }

  /** Every content that was acknowledged, and that nobody removed or only just removed, is on some disk. */
  private checkHolders(): void {
    // What is only staged has no chunk yet.
    if (this.pods.some((pod) => !pod.isUp || pod.ask(({ files }) => files.unpublished()) > 0)) return;
    for (const token of [...this.account.needed(), ...this.account.history(this.stage.nowMs - HISTORY_MS)]) {
      if (!this.account.isSmall(token)) continue;
      const holders = this.pods.filter((pod) => pod.ask(({ content }) => content.has(token))).length;
      assert.ok(holders > 0, `nobody has ${token} any more`);
    }
  }

  /** All is up and linked, and it is waited until nothing is left to be done. */
  private async heal(): Promise<void> {
    this.say('at last');
    this.town.network.heal();
    for (const pod of this.pods) pod.disk.limitBytes = undefined;
    for (const pod of this.pods) if (!pod.isUp) await pod.start();
    this.town.network.heal();
    await this.stage.until(() => this.users.every(({ busy }) => busy === undefined), ANSWER_WITHIN_MS);
    let calmMs = 0;
    for (const sinceMs = this.stage.nowMs; this.stage.nowMs - sinceMs < HEAL_WITHIN_MS; ) {
      await this.stage.pass(LOOK_MS);
      calmMs = this.unrest() === undefined ? calmMs + LOOK_MS : 0;
      if (calmMs >= CALM_MS) return;
    }
    assert.fail(`they do not come to rest: ${this.unrest()}`);
  }

  private unrest(): string | undefined {
    const heads = String(this.pods[0]?.running?.tree.heads());
    for (const pod of this.pods) {
      if (!pod.isUp) return `${pod.name} is down`;
      const unrest = pod.ask((running) => this.unrestOf(pod.name, running, heads));
      if (unrest !== undefined) return unrest;
    }
    return undefined;
  }

  private unrestOf(name: string, running: Running, heads: string): string | undefined {
    if (running.links.list().length < this.pods.length - 1) return `${name} is not linked to all`;
    if (running.files.unpublished() > 0) return `${name} has something to publish`;
    if (running.tree.counts().pendingOperations > 0) return `${name} has operations that wait`;
    if (String(running.tree.heads()) !== heads) return `${name} has other heads`;
    if (!running.placement.settled)
      return `${name} does not hold its share: ${JSON.stringify(running.placement.work())}`;
    if (running.placement.underReplicated() > 0) return `${name} counts too few copies`;
    return undefined;
  }

  /** Equal trees, every byte readable everywhere, as many copies as declared, and what was acknowledged is there. */
  private async check(): Promise<void> {
    const trees = [];
    for (const user of this.users) trees.push(await this.everything(user));
    const [first, ...others] = trees as [(typeof trees)[0], ...typeof trees];
    for (const [at, other] of others.entries())
      assert.deepEqual(other.lines, first.lines, `${this.pods[at + 1]?.name} shows another tree`);
    await this.checkCopies();
    assert.deepEqual(this.account.problems(new Set([...first.tokens].filter(isContent))), []);
  }

  private async everything(user: User): ReturnType<User['everything']> {
    const found: { value?: Awaited<ReturnType<User['everything']>>; error?: unknown } = {};
    const actor = user.pod.process;
    this.stage.after(actor, 0, () => {
      user.everything().then(
        (value) => {
          found.value = value;
        },
        (error) => {
          found.error = error;
        },
      );
    });
    await this.stage.until(() => Object.keys(found).length > 0, 10 * ANSWER_WITHIN_MS);
    if (found.value === undefined)
      throw new Error(`${user.pod.name} cannot read all`, { cause: found.error });
    return found.value;
  }

  private async checkCopies(): Promise<void> {
    const [first] = this.pods as [SimulatedPod];
    const tree = first.running?.tree;
    for (const { content: id } of tree?.contents(undefined, 100_000) ?? []) {
      if (id === '') continue;
      const holders = this.pods.filter((pod) => pod.ask(({ content }) => content.presence(id)) === 'here');
      const said = this.pods.map((pod) => `${pod.name}: ${pod.ask(({ content }) => content.presence(id))}`);
      assert.ok(holders.length >= COPIES, `${id} has too few copies: ${said.join(', ')}`);
    }
  }

  /** The power fails everywhere at once: what they said that they hold, they hold. */
  private async darkness(): Promise<void> {
    await this.stage.pass(6_000);
    this.say('all go dark');
    for (const pod of this.pods) this.powerCut(pod);
    await this.heal();
    await this.check();
  }
}
