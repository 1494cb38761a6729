import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from './case.js';
import { SYSTEM_CALLS_SCRIPT } from './system-calls-script.js';

/** Whose rights a call has; numbers as in setresuid(2). */
export interface User {
  uid: number;
  gid: number;
  groups?: number[];
  umask?: number;
}

export interface Call {
  /** A function of Python's `os`, or one that the script adds (`renameat2`, `flock`, `lock` …). */
  name: string;
  /** Bytes go as a Buffer. */
  arguments: unknown[];
  keywords?: Record<string, unknown>;
  as?: User;
}

export type Outcome = { value: unknown } | { error: string };

export interface StatResult {
  st_mode: number;
  st_ino: number;
  st_dev: number;
  st_nlink: number;
  st_uid: number;
  st_gid: number;
  st_size: number;
  st_blocks: number;
  st_rdev: number;
  /** Nanoseconds since 1970, in decimal digits. */
  st_mtime_ns: string;
  st_ctime_ns: string;
}

/**
 * System calls that Node has no function for, or none as another user, made by a Python process that stays. Each
 * waits for its answer as a function of `fs` does; the file systems under test are served by other processes.
 */
export class SystemCalls {
  private readonly child: ChildProcess;
  private readonly folder: string;
  private readonly input: number;
  private readonly output: number;
  private readonly buffer = Buffer.alloc(1024 * 1024);

  private constructor(child: ChildProcess, folder: string, input: number, output: number) {
    this.child = child;
    this.folder = folder;
    this.input = input;
    this.output = output;
  }

  static async start(): Promise<SystemCalls> {
    const folder = mkdtempSync(join(tmpdir(), 'wormhole-calls-'));
    const [input, output] = [join(folder, 'input'), join(folder, 'output')];
    assert.equal(spawnSync('mkfifo', [input, output]).status, 0);
    const child = spawn('python3', ['-c', SYSTEM_CALLS_SCRIPT, input, output], {
      cwd: '/',
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout!, 'data');
    // It has both ends open by now or waits for us; from here on its death is the end of the output.
    return new SystemCalls(child, folder, openSync(input, 'w'), openSync(output, 'r'));
  }

  /** @returns what the call returns: numbers, texts, Buffers, a {@link StatResult}, a list
   *  @throws Error with the errno's name as `code` */
  call<T = unknown>(name: string, ...parameters: unknown[]): T {
    return this.run<T>({ name, arguments: parameters });
  }

  /** As {@link call}, with another user's rights. */
  as<T = unknown>(user: User, name: string, ...parameters: unknown[]): T {
    return this.run<T>({ name, arguments: parameters, as: user });
  }

  run<T = unknown>(call: Call): T {
    const [outcome] = this.many([call]);
    assert.ok(outcome !== undefined);
    if ('value' in outcome) return outcome.value as T;
    throw Object.assign(new Error(`${call.name}(${JSON.stringify(call.arguments)}): ${outcome.error}`), {
      code: outcome.error,
    });
  }

  /** Makes calls one after the other, whatever comes of them. */
  many(calls: readonly Call[]): Outcome[] {
    writeAll(this.input, `${JSON.stringify(calls.map(packed))}\n`);
    const outcomes = JSON.parse(this.readLine()) as Outcome[];
    return outcomes.map((outcome) => ('value' in outcome ? { value: unpacked(outcome.value) } : outcome));
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit');
    closeSync(this.input);
    closeSync(this.output);
    await exited;
    rmSync(this.folder, { recursive: true });
  }

  private readLine(): string {
    const parts: Buffer[] = [];
    for (;;) {
      const length = readSync(this.output, this.buffer);
      assert.ok(length > 0, 'the process that makes system calls is gone');
      parts.push(Buffer.from(this.buffer.subarray(0, length)));
      if (this.buffer[length - 1] === 10) return Buffer.concat(parts).toString('utf8');
    }
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

/** Bytes become `{"bytes": base64}`. */
function packed(call: Call): unknown {
  return { ...call, arguments: call.arguments.map(packedValue) };
}

function packedValue(value: unknown): unknown {
  return Buffer.isBuffer(value) ? { bytes: value.toString('base64') } : value;
}

function unpacked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpacked);
  const bytes = (value as { bytes?: unknown } | null)?.bytes;
  return typeof bytes === 'string' ? Buffer.from(bytes, 'base64') : value;
}
