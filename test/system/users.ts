import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually, type TestPod } from './pods.js';

const PROGRAM = fileURLToPath(new URL('./user-program.js', import.meta.url));
/** What a user said before it did something has come by then. */
const SAID_WITHIN_MS = 200;
/** Lines of one path that are kept. */
const SAID_MAX = 6;

type Allowed = ReadonlySet<string | null> | 'anything';

/** What a program on a mount was told: of each path the hashes that it may have, null for no file. */
export class Manifest {
  readonly failures = new Map<string, number>();
  /** What was not as it had been written when it was read or appended to. */
  readonly wrong: string[] = [];
  /** Names and contents that the file system said are there. */
  acknowledged = 0;
  private readonly may = new Map<string, Allowed>();
  /** The last that was said of each path, to tell of what is lost. */
  private readonly said = new Map<string, string[]>();

  get size(): number {
    return this.may.size;
  }

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
    this.said.set(said.path, [...(this.said.get(said.path) ?? []).slice(1 - SAID_MAX), line]);
    if (said.may !== undefined)
      this.may.set(said.path, said.may === 'anything' ? said.may : new Set(said.may));
    else {
      this.acknowledged++;
      this.may.set(said.path, new Set([said.is ?? null]));
    }
  }

  /** What is not as it may be on a mount, in words. Its user may go on: what changes meanwhile is passed over. */
  async lost(mount: string): Promise<string[]> {
    const suspects = [...this.may].filter(([path, allowed]) => !isAllowed(mount, path, allowed));
    if (suspects.length === 0) return [];
    await delay(SAID_WITHIN_MS);
    return suspects.flatMap(([path, allowed]) => {
      if (allowed === 'anything' || this.may.get(path) !== allowed || isAllowed(mount, path, allowed))
        return [];
      const words = [...allowed].map((each) => each?.slice(0, 8) ?? 'gone').join(' or ');
      const is = hashOf(join(mount, path))?.slice(0, 8) ?? 'gone';
      return [`${path} is ${is}, not ${words}, after ${this.said.get(path)?.join(' ')}`];
    });
  }
}

function isAllowed(mount: string, path: string, allowed: Allowed): boolean {
  return allowed === 'anything' || allowed.has(hashOf(join(mount, path)));
}

function hashOf(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null;
    throw error;
  }
}

/** Somebody who works on a pod's mount, as user-program.ts does, until told to end; what fails is tried otherwise. */
export class User {
  readonly pod: TestPod;
  readonly manifest = new Manifest();
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  /**
   * @param options.pauseMs between two acts, about
   * @param options.folder of its own: nobody else has been there
   */
  constructor(pod: TestPod, options: { seed: number; pauseMs: number; folder?: string }) {
    this.pod = pod;
    const args = [PROGRAM, pod.mount, options.folder ?? pod.name, `${options.seed}`, `${options.pauseMs}`];
    this.child = spawn(process.execPath, args, { cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.child;
    assert.ok(stdout !== null);
    createInterface({ input: stdout }).on('line', (line) => this.manifest.take(line));
    this.ended = new Promise((resolve) => this.child.on('close', resolve));
  }

  /** Resolves when so much more was acknowledged. */
  async goesOn(count: number): Promise<void> {
    const from = this.manifest.acknowledged;
    await eventually(
      () => assert.ok(this.manifest.acknowledged >= from + count, `${this.pod.name}: the user is stuck`),
      60_000,
    );
  }

  /** It ends after what it does now. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.ended;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** The daemon dies as by a power button; its mount must go by itself, and soon. */
export async function killDaemon(pod: TestPod): Promise<void> {
  assert.ok(statSync(pod.mount).ino === 1, `${pod.name} was not mounted before the kill`);
  process.kill(pod.pid, 'SIGKILL');
  await eventually(() => {
    assert.notEqual(statSync(pod.mount).ino, 1, `${pod.name}: the mount is still there`);
    assert.deepEqual(readdirSync(pod.mount), []);
  }, 10_000);
}
