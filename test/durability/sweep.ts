import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { READY_DESCRIPTOR } from '../../src/daemon/order.js';
import { must } from '../system/pods.js';
import { seededRandom } from './random.js';
import type { RecordedDisk } from './recorded-disk.js';
import type { Content, Witness } from './witness.js';

const CLEAN_STOP_EVERY = 10;
const DAEMON = fileURLToPath(new URL('../../src/daemon/main.js', import.meta.url));

export interface SweepOptions {
  disk: RecordedDisk;
  witness: Witness;
  /** Of the pod, on the disk: `home/atelier`. */
  pod: string;
  /** A folder for images and mounts. */
  scratch: string;
  /** Positions of the record from here to there. */
  from: number;
  to: number;
  points: number;
  seed: number;
  /** Points looked at side by side. */
  workers: number;
}

export interface SweepResult {
  points: number;
  /** Promises that held at a point, all points together. */
  promises: number;
  complaints: string[];
}

/** Cuts the power at positions spread over the record, starts the pod on what is left, looks whether it keeps what
 *  was promised. */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const result: SweepResult = { points: 0, promises: 0, complaints: [] };
  const positions = spread(options);
  const lane = async (worker: number) => {
    for (let next = positions.shift(); next !== undefined; next = positions.shift()) {
      result.complaints.push(...(await look(options, next, worker)));
      result.promises += options.witness.promisedAt(next.position);
      result.points++;
    }
  };
  await Promise.all(Array.from({ length: options.workers }, (_, worker) => lane(worker)));
  return result;
}

interface Point {
  position: number;
  /** What of the disk's cache is lost; 0: nothing. */
  seed: number;
}

/** In growing order, because the disk makes them so most quickly. */
function spread({ from, to, points, seed }: SweepOptions): Point[] {
  const random = seededRandom(seed);
  const step = (to - from) / points;
  return Array.from({ length: points }, (_, index) => ({
    position: Math.floor(from + step * (index + random())),
    seed: index % 4 === 0 ? 0 : Math.ceil(random() * 1e9),
  }));
}

async function look(options: SweepOptions, point: Point, worker: number): Promise<string[]> {
  const { disk, witness, pod, scratch } = options;
  const [image, folder, mount] = ['image', 'disk', 'mount'].map((name) =>
    join(scratch, `${name}-${worker}`),
  ) as [string, string, string];
  await mkdir(folder, { recursive: true });
  await mkdir(mount, { recursive: true });
  await disk.image(point.position, point.seed, image);
  await must(undefined, ['mount', '-o', 'loop', image, folder]);
  let daemon: Daemon | undefined;
  const complaints: string[] = [];
  try {
    const home = join(folder, pod);
    const record = JSON.parse(await readFile(join(home, 'pod.json'), 'utf8')) as object;
    await writeFile(join(home, 'pod.json'), JSON.stringify({ ...record, mount }));
    daemon = await startDaemon(home);
    for (const path of witness.paths) {
      try {
        const complaint = witness.complaint(path, point.position, await contentOf(join(mount, path)));
        if (complaint !== undefined) complaints.push(complaint);
      } catch (error) {
        complaints.push(`${path} after a power cut at ${point.position}: ${error}`);
      }
    }
  } catch (error) {
    complaints.push(`after a power cut at ${point.position}: ${error}`);
  }
  if (daemon !== undefined) {
    // A clean stop waits for the document, which costs more than all the rest: only now and then.
    const signal = worker === 0 && point.position % CLEAN_STOP_EVERY === 0 ? 'SIGTERM' : 'SIGKILL';
    const end = await daemon.end(signal);
    if (signal === 'SIGTERM' && end !== 0) complaints.push(`the daemon ended with ${end}`);
    if (signal === 'SIGKILL') await must(undefined, ['umount', '--lazy', mount]).catch(() => {});
  }
  // Whoever the daemon started may still be on its way out.
  await must(undefined, ['umount', '--lazy', folder]);
  await rm(image);
  return complaints.map((complaint) => `${complaint} (seed ${point.seed})\n${daemon?.log() ?? ''}`);
}

interface Daemon {
  /** Its log so far. */
  log(): string;
  /** @returns its exit code or the signal */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string>;
}

/** One daemon on a network of its own, where copies of the same pod do not meet. */
async function startDaemon(folder: string): Promise<Daemon> {
  const child = spawn('unshare', ['--net', process.execPath, DAEMON], {
    cwd: '/',
    env: { ...process.env, UV_THREADPOOL_SIZE: '16', [READY_DESCRIPTOR]: '3' },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  child.stdin?.end(JSON.stringify({ folder }));
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const lines = createInterface({ input: child.stdio[3] as Readable })[Symbol.asyncIterator]();
  const { value } = (await lines.next()) as { value: string | undefined };
  const word = JSON.parse(value ?? '{}') as { ready?: object };
  if (word.ready === undefined) {
    child.kill('SIGKILL');
    throw new Error(`the pod does not start: ${value}\n${said}`);
  }
  return {
    log: () => said,
    end: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

async function contentOf(path: string): Promise<Content> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}
