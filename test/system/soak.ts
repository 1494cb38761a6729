/**
 * `npm run soak` (SOAK_SECONDS, ten minutes by itself): mixed work on three mounts, with a fault every twenty seconds.
 * Nothing that was acknowledged is lost, nothing grows, and the main thread always has its turn soon.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Numbers } from '../tree/simulation/numbers.js';
import { makeNetwork, namespacesMissing } from './namespaces.js';
import { endAll, eventually, fingerprint, must, residentMegabytes, TestPod } from './pods.js';
import { killDaemon, User } from './users.js';

const HEAP_LOOK = fileURLToPath(new URL('./heap-look.js', import.meta.url));
const seconds = Number(process.env['SOAK_SECONDS'] ?? 600);
const seed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);
const PAUSE_MS = 60;
const SAMPLE_MS = 5_000;
const FAULT_EVERY_MS = 20_000;
const AGREE_WITHIN_MS = 180_000;
/** The share of the time after which caches are full, and how things grow is watched. */
const WARM = 0.4;
/** Fewer samples of a part of the time say nothing. */
const SAMPLES_MIN = 8;
const LOOP_DELAY_SECONDS_MAX = 0.1;
/** What may be more at the end than once it was warm: what happens to be under way. */
const GROWTH_MAX = { descriptors: 24, resources: 24, heapBytes: 8e6, memoryBytes: 24e6 };
/** The document keeps every change, so that it grows with what was done: an act is a few changes on each pod. */
const BYTES_PER_ACT_MAX = 4_000;

interface Sample {
  atMs: number;
  pid: number;
  descriptors: number;
  resources: number;
  loopDelay: number;
}

/** After a collection of garbage, in bytes. */
interface Memory {
  main: number;
  threads: Record<string, number>;
  /** Anonymous: without what is mapped of the database, which the kernel takes back when it needs it. */
  resident: number;
  /** So many acts of users were acknowledged by then. */
  acts: number;
}

