// Decisions 2 and 38, measured: the direct FUSE driver beside fuse-native on the same memory file system, bindfs and
// sshfs, with plain ext4 for scale and Wormhole itself, in one run, in turns. `[WORMHOLE_ALTERNATIVES=<folder with fuse-native installed>]
// node dist/bench/decisions/fuse-driver.js [rounds [names apart by commas]]`, as root. Without alternatives only what is
// here is measured.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Way } from '../../src/mount/index.js';
import { serve } from '../../test/mount/serve.js';
import { must } from '../../test/system/pods.js';
import { withBindfs } from '../bindfs.js';
import { withSshfs } from '../sshfs.js';
import { withPod } from '../world.js';
import type { Figures } from './fuse-workload.js';

const CPU = 'processor time of the server, s';
type Measured = Figures & { [CPU]?: number };
type Candidate = () => Promise<Measured | { missing: string }>;

const WORKLOAD = fileURLToPath(new URL('./fuse-workload.js', import.meta.url));
const NATIVE = fileURLToPath(new URL('./fuse-native-server.js', import.meta.url));
const ROUNDS = Number(process.argv[2] ?? 3);
const NAMES = process.argv[3]?.split(',');
const scratch = mkdtempSync(join(tmpdir(), 'wormhole-bench-'));

/** @param server its processor time is no less honest when the machine is busy with something else */
async function measure(folder: string, server?: number): Promise<Measured> {
  // Once unmeasured: a server that has just started is still being compiled.
  await must(undefined, [process.execPath, WORKLOAD, folder, '1000', '1000'], { timeoutMs: 600_000 });
  const before = server === undefined ? 0 : processorSeconds(server);
  const output = await must(undefined, [process.execPath, WORKLOAD, folder], { timeoutMs: 600_000 });
  const figures = JSON.parse(output) as Figures;
  return server === undefined ? figures : { ...figures, [CPU]: processorSeconds(server) - before };
}

/** User and system time of a process (proc(5)), at the usual 100 ticks a second. */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const direct =
  (way: Way): Candidate =>
  async () => {
    const served = await serve({ way });
    try {
      return await measure(served.mountPoint, served.child.pid);
    } finally {
      await served.stop();
    }
  };

async function native(): ReturnType<Candidate> {
  const packages = process.env['WORMHOLE_ALTERNATIVES'] ?? '';
  if (!existsSync(join(packages, 'node_modules', 'fuse-native')))
    return { missing: 'fuse-native is not installed' };
  const mountPoint = join(scratch, 'native');
  mkdirSync(mountPoint, { recursive: true });
  const server = fork(NATIVE, [packages, mountPoint], { cwd: '/' });
  try {
    const [ready] = await once(server, 'message');
    if (ready !== 'ready') return { missing: String(ready) };
    return await measure(mountPoint, server.pid);
  } finally {
    server.send('end');
    await once(server, 'exit');
  }
}

const CANDIDATES: Record<string, Candidate> = {
  ext4: () => measure(scratch),
  direct: direct('pipe'),
  'direct by fs.read': direct('read'),
  'fuse-native': native,
  Wormhole: () => withPod((pod) => measure(pod.path(), pod.pid)),
  bindfs: () => withBindfs(join(scratch, `${process.hrtime.bigint()}`), (folder) => measure(folder)),
  sshfs: () => withSshfs(join(scratch, `${process.hrtime.bigint()}`), (folder) => measure(folder)),
};

const results = new Map<string, Measured[]>();
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, candidate] of Object.entries(CANDIDATES)) {
      if (NAMES !== undefined && !NAMES.includes(name)) continue;
      const figures = await candidate();
      if ('missing' in figures) console.error(`${name}: ${figures.missing}`);
      else results.set(name, [...(results.get(name) ?? []), figures]);
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

// The best of all rounds: what disturbs on a shared machine only ever makes things worse.
const names = [...results.keys()];
console.log(`| best of ${ROUNDS} | ${names.join(' | ')} |\n|---|${names.map(() => '---').join('|')}|`);
for (const figure of Object.keys(results.get('direct')?.[0] ?? {}) as (keyof Measured)[]) {
  const best = /s$/.test(figure) && !/\/s$/.test(figure) ? Math.min : Math.max;
  const cells = names.map((name) => {
    const value = best(...(results.get(name) ?? []).map((figures) => figures[figure] ?? Number.NaN));
    if (Number.isNaN(value)) return '–';
    return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1);
  });
  console.log(`| ${figure} | ${cells.join(' | ')} |`);
}
