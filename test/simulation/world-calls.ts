/**
 * Puts the stage under the product, before any of it is loaded: while an actor has its turn, the calls of Node that reach
 * for clock, disk, chance and threads are the stage's, else they are Node's own. Import it first, and for its effect.
 */
import crypto from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import { promisify } from 'node:util';
import threads from 'node:worker_threads';
import zlib from 'node:zlib';
import { disk, FIRST_DESCRIPTOR, SIMULATED } from './disk-calls.js';
import { type Actor, onStage, type Stage, type Turn } from './stage.js';
import { SimulatedThread } from './threads.js';

type Call = (...values: never[]) => unknown;
type Loose = (...values: unknown[]) => unknown;

/** A disk's answer takes so long, in milliseconds. */
const DISK_MS = 4;
/** Names that are asked for are in memory but once in so many times; those of a folder without any always. */
const COLD_ONCE = 8;

/** Replaces a function of an object by one that asks first whether the call is the stage's. */
function divert(owner: object, name: string, isOurs: (...values: unknown[]) => boolean, ours: Loose): void {
  const own = owner as Record<string, Loose>;
  const real = own[name] as Loose;
  function diverted(this: unknown, ...values: unknown[]): unknown {
    return isOurs(...values) ? ours(...values) : real.apply(this, values);
  }
  const custom = (real as { [promisify.custom]?: Loose })[promisify.custom];
  Object.defineProperty(diverted, promisify.custom, {
    value: (...values: unknown[]) =>
      new Promise((resolve, reject) => {
        if (!isOurs(...values) && custom !== undefined) return resolve(custom(...values));
        diverted(...values, (error: unknown, value: unknown, second: unknown) => {
          if (error != null) reject(error);
          else if (name === 'read') resolve({ bytesRead: value, buffer: second });
          else if (name === 'write') resolve({ bytesWritten: value, buffer: second });
          else resolve(value);
        });
      }),
  });
  Object.defineProperty(diverted, 'name', { value: name });
  own[name] = diverted;
}

const acting = () => onStage() !== undefined;
const here = () => onStage() as { stage: Stage; actor: Actor };

// ---- clock

class Timer {
  readonly repeatMs: number | undefined;
  private readonly act: () => void;
  private readonly ms: number;
  private readonly place = here();
  private turn: Turn | undefined;

  constructor(act: () => void, ms: number, repeats: boolean) {
    this.act = act;
    this.ms = Math.max(0, Number(ms) || 0);
    this.repeatMs = repeats ? Math.max(1, this.ms) : undefined;
    this.start();
  }

  start(): this {
    this.stop();
    this.turn = this.place.stage.after(this.place.actor, this.ms, () => {
      this.turn = undefined;
      if (this.repeatMs !== undefined) this.start();
      this.act();
    });
    return this;
  }

  stop(): void {
    if (this.turn !== undefined) this.turn.act = undefined;
    this.turn = undefined;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    return this.start();
  }
}

function divertTimers(): void {
  const isTimer = (timer: unknown) => timer instanceof Timer;
  const timer =
    (repeats: boolean) =>
    (act: unknown, ms: unknown, ...values: unknown[]) =>
      new Timer(() => (act as Loose)(...values), ms as number, repeats);
  divert(globalThis, 'setTimeout', acting, timer(false));
  divert(globalThis, 'setInterval', acting, timer(true));
  divert(globalThis, 'setImmediate', acting, (act, ...values) => timer(false)(act, 0, ...values));
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate'])
    divert(globalThis, name, isTimer, (each) => (each as Timer).stop());
  const later = (ms: number, value: unknown) =>
    new Promise((resolve) => here().stage.after(here().actor, ms, () => resolve(value)));
  divert(timers, 'setTimeout', acting, (ms, value) => later(ms as number, value));
  divert(timers, 'setImmediate', acting, (value) => later(0, value));
  divert(performance, 'now', acting, () => here().stage.nowMs);
  divert(Date, 'now', acting, () => START_MS + Math.floor(here().stage.nowMs) + here().actor.skewMs);
}

/** Midnight of some day. */
export const START_MS = 1_700_006_400_000;

// ---- chance, and work that Node does on other threads

function divertCrypto(): void {
  const bytes = (length: unknown) =>
    Buffer.from(
      here()
        .actor.numbers.bytes()
        .bytes(length as number),
    );
  divert(crypto, 'randomBytes', acting, bytes);
  divert(Math, 'random', acting, () => here().actor.numbers.below(2 ** 31) / 2 ** 31);
  divert(crypto.webcrypto.subtle, 'digest', acting, async (_, data) => {
    const digest = crypto
      .createHash('sha256')
      .update(data as Uint8Array)
      .digest();
    return digest.buffer.slice(digest.byteOffset, digest.byteOffset + digest.length);
  });
  divert(zlib, 'brotliDecompress', acting, (packed, options, done) =>
    answer(done, () => zlib.brotliDecompressSync(packed as Buffer, options as zlib.BrotliOptions)),
  );
}

