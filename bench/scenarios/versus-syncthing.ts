import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure, Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { syncthingMissing, withSyncthing } from '../syncthing.js';
import { withPair } from '../world.js';

interface Sizes {
  files: number;
  mebibytes: number;
}

/** The sizes of the target take many minutes with Syncthing: `--full`. */
const FULL: Sizes = { files: 10_000, mebibytes: 1024 };
const USUAL: Sizes = { files: 2_000, mebibytes: 256 };
const DEFAULT_DELAY_SECONDS = 10;
const SHORT_DELAY_SECONDS = 1;
const POLL_MS = 5;
const LATE_MS = 600_000;

/** Seconds from the end of the writing on A until all of it is on B. */
interface Times {
  files: number;
  large: number;
  edit: number;
}

export const versusSyncthing: Scenario = {
  name: 'versus-syncthing',
  run: ({ full }) =>
    withPair('storage', async ({ folder, a, b }) => {
      const sizes = full ? FULL : USUAL;
      // What `wh sync --wait --copies 2` asks; to start a command costs more than most of this.
      const settled = async () => {
        const { done, reason } = await a.ask('sync', { copies: 2, timeoutMs: 300_000 });
        if (!done) throw new Error(`not complete on B: ${reason}`);
      };
      const own = await measure(sizes, a.mount, b.mount, settled);
      const missing = await syncthingMissing();
      if (missing !== undefined) return figures(sizes, own, undefined, `skipped: ${missing}`);
      const defaults = await withSyncthing(folder, DEFAULT_DELAY_SECONDS, (pair) =>
        measure(sizes, pair.a, pair.b),
      );
      const short = await withSyncthing(folder, SHORT_DELAY_SECONDS, (pair) =>
        measure(sizes, pair.a, pair.b),
      );
      return [
        ...figures(sizes, own, {
          times: defaults,
          name: 'Syncthing',
          wanted: { files: 15, large: 3, edit: 200 },
        }),
        ...figures(sizes, own, {
          times: short,
          name: 'Syncthing, watcher delay 1 s',
          wanted: { files: 1, large: 1, edit: 1 },
        }),
      ];
    }),
};

/** @param settled resolves when B holds all; without it B's folder is on its disk, and what shows there counts */
async function measure(
  { files: count, mebibytes }: Sizes,
  a: string,
  b: string,
  settled?: () => Promise<void>,
): Promise<Times> {
  mkdirSync(join(a, 'many'));
  await runProgram('create-files', join(a, 'many'), count);
  const files = await secondsUntil(() => countFiles(join(b, 'many')) === count, 50, settled);
  await runProgram('write-file', join(a, 'large'), mebibytes);
  const large = await secondsUntil(
    () => sizeOf(join(b, 'large')) === mebibytes * 1024 * 1024,
    POLL_MS,
    settled,
  );
  const edited = join('many', 'd0', 'f0');
  appendFileSync(join(a, edited), 'one small edit\n');
  const edit = await secondsUntil(() => textOf(join(b, edited)).endsWith('one small edit\n'), POLL_MS);
  return { files, large, edit };
}

async function secondsUntil(
  done: () => boolean,
  pollMs: number,
  settled?: () => Promise<void>,
): Promise<number> {
  const started = performance.now();
  await settled?.();
  while (!done()) {
    if (performance.now() - started > LATE_MS) throw new Error('it is not on B after ten minutes');
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return (performance.now() - started) / 1000;
}

/** What is still under way has a name of Syncthing's own. */
function countFiles(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && !entry.name.startsWith('.'),
    ).length;
  } catch {
    return 0;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Nothing for a moment while Syncthing puts the new file in the old one's place. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function figures(
  sizes: Sizes,
  own: Times,
  peer: { times: Times; name: string; wanted: Times } | undefined,
  note?: string,
): Figure[] {
  const names = {
    files: `${sizes.files} files of 4 KiB`,
    large: `${sizes.mebibytes} MiB`,
    edit: 'one small edit',
  };
  return (Object.keys(names) as (keyof Times)[]).map((key) => {
    const figure: Figure = { name: `${names[key]}, complete on B`, value: own[key] * 1000, unit: 'ms' };
    if (peer === undefined) return note === undefined ? figure : { ...figure, note };
    const ratio = peer.times[key] / own[key];
    return {
      ...figure,
      target: { text: `>= ${peer.wanted[key]}x faster`, met: ratio >= peer.wanted[key] },
      beside: { name: peer.name, value: peer.times[key] * 1000, ratio },
    };
  });
}
