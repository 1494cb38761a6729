import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from '../../src/cli/process.js';
import { callDaemon } from '../../src/daemon/client.js';
import type { ControlCalls, ControlName, Inspection, Status } from '../../src/daemon/control.js';
import { listPods } from '../../src/daemon/home.js';
import type { DaemonReady } from '../../src/daemon/order.js';
import type { Host } from './namespaces.js';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Between two looks of {@link eventually}: as long as one takes, within these. */
const [PAUSE_MS_MIN, PAUSE_MS_MAX] = [25, 250];
/** A daemon says that it stops at once. */
const STOP_ANSWER_MS = 30_000;

export const WH = join(import.meta.dirname, '..', '..', '..', 'bin', 'wh');

/** Runs a command to its end; never throws for its exit code. */
export function run(
  host: Host | undefined,
  command: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; input?: string; timeoutMs?: number } = {},
): Promise<CommandResult> {
  const [program = '', ...args] = [...into(host), ...command];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? '/',
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({
        code: code ?? -1,
        stdout,
        stderr: signal === null ? stderr : `${stderr}(ended by ${signal})`,
      });
    });
    // A program that ends without reading its input is none of our business.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** Runs what follows on a host, in this process' own mount namespace (`ip netns exec` would make a new one, and
 *  its mounts could not be seen from here). */
function into(host: Host | undefined): string[] {
  return host === undefined ? [] : ['nsenter', `--net=/run/netns/${host.name}`];
}

/** Bytes that a host's network interface has received. */
export function receivedBytes(host: Host): number {
  return Number(host.run('cat', ['/sys/class/net/eth0/statistics/rx_bytes']));
}

/** As {@link run}, but a failure is an error that shows what was said. */
export async function must(
  host: Host | undefined,
  command: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const result = await run(host, command, options);
  assert.equal(
    result.code,
    0,
    `${command.join(' ')}: exit ${result.code}\n${result.stdout}\n${result.stderr}`,
  );
  return result.stdout;
}

/** One pod as its user has it: a home, a mount, and `wh`. */
export class TestPod {
  readonly host: Host | undefined;
  readonly name: string;
  readonly home: string;
  readonly mount: string;
  /** Process id of the daemon that this test last started. */
  pid = 0;
  /** Of its daemon and of `wh`, beside what they inherit. */
  readonly env: Record<string, string> = {};

  constructor(host: Host | undefined, name: string, folder: string, home = join(folder, name, 'home')) {
    this.host = host;
    this.name = name;
    this.home = home;
    this.mount = join(folder, name, 'mnt');
    mkdirSync(this.mount, { recursive: true });
  }

  wh(...args: string[]): Promise<CommandResult> {
    return run(this.host, [WH, ...args], { env: { ...this.env, WH_HOME: this.home } });
  }

