import assert from 'node:assert/strict';
import type { InodeId } from '../../src/tree/index.js';
import { Numbers } from '../tree/simulation/numbers.js';
import { Account, type Written } from './account.js';
import { Keepers } from './keepers.js';
import { Network } from './links.js';
import { type Place, Places, type Seen } from './places.js';
import { type Running, SimulatedPod, STORE_LIMITS, type Town } from './pod.js';
import { Stage } from './stage.js';
import { type ActOptions, User } from './user.js';

const NAMES = ['laptop', 'desk', 'phone', 'nas', 'büro'];
/** Three are the fewest of which one can have nothing to do with a content; more cost more. */
const COUNTS = [3, 3, 3, 4, 5];
const SLOWNESS_MS = [2, 20, 200];
const READY_WITHIN_MS = 60_000;
const SOON_MS = 5_000;
/** What is staged of a file up to this size is all of it: it is kept in memory, of which there is little. */
const STAGED_WHOLE_BYTES = STORE_LIMITS.reserveBytes / 4;
export const ANSWER_WITHIN_MS = 90_000;
export const COPIES = 2;
export const HISTORY_MS = 20_000;

/** Pods with a user each, what was promised to them, and what can befall them. */
export class Scene {
  readonly numbers: Numbers;
  readonly stage: Stage;
  readonly town: Town;
  readonly network: Network;
  readonly pods: SimulatedPod[];
  readonly account = new Account();
  readonly keepers = new Keepers(this.account, { copies: COPIES, historyMs: HISTORY_MS });
  readonly story: string[] = [];
  /** Faults that struck while something was acknowledged. */
  faults = 0;
  /** How often it came to what the run is there for. */
  readonly reached = { owed: 0, rotten: 0, collected: 0, failed: 0, burnt: 0 };
  private readonly users = new Map<SimulatedPod, User>();
  /** What a pod that is down must be able to show when it starts, without any other. */
  private readonly owed = new Map<SimulatedPod, Written[]>();
  /** Since when a pod's disk fails. */
  private readonly failing = new Map<SimulatedPod, number>();

  constructor(seed: number, options: { lines?: boolean }) {
    this.numbers = new Numbers(seed);
    this.stage = new Stage(options);
    this.network = new Network(this.stage, new Numbers(this.numbers.below(2 ** 31)));
    this.network.slownessMs = this.numbers.pick(SLOWNESS_MS);
    this.town = { stage: this.stage, network: this.network, members: [], troubles: [] };
    this.pods = NAMES.slice(0, this.numbers.pick(COUNTS)).map(
      (name) => new SimulatedPod(this.town, name, new Numbers(this.numbers.below(2 ** 31))),
    );
    for (const pod of this.pods) this.users.set(pod, new User(pod, this.stage, this.numbers, this.account));
  }

  say(what: string): void {
    this.stage.note(what);
    this.story.push(`${(this.stage.nowMs / 1000).toFixed(3)} ${what}`);
  }

  struck(): void {
    if (this.account.acknowledged > 0) this.faults++;
  }

  // ---- users

  /** One thing is done at a pod. @returns what ends when it is answered, or nothing when nothing was begun */
  act(pod: SimulatedPod, options: ActOptions = {}): (() => Promise<void>) | undefined {
    const { running } = pod;
    const user = this.userOf(pod);
    if (running === undefined || user.busy !== undefined) return undefined;
    let failed: string | undefined;
    // A pod that sleeps begins when it wakes.
    user.busy = 'something';
    this.stage.after(running.actor, 0, () =>
      user.act((what) => {
        this.say(what);
        if (what.includes('FAILED')) failed = what;
      }, options),
    );
    return async () => {
      await this.stage.until(() => user.busy === undefined, ANSWER_WITHIN_MS);
      assert.equal(failed, undefined);
    };
  }

  /** Somebody waits there for an answer. */
  isBusy(pod: SimulatedPod): boolean {
    return this.userOf(pod).busy !== undefined;
  }

  /** All that was begun is answered, or the time is up. */
  async answered(): Promise<void> {
    const users = [...this.users.values()];
    await this.stage.until(() => users.every(({ busy }) => busy === undefined), ANSWER_WITHIN_MS);
  }

  /** Has something asked at a pod that takes a while. @returns undefined when it dies or is not answered in time */
  async ask<T>(pod: SimulatedPod, question: (running: Running) => Promise<T>): Promise<T | undefined> {
    return this.begin(pod, question)();
  }

  /** As {@link ask}, with something else meanwhile. @returns what waits for the answer */
  begin<T>(pod: SimulatedPod, question: (running: Running) => Promise<T>): () => Promise<T | undefined> {
    const { running } = pod;
    if (running === undefined) return async () => undefined;
    const answer: { value?: T; error?: unknown } = {};
    this.stage.after(running.actor, 0, () => {
      question(running).then(
        (value) => {
          answer.value = value;
        },
        (error) => {
          answer.error = error;
        },
      );
    });
    const isOver = () => Object.keys(answer).length > 0 || !running.actor.isAlive;
    return async () => {
      await this.stage.until(isOver, 10 * ANSWER_WITHIN_MS);
      if (answer.error !== undefined) throw new Error(`at ${pod.name}`, { cause: answer.error });
      return answer.value;
    };
  }