async function sample(pod: TestPod): Promise<Sample> {
  const metrics = await pod.ask('metrics', {});
  const value = (name: string, quantile?: string) =>
    metrics
      .find((metric) => metric.name === name)
      ?.samples.find(({ labels }) => labels['quantile'] === quantile)?.value ?? Number.NaN;
  return {
    atMs: performance.now(),
    pid: pod.pid,
    descriptors: value('process_open_fds'),
    resources: value('nodejs_active_resources'),
    loopDelay: value('wormhole_event_loop_delay_seconds', '0.999'),
  };
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

class Soak {
  private readonly folder = mkdtempSync(join(tmpdir(), 'wormhole-soak-'));
  private readonly lan = makeNetwork(3);
  private readonly pods = ['alpha', 'beta', 'gamma'].map(
    (name, at) => new TestPod(this.lan.hosts[at], name, this.folder),
  );
  /** Its daemon is never killed: how it grows is what is watched. */
  private readonly lasting = this.pods.at(-1) as TestPod;
  private readonly numbers = new Numbers(seed);
  private readonly users: User[] = [];
  private readonly samples: Sample[] = [];
  /** The last of each run of a daemon. */
  private readonly lastOfRun = new Map<number, Sample>();
  private warm: Memory | undefined;
  private readonly faults = { kill: 0, cut: 0, stop: 0 };
  private readonly troubles: string[] = [];
  private readonly startedMs = performance.now();

  async run(): Promise<void> {
    try {
      await this.begin();
      const end = this.startedMs + seconds * 1_000;
      let fault = performance.now() + FAULT_EVERY_MS / 2;
      while (performance.now() < end) {
        await setTimeout(SAMPLE_MS);
        for (const pod of this.pods) await this.look(pod);
        if (performance.now() < fault) continue;
        await this.strike();
        fault = performance.now() + FAULT_EVERY_MS / 2 + this.numbers.below(FAULT_EVERY_MS);
        if (this.elapsed >= WARM) this.warm ??= await this.memory();
      }
      await this.check();
    } finally {
      for (const user of this.users) user.kill();
      await endAll(this.pods.filter(({ pid }) => pid > 0)).catch((error) => console.error(error));
      await this.lan.remove();
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  private get elapsed(): number {
    return (performance.now() - this.startedMs) / (seconds * 1e3);
  }

  private get acts(): number {
    return this.users.reduce((sum, { manifest }) => sum + manifest.acknowledged, 0);
  }

  private async begin(): Promise<void> {
    const [alpha, ...others] = this.pods as [TestPod, ...TestPod[]];
    await alpha.create('soak');
    for (const pod of others) await pod.join(alpha);
    for (const pod of this.pods)
      this.users.push(new User(pod, { seed: this.numbers.below(2 ** 31), pauseMs: PAUSE_MS }));
  }

  private async look(pod: TestPod): Promise<void> {
    const now = await sample(pod);
    if (pod === this.lasting) this.samples.push(now);
    this.lastOfRun.set(now.pid, now);
  }

  private async memory(): Promise<Memory> {
    const { host, pid } = this.lasting;
    const used = JSON.parse(await must(host, [process.execPath, HEAP_LOOK, `${pid}`])) as Memory;
    return { ...used, resident: residentMegabytes(pid) * 1e6, acts: this.acts };
  }

  private async strike(): Promise<void> {
    assert.ok(this.acts > 0, 'nothing was acknowledged before a fault');
    const kind = this.numbers.pick(['kill', 'cut', 'stop'] as const);
    const pod = this.numbers.pick(kind === 'kill' ? this.pods.slice(0, -1) : this.pods);
    const forMs = 1_000 + this.numbers.below(5_000);
    this.say(`${kind} ${pod.name} for ${forMs} ms; ${this.acts} acknowledged`);
    this.faults[kind]++;
    if (kind === 'cut') {
      pod.host?.cut(this.numbers.pick(['cable', 'switch'] as const));
      await setTimeout(forMs);
      pod.host?.heal();
    } else if (kind === 'stop') {
      process.kill(pod.pid, 'SIGSTOP');
      await setTimeout(forMs);
      process.kill(pod.pid, 'SIGCONT');
    } else {
      await killDaemon(pod);
      await setTimeout(forMs);
      await pod.up();
      await this.look(pod);
    }
  }

  private say(line: string): void {
    console.log(`${((performance.now() - this.startedMs) / 1_000).toFixed(0).padStart(4)} ${line}`);
  }

  private async check(): Promise<void> {
    for (const pod of this.pods) await this.look(pod);
    await Promise.all(this.users.map((user) => user.end()));
    // Before all of it is read below, which fills caches.
    const memory = await this.memory();
    this.say(`${this.acts} acknowledged, faults ${JSON.stringify(this.faults)}`);
    for (const { manifest, pod } of this.users) {
      this.say(`${pod.name}: failed calls ${JSON.stringify(Object.fromEntries(manifest.failures))}`);
      assert.deepEqual(manifest.wrong, [], pod.name);
    }
    assert.ok(Object.values(this.faults).some((count) => count > 0) || seconds < 30, 'no fault struck');
    for (const pod of this.pods) {
      await eventually(async () => {
        for (const { manifest } of this.users)
          assert.deepEqual(await manifest.lost(pod.mount), [], `${pod.name}${pod.logTail()}`);
        assert.deepEqual(fingerprint(pod.mount), fingerprint(this.lasting.mount), pod.name);
      }, AGREE_WITHIN_MS);
      this.say(`${pod.name} has all`);
    }
    this.checkHandles();
    this.checkMemory(memory);
    this.checkLoop();
    assert.deepEqual(this.troubles, []);
  }

  /** All figures are printed before one of them fails the run. */
  private expect(holds: boolean, trouble: string): void {
    if (!holds) this.troubles.push(trouble);
  }

  private checkHandles(): void {
    const part = (from: number, to: number) =>
      this.samples.filter(({ atMs }) => {
        const share = (atMs - this.startedMs) / (seconds * 1e3);
        return share >= from && share <= to;
      });
    const [warm, end] = [part(WARM, WARM + 0.2), part(0.8, 1.1)];
    if (warm.length < SAMPLES_MIN) {
      console.log('too short to tell whether handles grow');
      return;
    }
    for (const name of ['descriptors', 'resources'] as const) {
      const [before, after] = [warm, end].map((of) => median(of.map((each) => each[name]))) as [
        number,
        number,
      ];
      console.log(`${this.lasting.name} ${name}: ${before} once warm, ${after} at the end`);
      this.expect(after <= before + GROWTH_MAX[name], `${name} grow`);
    }
  }

  private checkMemory(end: Memory): void {
    const { warm, lasting } = this;
    if (warm === undefined) {
      console.log('too short to tell whether memory grows');
      return;
    }
    const acts = end.acts - warm.acts;
    for (const [title, before, after] of [
      ['main', warm.main, end.main] as const,
      ...Object.entries(end.threads).map(
        ([title, after]) => [title, warm.threads[title] ?? after, after] as const,
      ),
    ]) {
      console.log(
        `${lasting.name} heap of ${title}: ${megabytes(before)} once warm, ${megabytes(after)} at the end`,
      );
      this.expect(after <= before + GROWTH_MAX.heapBytes, `the heap of ${title} grows`);
    }
    const grown = end.resident - warm.resident;
    console.log(
      `${lasting.name} anonymous memory: ${megabytes(warm.resident)} once warm, ${megabytes(end.resident)} at the end, ${(grown / acts).toFixed(0)} bytes for each of ${acts} acts`,
    );
    this.expect(grown <= GROWTH_MAX.memoryBytes + acts * BYTES_PER_ACT_MAX, 'memory grows');
  }

  private checkLoop(): void {
    const delays = [...this.lastOfRun.values()].map(({ loopDelay }) => loopDelay);
    const ms = (value: number) => `${(value * 1e3).toFixed(0)} ms`;
    const whole = this.lastOfRun.get(this.lasting.pid)?.loopDelay ?? Number.NaN;
    console.log(
      `p99.9 of the main thread's delay: ${ms(whole)} over the whole of ${this.lasting.name}, ${ms(median(delays))} in most runs of a daemon, ${ms(Math.max(...delays))} in the worst`,
    );
    this.expect(whole <= LOOP_DELAY_SECONDS_MAX, 'the main thread is held up');
  }
}

const missing = namespacesMissing();
if (missing !== undefined) {
  console.error(`the soak cannot run: ${missing}`);
  process.exitCode = 1;
} else {
  console.log(`soak of ${seconds} s, WORMHOLE_SEED=${seed}`);
  await new Soak().run();
  console.log('nothing is lost, nothing grows');
}
