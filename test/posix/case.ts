import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SystemCalls } from './system-calls.js';

/** What a case needs beside the folder; a run without it is skipped with that reason. */
export type Need = 'root' | 'python3';

/** One thing that a local folder does. */
export interface PosixCase {
  name: string;
  needs?: Need[];
  /** @param folder empty, absolute, of this case alone; the file system below it is served by another process */
  run(folder: string, system: SystemCalls): Promise<void> | void;
}

/** The system's own before wrappers that choose a version and take their time. */
export const environment = { ...process.env, PATH: `/usr/bin:${process.env['PATH'] ?? ''}` };
const hasPython = spawnSync('python3', ['--version'], { env: environment }).status === 0;

/** Why a case cannot run here, or undefined when it can. */
export function missing(posixCase: PosixCase): string | undefined {
  for (const need of posixCase.needs ?? []) {
    if (need === 'root' && process.geteuid?.() !== 0) return 'needs root';
    if (need === 'python3' && !hasPython) return 'needs python3';
  }
  return undefined;
}

/** Runs a case in a folder of its own below `parent`, and removes it. */
export async function runCase(posixCase: PosixCase, parent: string, system: SystemCalls): Promise<void> {
  const folder = join(parent, `case-${posixCase.name.replace(/[^a-z0-9]+/gi, '-').slice(0, 100)}`);
  mkdirSync(folder, { mode: 0o755 });
  try {
    await posixCase.run(folder, system);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Asserts that a call fails with one of these errno names. */
export function fails(call: () => unknown, ...codes: string[]): void {
  assert.throws(call, (error: unknown) => {
    const code = String((error as NodeJS.ErrnoException).code);
    assert.ok(codes.includes(code), `failed with ${code} instead of ${codes.join(' or ')}: ${String(error)}`);
    return true;
  });
}

/** Runs Python for what Node has no call for: mapped files, locks, extended attributes, renameat2 …
 *  @returns what it printed */
export function python(script: string, ...parameters: string[]): string {
  const result = spawnSync('python3', ['-c', script, ...parameters], {
    encoding: 'utf8',
    cwd: '/',
    env: environment,
  });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

/** Runs shell code as another user; `$1` and so on are the parameters. */
export function asNobody(script: string, ...parameters: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', ...parameters], {
    encoding: 'utf8',
    cwd: '/',
    uid: 65534,
    gid: 65534,
  });
  return { status, stderr };
}

/** Numbers that look random and are the same in each run (a linear congruential generator). */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

/** Bytes that differ from each other everywhere. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  const next = numbers(seed);
  for (let at = 0; at < length; at += 1) bytes[at] = next(256);
  return bytes;
}
