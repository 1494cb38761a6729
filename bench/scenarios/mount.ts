import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { must, run, type TestPod, WH } from '../../test/system/pods.js';
import { withBindfs } from '../bindfs.js';
import type { Figures as Workload } from '../decisions/fuse-workload.js';
import { atLeast, atMost, type Figure, type Scenario } from '../figure.js';
import { withSshfs } from '../sshfs.js';
import { withPod } from '../world.js';

const SOURCE = '/usr/include';
const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const WORKLOAD = fileURLToPath(new URL('../decisions/fuse-workload.js', import.meta.url));
const FILES = 2_000;
/** sshfs makes some hundred files a second: its part would be most of the run. */
const FILES_SSHFS = 500;
const LISTED = 10_000;
/** Entries of a large folder. */
const LISTED_MANY = 100_000;

type WorkloadFigure = keyof Workload;

/** What the mount is to reach, and in which direction. */
const WANTED: Partial<Record<WorkloadFigure, { limit: number; unit: string; atMost?: true }>> = {
  'create + write 4 KiB + close /s': { limit: 4_000, unit: '/s' },
  'open + read + close /s': { limit: 20_000, unit: '/s' },
  'stat /s': { limit: 12_000, unit: '/s' },
  'rename /s': { limit: 8_000, unit: '/s' },
  'mkdir /s': { limit: 8_000, unit: '/s' },
  'unlink /s': { limit: 8_000, unit: '/s' },
  'write 1 MiB blocks, MB/s': { limit: 400, unit: 'MB/s' },
  'read cold, MB/s': { limit: 1_000, unit: 'MB/s' },
  'read warm, MB/s': { limit: 3_000, unit: 'MB/s' },
  'ls -l, ms': { limit: 60, unit: 'ms', atMost: true },
};

/** Seconds of programs that people run in a folder. */
type Times = Record<'cp -a' | 'untar' | 'find' | 'grep' | 'git add' | 'git status' | 'npm ci', number>;

const TIMES_WANTED: Record<keyof Times, number> = {
  'cp -a': 4,
  untar: 4,
  find: 4,
  grep: 4,
  'git add': 3,
  'git status': 3,
  'npm ci': 2,
};

export const mount: Scenario = {
  name: 'mount',
  run: () =>
    withPod(async (pod, folder) => {
      const tar = join(folder, 'tree.tar');
      await must(undefined, ['tar', 'cf', tar, '-C', SOURCE, '.']);
      const plain = join(folder, 'plain');
      mkdirSync(plain);
      const disk = { workload: await workload(plain, FILES), times: await programs(plain, tar) };
      const bindfs = await withBindfs(folder, async (path) => ({
        workload: await workload(path, FILES),
        copied: await copied(path),
        untar: await untar(path, tar),
      }));
      const sshfs = await withSshfs(folder, (path) => workload(path, FILES_SSHFS));
      // A process that has just started is still being compiled: what it does then is told beside.
      const started = await workload(pod.path(), FILES);
      const here = { workload: await workload(pod.path(), FILES), times: await programs(pod.path(), tar) };
      const peers = [
        ...('missing' in bindfs
          ? [bindfs.missing]
          : [`bindfs copies in ${bindfs.copied.toFixed(1)} s, untars in ${bindfs.untar.toFixed(1)} s`]),
        ...('missing' in sshfs ? [sshfs.missing] : []),
      ];
      return [
        ...workloadFigures(here.workload, disk.workload, {
          'a daemon just started': started,
          bindfs: 'missing' in bindfs ? undefined : bindfs.workload,
          sshfs: 'missing' in sshfs ? undefined : sshfs,
        }),
        ...timeFigures(here.times, disk.times, peers.join('; ')),
        await listing(pod, folder),
      ];
    }),
};

async function workload(path: string, files: number): Promise<Workload> {
  const args = [path, String(files), String((files * LISTED) / FILES)];
  const output = await must(undefined, [process.execPath, WORKLOAD, ...args], { timeoutMs: 300_000 });
  return JSON.parse(output) as Workload;
}

