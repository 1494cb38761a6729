import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pair } from '../../test/system/pair.js';
import { residentMegabytes, run } from '../../test/system/pods.js';
import { atLeast, atMost, type Figure, percentile, type Scenario } from '../figure.js';
import { runProgram } from '../program.js';
import { withSshfs } from '../sshfs.js';
import { withPair } from '../world.js';

const MEBIBYTES = 1024;
/** Files whose first byte is waited for, beside that of the large one, which is the first ever fetched. */
const OPENINGS = 9;
const OPENING_BYTES = 4 * 1024 * 1024;
const WARM_READS = 4;

export const largeRead: Scenario = {
  name: 'large-read',
  run: () => withPair('portal', measure),
};

async function measure({ folder, a, b }: Pair): Promise<Figure[]> {
  const peak = { a: 0, b: 0 };
  const watch = setInterval(() => {
    peak.a = Math.max(peak.a, residentMegabytes(a.pid));
    peak.b = Math.max(peak.b, residentMegabytes(b.pid));
  }, 100);
  try {
    const written = rateOf(await runProgram('write-file', a.path('large'), MEBIBYTES));
    for (let i = 0; i < OPENINGS; i++) writeFileSync(a.path(`film${i}`), randomBytes(OPENING_BYTES));
    await a.ok('sync', '--wait', '--timeout', '120s');
    const read = await runProgram('read-file', b.path('large'));
    if (read['bytes'] !== MEBIBYTES * 1024 * 1024) throw new Error(`read ${read['bytes']} bytes`);
    const cached = await cachedShare(b.path('large'));
    const second = rateOf(await runProgram('read-file', b.path('large')));
    const warm = await warmRate(b.path('large'));
    const openings: number[] = [];
    for (let i = 0; i < OPENINGS; i++)
      openings.push((await runProgram('read-file', b.path(`film${i}`)))['firstByteMs'] ?? Number.NaN);
    const opening = percentile(openings, 0.5);
    const [first, rate] = [read['firstByteMs'] ?? Number.NaN, rateOf(read)];
    return [
      { name: '1 GiB written on A, with fsync', value: written, unit: 'MB/s' },
      {
        name: 'read on B, first byte of the first file ever',
        value: first,
        unit: 'ms',
        target: atMost(50, first, 'ms'),
      },
      { name: 'read on B, first byte, p50', value: opening, unit: 'ms', target: atMost(20, opening, 'ms') },
      {
        name: 'read on B, 1 GiB that only A holds',
        value: rate,
        unit: 'MB/s',
        target: atLeast(150, rate, 'MB/s'),
      },
      {
        name: 'read on B, the second time',
        value: second,
        unit: 'MB/s',
        note: `with ${cached} % of it in the page cache`,
      },
      ...(await besidePeers(folder, rate, warm)),
      { name: 'memory of A, peak', value: peak.a, unit: 'MB', target: atMost(350, peak.a, 'MB') },
      { name: 'memory of B, peak', value: peak.b, unit: 'MB', target: atMost(350, peak.b, 'MB') },
    ];
  } finally {
    clearInterval(watch);
  }
}

/** The same file through sshfs on this machine, cold, and from the plain disk's page cache. */
async function besidePeers(folder: string, remote: number, warm: number): Promise<Figure[]> {
  const peers = await withSshfs(folder, async (mount, source) => {
    await runProgram('write-file', join(source, 'large'), MEBIBYTES);
    const sshfs = rateOf(await runProgram('read-file', join(mount, 'large')));
    return { sshfs, plain: await warmRate(join(source, 'large')) };
  });
  if ('missing' in peers) {
    return [
      { name: 'remote read beside sshfs', value: remote, unit: 'MB/s', note: `skipped: ${peers.missing}` },
      { name: 'read on B, warm', value: warm, unit: 'MB/s' },
    ];
  }
  return [
    compared('remote read beside sshfs', remote, 'sshfs on localhost', peers.sshfs, 1),
    compared('read on B, warm', warm, 'the plain page cache', peers.plain, 0.5),
  ];
}

/** The best of a few: some kernels page out in the background (DAMON) what they take for cold, part of the file too. */
async function warmRate(path: string): Promise<number> {
  let best = 0;
  for (let i = 0; i < WARM_READS; i++) best = Math.max(best, rateOf(await runProgram('read-file', path)));
  return best;
}

/** Per cent of a file's pages that are in the page cache; `?` where nothing tells. */
async function cachedShare(path: string): Promise<string> {
  const { code, stdout } = await run(undefined, ['fincore', '--bytes', '--noheadings', '-o', 'RES', path]);
  return code === 0 ? ((100 * Number(stdout)) / (MEBIBYTES * 1024 * 1024)).toFixed(1) : '?';
}

function compared(name: string, value: number, peer: string, peerValue: number, wanted: number): Figure {
  const ratio = value / peerValue;
  return {
    name,
    value,
    unit: 'MB/s',
    target: { text: `>= ${wanted.toFixed(1)}x`, met: ratio >= wanted },
    beside: { name: peer, value: peerValue, ratio },
  };
}

function rateOf(measured: Record<string, number>): number {
  return measured['megabytesPerSecond'] ?? Number.NaN;
}
