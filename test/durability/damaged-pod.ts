/** A small whole pod with something in every file of its store, made in this process. */
import { cpSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog, systemClock, systemRandom } from '../../src/base/index.js';
import { podPaths } from '../../src/daemon/home.js';
import { establish } from '../../src/daemon/origin.js';
import { ROOT } from '../../src/tree/index.js';
import { InlineEngine } from '../tree/simulation/inline-engine.js';
import { type InnerPod, openInnerPod, writeInside } from './inner-pod.js';
import { seededBytes } from './random.js';

/** A copy of a pod's folder, and what it acknowledged. */
export interface Sample {
  folder: string;
  /** By path: what was fsynced. */
  files: ReadonlyMap<string, Buffer>;
  /** What the log says of it while nothing is damaged: its index was in use when it was copied. */
  usual: ReadonlySet<string>;
}

const parts = { clock: systemClock, random: systemRandom, groupSize: () => 1_000, history: true };
const limits = { freeFloorBytes: 1024 * 1024, reserveBytes: 64 * 1024 };
const FLAGS = { read: true, write: true, append: false, truncate: false, sync: false };
const CALLER = { uid: 0, gid: 0, pid: 1, umask: 0o022 };

/** @returns the pod as a clean stop leaves it, and as it lay there while it was working */
export async function makeSamples(where: string): Promise<{ closed: Sample; crashed: Sample }> {
  const folder = join(where, 'made');
  const mount = join(where, 'mount');
  await mkdir(mount);
  const origin = { kind: 'new' as const, network: 'damage', pod: 'alpha', mount, port: 0, listen: '::' };
  await establish({ folder, origin }, silentLog);
  await writeFile(podPaths(folder).settings, 'cache: 1GB\n');
  const files = new Map<string, Buffer>();
  let engine: InlineEngine | undefined;
  const open = () =>
    openInnerPod(folder, {
      log: silentLog,
      alone: true,
      limits,
      startEngine: (options) => {
        engine = new InlineEngine(options, parts);
        return engine;
      },
    });
  const first = await open();
  await begun(first, files, async () => engine?.snapshot());
  await first.close();
  const closed = copyOf(folder, join(where, 'closed'), files);
  const second = await open();
  await underWay(second, files);
  const crashed = copyOf(folder, join(where, 'crashed'), files);
  await second.close();
  return { closed, crashed };
}

/** Files that were replaced and deleted, before and after the document's snapshot. */
async function begun(
  pod: InnerPod,
  files: Map<string, Buffer>,
  snapshot: () => Promise<unknown>,
): Promise<void> {
  for (const [name, length] of [
    ['small', 3_000],
    ['replaced', 500],
    ['deleted', 700],
    ['large', 600_000],
  ] as const) {
    await write(pod, files, name, length);
  }
  await published(pod);
  await snapshot();
  await write(pod, files, 'replaced', 1_500);
  await pod.fileSystem.unlink(ROOT, 'deleted');
  await pod.fileSystem.fsyncdir(ROOT);
  files.delete('deleted');
  await published(pod);
}

/** Files that are published, that wait for the document, and that are open: what was fsynced of those is staged. */
async function underWay(pod: InnerPod, files: Map<string, Buffer>): Promise<void> {
  await write(pod, files, 'later', 2_000);
  await published(pod);
  await write(pod, files, 'last', 900);
  for (const [name, length] of [
    ['open-large', 200_000],
    ['open-small', 1_000],
  ] as const) {
    const { handle } = await pod.fileSystem.create(ROOT, name, 0o644, FLAGS, CALLER);
    const bytes = seededBytes(length, length);
    await pod.fileSystem.write(handle, 0, bytes);
    await pod.fileSystem.fsync(handle, false);
    files.set(name, bytes);
  }
}

async function write(pod: InnerPod, files: Map<string, Buffer>, name: string, length: number): Promise<void> {
  const bytes = seededBytes(length, length);
  await writeInside(pod, name, bytes);
  files.set(name, bytes);
}

async function published(pod: InnerPod): Promise<void> {
  await pod.fileSystem.publishAll();
  await pod.tree.commit();
}

function copyOf(from: string, folder: string, files: ReadonlyMap<string, Buffer>): Sample {
  cpSync(from, folder, { recursive: true });
  return {
    folder,
    files: new Map(files),
    usual: new Set(['tree the index of the tree may be torn or damaged and is built again']),
  };
}

/** The files of a folder with bytes in them, by their paths inside it. */
export async function filesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true })).map(String).sort();
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name))));
  return names.filter((_, index) => sizes[index]?.isFile() && sizes[index].size > 0);
}