  /** What is seen at a pod. @param reads which files are read */
  async seen(pod: SimulatedPod, reads?: (at: Place, running: Running) => boolean): Promise<Seen> {
    const seen = await this.ask(pod, (running) =>
      new Places(pod, running.files).everything(reads === undefined ? undefined : (at) => reads(at, running)),
    );
    assert.ok(seen !== undefined, `${pod.name} cannot read all`);
    return seen;
  }

  private userOf(pod: SimulatedPod): User {
    return this.users.get(pod) as User;
  }

  // ---- what befalls pods

  kill(pod: SimulatedPod): void {
    this.dies(pod);
    pod.kill();
    this.died(pod);
  }

  /** @param numbers what of the unsynced survives */
  powerCut(pod: SimulatedPod, numbers?: Numbers): void {
    this.dies(pod);
    pod.powerCut(numbers);
    // Whoever was killed before has not made anything durable since.
    this.account.powerCut(pod.name, pod.downMs, this.failing.get(pod));
    const needed = new Set([...this.account.needed()].map(({ token }) => token));
    this.owed.set(
      pod,
      (this.owed.get(pod) ?? []).filter(({ token }) => needed.has(token)),
    );
    this.died(pod);
  }

  /** Its disk fails from now on, until it is started anew. */
  fails(pod: SimulatedPod, call: 'write' | 'sync', after: number): void {
    pod.disk.fault = { call, after };
    this.failing.set(pod, this.stage.nowMs);
  }

  isFailing(pod: SimulatedPod): boolean {
    return this.failing.has(pod);
  }

  /** Machine and disk are gone: what it alone was given is gone with it. */
  destroy(pod: SimulatedPod): void {
    this.look();
    this.struck();
    pod.destroy();
    this.died(pod);
    this.account.destroyed(pod.name);
    this.users.delete(pod);
    this.owed.delete(pod);
    this.pods.splice(this.pods.indexOf(pod), 1);
  }

  async restart(pod: SimulatedPod): Promise<void> {
    if (!pod.isUp) return;
    pod.disk.limitBytes = undefined;
    this.look();
    this.leaveOwing(pod, () => true);
    await pod.stop();
    this.died(pod);
    await this.start(pod);
  }

  /** Starts a pod alone; what it owes its user it has, before any other can be reached. */
  async start(pod: SimulatedPod): Promise<void> {
    if (pod.isUp) return;
    // A pod does not start on a disk that is full to the last byte, or that fails.
    pod.disk.limitBytes = undefined;
    pod.disk.fault = undefined;
    this.failing.delete(pod);
    await pod.start({ alone: true });
    await this.checkOwed(pod);
    pod.enter();
  }

  /** Looks who has what: what one lets go of while another is up is not the death of that other one. */
  look(): void {
    this.keepers.check(this.pods, this.stage.nowMs);
  }

  /** It is about to. */
  private dies(pod: SimulatedPod): void {
    if (!pod.isUp) return;
    this.look();
    this.struck();
    this.leaveOwing(pod, () => true);
  }

  private died(pod: SimulatedPod): void {
    const user = this.userOf(pod);
    if (user.busy !== undefined) this.say(`${pod.name}: ${user.busy} was never answered`);
    user.lost();
    this.keepers.doubt(pod);
  }

  /** What was written at the pod and is there now, it must be able to show again. */
  private leaveOwing(pod: SimulatedPod, isPromised: (written: Written) => boolean): void {
    if (!pod.isUp) return;
    const owed = [...this.account.needed()].filter((each) => each.pod === pod.name && isPromised(each));
    const there = pod.ask(({ tree, content, files }) => {
      const isStaged = files.unpublished() > 0;
      return owed.filter(({ token, bytes, inode }) => {
        const node = tree.node(inode);
        if (node === undefined) return false;
        const isNamed = node.content === `c${token}` || (node.content.startsWith('m') && node.size === bytes);
        // What is staged is read over what was there before.
        return (isNamed || isStaged) && content.presence(node.content) === 'here';
      });
    });
    this.owed.set(pod, there);
  }

  private async checkOwed(pod: SimulatedPod): Promise<void> {
    const owed = this.owed.get(pod) ?? [];
    this.owed.delete(pod);
    if (owed.length === 0) return;
    const isReady = await this.stage.until(() => pod.ask((running) => running.isReady()), READY_WITHIN_MS);
    assert.ok(isReady, `${pod.name} alone does not come to rest`);
    // What is staged over bytes that are elsewhere has to wait for the others.
    await this.stage.until(() => pod.ask(({ files }) => files.unpublished() === 0), SOON_MS);
    const rotten = this.keepers.rottenAt(pod);
    // What is staged still after that is read over bytes that are elsewhere.
    const waits = pod.ask(({ files }) => files.unpublished() > 0);
    const isStaged = (inode: InodeId, { files }: Running) => {
      const stat = waits ? files.stat(inode) : undefined;
      return stat !== undefined && !(stat instanceof Promise) && stat.size > STAGED_WHOLE_BYTES;
    };
    const isSound = ({ inode }: Place, running: Running) => {
      const { tree, content } = running;
      const id = tree.node(inode)?.content ?? '';
      return content.presence(id) === 'here' && !rotten.has(id.slice(1)) && !isStaged(inode, running);
    };
    const { tokens } = await this.seen(pod, isSound);
    this.reached.owed++;
    const lost = owed
      .filter(
        ({ token, bytes }) =>
          !tokens.has(token) && !rotten.has(token) && !(waits && bytes > STAGED_WHOLE_BYTES),
      )
      .map(({ token }) => token);
    assert.deepEqual(lost, [], `${pod.name} alone does not have what it had promised`);
  }
}
