/**
 * `npm run soak` (SOAK_SECONDS, ten minutes by itself): mixed work on three mounts, with a fault every twenty seconds.
 * Nothing that was acknowledged is lost, nothing grows, and the main thread always has its turn soon.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Numbers } from '../tree/simulation/numbers.js';
import { makeNetwork, namespacesMissing } from './namespaces.js';
import { endAll, eventually, residentMegabytes, TestPod } from './pods.js';

const WORKER = fileURLToPath(new URL('./soak-worker.js', import.meta.url));
const seconds = Number(process.env['SOAK_SECONDS'] ?? 600);
const seed = Number(process.env['WORMHOLE_SEED'] ?? Date.now() % 1_000_000);
const SAMPLE_MS = 5_000;
const FAULT_EVERY_MS = 20_000;
const AGREE_WITHIN_MS = 180_000;
/** Fewer say nothing. */
const SAMPLES_MIN = 8;
const LOOP_DELAY_SECONDS_MAX = 0.1;
/** What may be more at the end than in the middle: history in the document, and what happens to be under way. */
const GROWTH = { memoryShare: 1.2, memoryBytes: 32e6, descriptors: 24, resources: 24 };

interface Sample {
  atMs: number;
  pid: number;
  memoryBytes: number;
  descriptors: number;
  resources: number;
  loopDelay: number;
}

/** What users were told: of each path the hashes that it may have, null for no file. */
class Manifest {
  readonly may = new Map<string, Set<string | null> | 'anything'>();
  acknowledged = 0;
  readonly failures = new Map<string, number>();
  readonly wrong: string[] = [];

  take(line: string): void {
    const said = JSON.parse(line) as {
      path?: string;
      may?: (string | null)[] | 'anything';
      is?: string | null;
      failed?: string;
      wrong?: string;
    };
    if (said.wrong !== undefined) this.wrong.push(said.wrong);
    if (said.failed !== undefined) this.failures.set(said.failed, (this.failures.get(said.failed) ?? 0) + 1);
    if (said.path === undefined) return;
    if (said.may === 'anything') this.may.set(said.path, said.may);
    else if (said.may !== undefined) this.may.set(said.path, new Set(said.may));
    else {
      this.acknowledged++;
      this.may.set(said.path, new Set([said.is ?? null]));
    }
  }

  /** @returns the paths of a mount that are not as they may be */
  lost(mount: string): string[] {
    return [...this.may].flatMap(([path, allowed]) => {
      if (allowed === 'anything') return [];
      const is = hashOf(join(mount, path));
      return allowed.has(is)
        ? []
        : [
            `${path} is ${is?.slice(0, 8) ?? 'gone'}, not ${[...allowed].map((each) => each?.slice(0, 8) ?? 'gone').join(' or ')}`,
          ];
    });
  }
}

function hashOf(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null;
    throw error;
  }
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
    // Without what is mapped of the database, which the kernel takes back when it needs it.
    memoryBytes: residentMegabytes(pod.pid) * 1e6,
    descriptors: value('process_open_fds'),
    resources: value('nodejs_active_resources'),
    loopDelay: value('wormhole_event_loop_delay_seconds', '0.999'),
  };
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