async function programs(path: string, tar: string): Promise<Times> {
  const tree = join(path, 'untarred');
  const copy = await copied(path);
  const untarred = await untar(path, tar);
  const found = await timed(['find', tree, '-newer', tar, '-size', '+1000k']);
  const searched = await timed(['grep', '-rl', 'no such word anywhere', tree], 1);
  const git = ['git', '-C', tree, '-c', 'core.fsmonitor=false'];
  await must(undefined, [...git, 'init', '-q']);
  return {
    'cp -a': copy,
    untar: untarred,
    find: found,
    grep: searched,
    'git add': await timed([...git, 'add', '-A']),
    'git status': await timed([...git, 'status', '--short']),
    'npm ci': await installed(path),
  };
}

/** The source was read before, for the archive. */
function copied(path: string): Promise<number> {
  return timed(['cp', '-a', SOURCE, join(path, 'copied')]);
}

/** Of a folder that came in by `wh import`, since making it file by file is most of the time. */
async function listing(pod: TestPod, folder: string): Promise<Figure> {
  const many = join(folder, 'many');
  mkdirSync(many);
  for (let i = 0; i < LISTED_MANY; i++) writeFileSync(join(many, `file-${i}`), '');
  await must(undefined, [WH, 'import', many, '/many'], {
    env: { WH_HOME: pod.home },
    timeoutMs: 600_000,
  });
  const list = async (path: string) => {
    writeFileSync('/proc/sys/vm/drop_caches', '2');
    return 1000 * (await timed(['sh', '-c', 'ls -l "$1" >/dev/null', 'sh', path]));
  };
  const [plain, value] = [await list(many), await list(pod.path('many'))];
  return {
    name: `ls -l of ${LISTED_MANY}`,
    value,
    unit: 'ms',
    target: atMost(600, value, 'ms'),
    beside: { name: 'plain disk', value: plain, ratio: value / plain },
  };
}

function untar(path: string, tar: string): Promise<number> {
  mkdirSync(join(path, 'untarred'));
  return timed(['tar', 'xf', tar, '-C', join(path, 'untarred')]);
}

/** This project's dependencies, out of npm's cache where that has them; not a number where npm cannot. */
async function installed(path: string): Promise<number> {
  const project = join(path, 'project');
  mkdirSync(project);
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(PROJECT, file), join(project, file));
  writeFileSync(
    join(project, '.npmrc'),
    'audit=false\nfund=false\nprefer-offline=true\nignore-scripts=true\n',
  );
  const started = performance.now();
  const { code } = await run(undefined, ['npm', 'ci', '--prefix', project], { timeoutMs: 300_000 });
  return code === 0 ? (performance.now() - started) / 1000 : Number.NaN;
}

/** @param expected the exit code of a success */
async function timed(command: readonly string[], expected = 0): Promise<number> {
  const started = performance.now();
  const script = `"$@"; test $? = ${expected}`;
  await must(undefined, ['sh', '-c', script, 'sh', ...command], { timeoutMs: 300_000 });
  return (performance.now() - started) / 1000;
}

function workloadFigures(
  here: Workload,
  disk: Workload,
  peers: Record<string, Workload | undefined>,
): Figure[] {
  return (Object.keys(WANTED) as WorkloadFigure[]).map((name) => {
    const { limit, unit, atMost: isMost } = WANTED[name] ?? { limit: 0, unit: '' };
    const [value, plain] = [here[name], disk[name]];
    const others = Object.entries(peers).map(
      ([peer, figures]) => `${peer} ${Math.round(figures?.[name] ?? 0)}`,
    );
    return {
      name: name.replace(/,? (\/s|MB\/s|ms)$/, ''),
      value,
      unit,
      target: isMost ? atMost(limit, value, unit) : atLeast(limit, value, unit),
      beside: { name: 'plain disk', value: plain, ratio: value / plain },
      note: others.join(', '),
    };
  });
}

function timeFigures(here: Times, disk: Times, note: string): Figure[] {
  return (Object.keys(TIMES_WANTED) as (keyof Times)[]).map((name) => {
    if (Number.isNaN(disk[name]))
      return { name, value: disk[name], unit: 's', note: 'skipped: it fails here' };
    const ratio = here[name] / disk[name];
    const most = TIMES_WANTED[name];
    return {
      name,
      value: here[name],
      unit: 's',
      target: { text: `<= ${most}x of plain disk`, met: ratio <= most },
      beside: { name: 'plain disk', value: disk[name], ratio },
      ...(name === 'cp -a' ? { note } : {}),
    };
  });
}
