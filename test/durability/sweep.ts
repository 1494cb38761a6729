import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/base/index.js';
import { must } from '../system/pods.js';
import type { Answer } from './look-inside.js';
import { lookMounted } from './look-mounted.js';
import { Looker } from './looker.js';
import { seededRandom } from './random.js';
import type { RecordedDisk } from './recorded-disk.js';
import type { Witness } from './witness.js';

/** Of the points that a whole daemon looks at, one in so many ends it cleanly. */
const CLEAN_STOP_EVERY = 4;

export interface SweepOptions {
  disk: RecordedDisk;
  witness: Witness;
  /** Of the pod, on the disk: `home/atelier`. */
  pod: string;
  /** A folder for images and mounts. */
  scratch: string;
  /** Positions of the record from here to there; something was promised before the first. */
  from: number;
  to: number;
  points: number;
  /** Of these points, those that a whole daemon with its mount looks at; at the others the pod is opened without. */
  mounted: number;
  seed: number;
  /** Points looked at side by side. */
  lanes: number;
  /** Others hold some of what the tree names: what is not here yet cannot be read. */
  partly?: boolean;
  /** Before this position there may be no pod yet. */
  bornAt?: number;
  /** Positions at which bytes are known to be damaged, so that they cannot be read; never are they wrong. */
  ailing?: (position: number) => boolean;
  /** Where to keep the disks of points with complaints. */
  keep?: string | undefined;
}

export interface SweepResult {
  points: number;
  /** Promises that held at a point, all points together. */
  promises: number;
  /** Points at which the disk lost something that was written. */
  struck: number;
  complaints: string[];
}

/** A disk in memory for images, of which the mounts below are seen by lookers too, which have a mount namespace each. */
export async function mountScratch(folder: string): Promise<void> {
  await must(undefined, ['mount', '-t', 'tmpfs', '-o', 'size=1g', 'wormhole-test', folder]);
  await must(undefined, ['mount', '--make-shared', folder]);
}

/** Cuts the power at positions spread over the record, opens the pod on what is left, looks whether it keeps what was
 *  promised. */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const result: SweepResult = { points: 0, promises: 0, struck: 0, complaints: [] };
  const points = spread(options);
  const lane = async (number: number) => {
    const looker = new Looker();
    try {
      for (let next = points.shift(); next !== undefined; next = points.shift()) {
        if (next.seed !== 0) next.position = await options.disk.written(next.position);
        const { lost, complaints } = await look(options, next, number, looker);
        const promises = options.witness.promisedAt(next.position);
        const isBorn = next.position >= (options.bornAt ?? 0);
        if (isBorn && promises === 0)
          complaints.push(`nothing was promised before the cut at ${next.position}`);
        result.complaints.push(...complaints);
        result.promises += promises;
        if (lost > 0) result.struck++;
        result.points++;
      }
    } finally {
      await looker.close();
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, (_, number) => lane(number)));
  return result;
}

interface Point {
  position: number;
  /** What of the disk's cache is lost; 0: nothing. */
  seed: number;
  mounted: boolean;
}

/** In growing order, because the disk makes them so most quickly. */
function spread({ from, to, points, mounted, seed }: SweepOptions): Point[] {
  const random = seededRandom(seed);
  const step = (to - from) / points;
  const every = Math.max(1, Math.floor(points / Math.max(1, mounted)));
  return Array.from({ length: points }, (_, index) => ({
    position: Math.ceil(from + step * (index + random())),
    seed: index % 4 === 0 ? 0 : Math.ceil(random() * 1e9),
    mounted: mounted > 0 && index % every === every - 1,
  }));
}

async function look(
  options: SweepOptions,
  point: Point,
  lane: number,
  looker: Looker,
): Promise<{ lost: number; complaints: string[] }> {
  const { disk, scratch } = options;
  const [image, folder, mount] = ['image', 'disk', 'mount'].map((name) =>
    join(scratch, `${name}-${lane}`),
  ) as [string, string, string];
  await mkdir(folder, { recursive: true });
  await mkdir(mount, { recursive: true });
  const lost = await disk.image(point.position, point.seed, image);
  if (options.keep !== undefined) await copyFile(image, join(options.keep, `image-${lane}`));
  await must(undefined, ['mount', '-o', 'loop', image, folder]);
  const complaints = await complaintsAbout(options, point, { folder, mount, looker });
  // Whoever the daemon started may still be on its way out.
  await must(undefined, ['umount', '--lazy', folder]);
  await rm(image);
  if (options.keep !== undefined && complaints.length > 0) {
    await copyFile(join(options.keep, `image-${lane}`), join(options.keep, `cut-${point.position}`));
  }
  return { lost, complaints };
}

async function complaintsAbout(
  options: SweepOptions,
  { position, seed, mounted }: Point,
  { folder, mount, looker }: { folder: string; mount: string; looker: Looker },
): Promise<string[]> {
  const { witness, pod, partly = false, bornAt = 0, ailing = () => false } = options;
  // A daemon waits for others to come with what is not here.
  const paths = witness.paths.filter((path) => !(mounted && partly) || witness.isSettled(path, position));
  const home = join(folder, pod);
  const found: string[] = [];
  let answer: Answer = { seen: [], troubles: [], log: '' };
  if (position < bornAt && !existsSync(join(home, 'pod.json'))) return [];
  try {
    answer = mounted
      ? await lookMounted(home, mount, paths, position % CLEAN_STOP_EVERY === 0)
      : await looker.ask({ folder: home, paths, whole: !partly });
    if (answer.failed !== undefined) found.push(answer.failed);
  } catch (error) {
    found.push(messageOf(error));
  }
  if (!ailing(position)) found.push(...answer.troubles);
  for (const [index, seen] of answer.seen.entries()) {
    const path = paths[index] ?? '';
    if (seen === undefined || !('failed' in seen)) found.push(...witness.complaint(path, position, seen));
    else if (!ailing(position) && (!partly || witness.isSettled(path, position))) {
      found.push(`${path}: ${seen.failed}`);
    }
  }
  return found.map(
    (complaint) => `after a power cut at ${position} (seed ${seed}): ${complaint}\n${answer.log}`,
  );
}