class Soak {
  private readonly folder = mkdtempSync(join(tmpdir(), 'wormhole-soak-'));
  private readonly lan = makeNetwork(3);
  private readonly pods = ['alpha', 'beta', 'gamma'].map(
    (name, at) => new TestPod(this.lan.hosts[at], name, this.folder),
  );
  private readonly numbers = new Numbers(seed);
  private readonly manifest = new Manifest();
  private readonly workers: ChildProcess[] = [];
  private readonly samples = new Map(this.pods.map((pod) => [pod.name, [] as Sample[]]));
  /** The last of each run of a daemon. */
  private readonly lastOfRun = new Map<number, Sample>();
  private readonly faults = { kill: 0, cut: 0, stop: 0 };
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
      }
      await this.check();
    } finally {
      for (const worker of this.workers) worker.kill('SIGKILL');
      await endAll(this.pods).catch((error) => console.error(error));
      await this.lan.remove();
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  private async begin(): Promise<void> {
    const [alpha, ...others] = this.pods as [TestPod, ...TestPod[]];
    await alpha.create('soak');
    for (const pod of others) await pod.join(alpha);
    for (const pod of this.pods) {
      const args = [WORKER, pod.mount, pod.name, String(this.numbers.below(2 ** 31))];
      const worker = spawn(process.execPath, args, { cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
      assert.ok(worker.stdout !== null);
      createInterface({ input: worker.stdout }).on('line', (line) => this.manifest.take(line));
      this.workers.push(worker);
    }
  }

  private async look(pod: TestPod): Promise<void> {
    const now = await sample(pod);
    this.samples.get(pod.name)?.push(now);
    this.lastOfRun.set(now.pid, now);
  }

  /** The last pod's daemon is never killed: how it grows is what is watched. */
  private async strike(): Promise<void> {
    assert.ok(this.manifest.acknowledged > 0, 'nothing was acknowledged before a fault');
    const kind = this.numbers.pick(['kill', 'cut', 'stop'] as const);
    const pod = this.numbers.pick(kind === 'kill' ? this.pods.slice(0, -1) : this.pods);
    const forMs = 1_000 + this.numbers.below(5_000);
    console.log(
      `${this.seconds()} ${kind} ${pod.name} for ${forMs} ms; ${this.manifest.acknowledged} acknowledged`,
    );
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
      assert.equal(statSync(pod.mount).ino, 1, `${pod.name} was not mounted before the kill`);
      process.kill(pod.pid, 'SIGKILL');
      await setTimeout(forMs);
      await pod.up();
      await this.look(pod);
    }
  }

  private seconds(): string {
    return ((performance.now() - this.startedMs) / 1_000).toFixed(0).padStart(4);
  }

  private async check(): Promise<void> {
    for (const pod of this.pods) await this.look(pod);
    const ended = this.workers.map((worker) => new Promise((resolve) => worker.on('close', resolve)));
    for (const worker of this.workers) worker.stdin?.end();
    await Promise.all(ended);
    console.log(
      `${this.seconds()} ${this.manifest.acknowledged} acknowledged, ${this.manifest.may.size} paths, faults`,
      this.faults,
      'failed calls',
      Object.fromEntries(this.manifest.failures),
    );
    assert.deepEqual(this.manifest.wrong, []);
    assert.ok(Object.values(this.faults).some((count) => count > 0) || seconds < 30, 'no fault struck');
    for (const pod of this.pods) {
      await eventually(
        () => assert.deepEqual(this.manifest.lost(pod.mount), [], `${pod.name}${pod.logTail()}`),
        AGREE_WITHIN_MS,
      );
      console.log(`${this.seconds()} ${pod.name} has all`);
    }
    this.checkLoop();
    this.checkGrowth();
  }

  private checkGrowth(): void {
    const [pod] = this.pods.slice(-1) as [TestPod];
    const all = (this.samples.get(pod.name) ?? []).filter(({ pid }) => pid === pod.pid);
    const part = (from: number, to: number) =>
      all.filter(
        ({ atMs }) =>
          atMs >= this.startedMs + seconds * 1e3 * from && atMs <= this.startedMs + seconds * 1e3 * to,
      );
    const [middle, end] = [part(0.4, 0.6), part(0.85, 1.1)];
    if (middle.length < SAMPLES_MIN) {
      console.log('too short to tell whether anything grows');
      return;
    }
    const figure = (of: Sample[], name: keyof Sample) => median(of.map((each) => each[name]));
    for (const name of ['memoryBytes', 'descriptors', 'resources'] as const)
      console.log(
        `${pod.name} ${name}: ${figure(middle, name)} in the middle, ${figure(end, name)} at the end`,
      );
    assert.ok(
      figure(end, 'memoryBytes') <= figure(middle, 'memoryBytes') * GROWTH.memoryShare + GROWTH.memoryBytes,
      'memory grows',
    );
    for (const name of ['descriptors', 'resources'] as const)
      assert.ok(figure(end, name) <= figure(middle, name) + GROWTH[name], `${name} grow`);
  }

  private checkLoop(): void {
    const delays = [...this.lastOfRun.values()].map(({ loopDelay }) => loopDelay);
    const [worst, typical] = [Math.max(...delays), median(delays)];
    console.log(
      `p99.9 of the main thread's delay: ${(typical * 1e3).toFixed(0)} ms in most runs of a daemon, ${(worst * 1e3).toFixed(0)} ms in the worst`,
    );
    const [pod] = this.pods.slice(-1) as [TestPod];
    const whole = this.lastOfRun.get(pod.pid)?.loopDelay ?? Number.NaN;
    console.log(`p99.9 over the whole of ${pod.name}: ${(whole * 1e3).toFixed(0)} ms`);
    assert.ok(whole <= LOOP_DELAY_SECONDS_MAX, 'the main thread is held up');
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