  async ok(...args: string[]): Promise<string> {
    const result = await this.wh(...args);
    assert.equal(
      result.code,
      0,
      `${this.name}: wh ${args.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}${this.logTail()}`,
    );
    return result.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  /** What `wh` would ask the daemon, without starting `wh`, which costs half a second of processor time. */
  async ask<Name extends ControlName>(
    name: Name,
    args: ControlCalls[Name]['arguments'],
  ): Promise<ControlCalls[Name]['result']> {
    const [pod] = listPods(this.home);
    assert.ok(pod !== undefined, `${this.name} has no pod in ${this.home}`);
    return callDaemon(pod.paths.socket, name, args);
  }

  status(): Promise<Status> {
    return this.ask('status', {});
  }

  /** Waits until all that was written is in the document: what was written elsewhere meanwhile is in conflict with it
   *  then, while before it becomes a file of its own. */
  recorded(): Promise<void> {
    return eventually(async () => {
      const metrics = await this.ask('metrics', {});
      for (const waiting of ['wormhole_unpublished_files', 'wormhole_pending_operations'])
        assert.equal(metrics.find(({ name }) => name === waiting)?.samples[0]?.value, 0, waiting);
    });
  }

  /** What is told about a file, of which the holders are asked now. */
  inspect(path: string): Promise<Inspection> {
    return this.ask('inspect', { path });
  }

  /** Makes the network that a file declares. @returns codes by the names of the other pods */
  async declare(file: string): Promise<Map<string, string>> {
    const made = await this.json<DaemonReady & { invites: { pod: string; code: string }[] }>(
      ...['up', '-f', file, this.mount, '--pod', this.name],
    );
    this.started(made);
    return new Map(made.invites.map(({ pod, code }) => [pod, code]));
  }

  /** Comes in by a code that is for this pod only: its name comes with it. */
  async joinBy(code: string | undefined): Promise<void> {
    assert.ok(code !== undefined, `there is no code for ${this.name}`);
    const ready = await this.json<DaemonReady>('join', code, this.mount);
    assert.equal(ready.pod, this.name, 'its name comes with the invite');
    this.started(ready);
  }

  async create(network: string, options: { port?: number } = {}): Promise<void> {
    this.started(await this.json('new', network, this.mount, '--pod', this.name, ...flagsOf(options)));
  }

  /** Lets this pod in by a fresh invite of `inviter`. */
  async join(
    inviter: TestPod,
    { role, ...options }: { role?: 'portal'; address?: string; port?: number } = {},
  ): Promise<void> {
    const { code } = await inviter.json<{ code: string }>('invite', ...flagsOf({ role }));
    this.started(await this.json('join', code, this.mount, '--pod', this.name, ...flagsOf(options)));
  }

  async up(): Promise<void> {
    this.started(await this.json('up'));
  }

  private started(ready: DaemonReady): void {
    this.pid = ready.pid;
  }

  path(...parts: string[]): string {
    return join(this.mount, ...parts);
  }

  /** The daemon's log, for messages of failed tests. */
  logTail(lines = 40): string {
    for (const network of safeList(this.home)) {
      try {
        const text = readFileSync(join(this.home, network, 'daemon.log'), 'utf8');
        return `\n--- log of ${this.name}\n${text.split('\n').slice(-lines).join('\n')}`;
      } catch {
        // Not a pod's folder.
      }
    }
    return '';
  }
}

function flagsOf(options: Record<string, string | number | undefined>): string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, `${value}`],
  );
}

function safeList(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Ends the daemons of these pods, all at once, and resolves when they and their mounts are gone. Pods that were not made,
 *  or have none, are passed over. */
export async function endAll(pods: Iterable<TestPod | undefined>): Promise<void> {
  const all = await Promise.all([...pods].filter((pod) => pod !== undefined).map(tellToStop));
  await eventually(() => {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    for (const { name, pid, mount } of all) {
      assert.ok(!isDaemon(pid), `${name} still runs`);
      assert.ok(!mounts.includes(` ${mount} `), `${name} is still mounted`);
    }
  }, 30_000);
}

type Stopping = { name: string; pid: number; mount: string };

/** @returns which process has to end for that */
async function tellToStop({ name, pid, home, mount }: TestPod): Promise<Stopping> {
  const [pod] = listPods(home);
  const signal = AbortSignal.timeout(STOP_ANSWER_MS);
  // One that is dead already cannot be asked, and its watchdog takes the mount away.
  const stopping = pod && (await callDaemon(pod.paths.socket, 'stop', {}, { signal }).catch(() => undefined));
  return { name, mount, pid: stopping?.pid ?? pid };
}

/** Whether a daemon still runs: its number may be another program's by now. */
function isDaemon(pid: number): boolean {
  if (pid === 0 || !isAlive(pid)) return false;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return words === '' || words.includes('daemon/main.js');
  } catch {
    return false;
  }
}

/** Every path below a folder with its type, size and SHA-256 (or target): equal trees give equal lists. */
export function fingerprint(folder: string, below = ''): string[] {
  const lines: string[] = [];
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) lines.push(`${path}/`, ...fingerprint(folder, path));
    else if (entry.isSymbolicLink()) lines.push(`${path} -> ${readlinkSync(join(folder, path))}`);
    else if (entry.isFile()) {
      const bytes = readFileSync(join(folder, path));
      lines.push(`${path} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`);
    } else lines.push(`${path} other`);
  }
  return lines.sort();
}

/** Tries until the check holds. The last failure is thrown with its own message. */
export async function eventually(check: () => void | Promise<void>, timeoutMs = 60_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const begin = performance.now();
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
      // A check that reads whole trees must not keep those from working for whom it waits.
      const pause = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, performance.now() - begin));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** Anonymous memory of a process, all threads, in MB. */
export function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1000;
}

/** Processor time that a process has used, in ms. */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