function divertThreads(): void {
  const real = threads.Worker;
  function Worker(url: URL, options: { workerData: unknown }): object {
    return acting() ? new SimulatedThread(url, options) : new real(url, options as never);
  }
  (threads as { Worker: unknown }).Worker = Worker;
}

// ---- disk

/** Does something after the time that a disk takes. */
function slowly<T>(act: () => T, upToMs = DISK_MS): Promise<T> {
  const { stage, actor } = here();
  return new Promise((resolve, reject) => {
    stage.after(actor, 0.05 + (actor.numbers.below(1000) / 1000) * upToMs, () => {
      try {
        resolve(act());
      } catch (error) {
        reject(error);
      }
    });
  });
}

function answer(done: unknown, act: () => unknown, more: () => unknown[] = () => [], upToMs = DISK_MS): void {
  slowly(act, upToMs).then(
    (value) => (done as Loose)(null, value, ...more()),
    (error) => (done as Loose)(error),
  );
}

const isPath = (path: unknown) => typeof path === 'string' && path.startsWith(SIMULATED);
const isDescriptor = (descriptor: unknown) =>
  typeof descriptor === 'number' && descriptor >= FIRST_DESCRIPTOR;
const isEither = (target: unknown) => isPath(target) || isDescriptor(target);

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

function divertDisk(): void {
  const at = (name: keyof typeof disk) => disk[name] as Call as Loose;
  const now = {
    open: isPath,
    close: isDescriptor,
    read: isDescriptor,
    write: isDescriptor,
    stat: isPath,
  } as const;
  for (const [name, isOurs] of Object.entries(now))
    divert(fs, `${name}Sync`, isOurs, at(name as keyof typeof disk));
  for (const name of [
    'exists',
    'mkdir',
    'readdir',
    'unlink',
    'rm',
    'rename',
    'link',
    'readFile',
    'statfs',
    'truncate',
  ] as const)
    divert(fs, `${name}Sync`, isPath, at(name));
  divert(
    fs,
    'readFileSync',
    (path) => path === BOOT_ID && acting(),
    () => here().actor.bootId,
  );
  divert(fs, 'fstatSync', isDescriptor, at('stat'));
  divert(fs, 'ftruncateSync', isDescriptor, at('truncate'));
  for (const name of ['fsyncSync', 'fdatasyncSync'])
    divert(fs, name, isDescriptor, (fd) => disk.sync(fd as number)());
  divert(fs, 'writeFileSync', isEither, (target, data) => writeWhole(target as string | number, data));
  divertCallbacks();
  divertPromises();
}

function writeWhole(target: string | number, data: unknown): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array);
  const descriptor = typeof target === 'number' ? target : disk.open(target, 'w');
  disk.write(descriptor, bytes);
  if (typeof target !== 'number') disk.close(descriptor);
}

function divertCallbacks(): void {
  const done = (values: unknown[]) => values[values.length - 1];
  const plain = ['open', 'rename', 'unlink', 'link', 'stat'] as const;
  for (const name of plain)
    divert(fs, name, isPath, (...values) =>
      answer(done(values), () => (disk[name] as Call as Loose)(...values.slice(0, -1))),
    );
  divert(fs, 'close', isDescriptor, (fd, callback) => answer(callback, () => disk.close(fd as number)));
  for (const name of ['read', 'write'] as const)
    divert(fs, name, isDescriptor, (...values) => {
      const arguments_ = values.slice(0, -1);
      answer(
        done(values),
        () => (disk[name] as Call as Loose)(...arguments_),
        () => [values[1]],
      );
    });
  for (const name of ['fsync', 'fdatasync'])
    divert(fs, name, isDescriptor, (fd, callback) =>
      answer(callback, disk.sync(fd as number), () => [], disk.syncMs(fd as number)),
    );
}

function divertPromises(): void {
  const plain = ['unlink', 'rm', 'rename', 'link', 'readFile', 'statfs', 'truncate', 'mkdir'] as const;
  for (const name of plain)
    divert(fs.promises, name, isPath, (...values) => slowly(() => (disk[name] as Call as Loose)(...values)));
  const isCold = () => here().actor.numbers.once(COLD_ONCE);
  divert(fs.promises, 'stat', isPath, async (path) => {
    const ask = () => disk.stat(path as string);
    return isCold() ? slowly(ask) : ask();
  });
  divert(fs.promises, 'readdir', isPath, async (path) => {
    const ask = () => disk.readdir(path as string);
    const names = ask();
    return names.length > 0 && isCold() ? slowly(ask) : names;
  });
  divert(fs.promises, 'open', isPath, async (path, flags) => {
    const fd = await slowly(() => disk.open(path as string, flags as string));
    return {
      fd,
      writeFile: (data: unknown) => slowly(() => writeWhole(fd, data)),
      sync: () => slowly(disk.sync(fd), disk.syncMs(fd)),
      datasync: () => slowly(disk.sync(fd), disk.syncMs(fd)),
      close: () => slowly(() => disk.close(fd)),
    };
  });
}

divertTimers();
divertCrypto();
divertThreads();
divertDisk();
syncBuiltinESMExports();
